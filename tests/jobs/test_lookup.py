import pytest

from jobs.errors import Refusal
from jobs.lookup import Lookup

HASH = "0123456789abcdef" * 2
TABLE = f"archive,member,content_hash,label\nlot.tar,1,,x\nlot.tar,2,,y\n,,{HASH},z\n"


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "table"
    path.write_text(TABLE)
    return str(path)


def test_lines_that_no_image_met_are_counted_and_named_in_order(table):
    lookup = Lookup.of(table, ["/in/lot.tar"])
    assert (lookup.matched, lookup.unmatched, lookup.unlabelled) == (0, 3, 0)
    asked = [("/in/lot.tar",), "1", None], [("/in/lot.tar",), "9", HASH], [("/in/other.tar",), "1", None]
    assert [lookup.name(*one) for one in asked] == ["x", "z", None]
    assert (lookup.matched, lookup.unmatched, lookup.unlabelled) == (2, 1, 1)
    assert lookup.first_unmatched(5) == ["line 3: lot.tar 2"]


def test_an_image_meets_the_lines_of_its_place_and_of_its_content(table):
    lookup = Lookup.of(table, [])
    assert lookup.name(("a", "/in/lot.tar"), "1", HASH) == "x"
    assert lookup.matched == 2


def test_a_table_that_may_mean_either_of_two_is_refused(table):
    with pytest.raises(Refusal, match=r"lot\.tar may be"):
        Lookup.of(table, ["/a/lot.tar", "/b/lot.tar"])
