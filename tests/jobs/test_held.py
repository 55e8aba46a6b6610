import pytest

from jobs import held
from jobs.held import Held

ABOUT = {"archive": "/ä.tar", "identity": "1-2", "first": "40", "members": "100"}


def test_a_part_holds_the_rows_of_one_shard():
    assert held.of_part("p", 20, ABOUT) == Held("p", "/ä.tar", "1-2", 40, 20, 100)


@pytest.mark.parametrize("key", ABOUT)
def test_a_part_without_a_word_of_it_is_none(key):
    with pytest.raises(KeyError):
        held.of_part("p", 20, {name: value for name, value in ABOUT.items() if name != key})


@pytest.mark.parametrize("count", [0, 1, 3])
def test_a_list_is_read_as_it_was_written(count):
    parts = [Held(f"p{number}", "/ä.tar", "1-2", number, 1, 3) for number in range(count)]
    assert held.of_compacted({held.HELD: held.to_json(parts)}) == parts


@pytest.mark.parametrize("text", ["", "{", "3", "[3]", '[{"name": "p"}]'])
def test_what_is_no_list_is_told(text):
    with pytest.raises((TypeError, ValueError)):
        held.of_compacted({held.HELD: text})
