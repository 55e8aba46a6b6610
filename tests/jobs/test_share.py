import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.errors import Refusal
from jobs.planlist import Planned
from jobs.share import Share, lacking

PLAN = [
    Planned(f"/{name}.tar", "x", None, f"part-{name}-x-", list(range(shards)), [0] * shards, "tar", "")
    for name, shards in (("a", 5), ("b", 1), ("c", 8))
]
PARTS = [part for source in PLAN for part in source.parts]


@pytest.mark.parametrize("text", ["", "1", "0/3", "4/3", "1/0", "-1/3", "a/b", "1/3/5", "1.5/3"])
def test_refuses_what_is_no_share(text):
    with pytest.raises(Refusal, match="give a share such as 1/3"):
        Share.parse(text)


@given(st.integers(1, 20))
def test_every_part_is_of_exactly_one_share_and_shares_differ_by_one_at_most(of):
    own = [set(PARTS) - Share(number, of).others(PLAN) for number in range(1, of + 1)]
    assert sorted(part for parts in own for part in parts) == sorted(PARTS)
    assert max(map(len, own)) - min(map(len, own)) <= 1


def test_the_share_whose_part_is_missing_is_known():
    own = sorted(set(PARTS) - Share.parse("2/3").others(PLAN))
    assert lacking(PLAN, set(PARTS), 3) == []
    assert list(map(str, lacking(PLAN, set(PARTS) - {own[0]}, 3))) == ["2/3"]
    assert list(map(str, lacking(PLAN, set(), 3))) == ["1/3", "2/3", "3/3"]
