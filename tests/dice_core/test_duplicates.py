from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dice_core.duplicates import Duplicates, join_shared

images = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 12)), max_size=30)


def apart(rows):
    return (
        np.array([row[0] for row in rows], np.int64),
        np.array([row[1] for row in rows], np.uint64) << np.uint64(40),
    )


@given(images)
def test_duplicates_are_counted_as_plain_counting_does(rows):
    found = Duplicates.of(*apart(rows))
    assert found.within == sum(count - 1 for count in Counter(rows).values())
    sources = Counter(content for _, content in set(rows))
    assert found.between == sum(sources[content] > 1 for _, content in rows)


@given(images)
def test_images_may_be_counted_by_shares_of_the_photographs(rows):
    sources, contents = apart(rows)
    share = (contents >> np.uint64(40)) % 3
    parts = [Duplicates.of(sources[share == number], contents[share == number]) for number in range(3)]
    assert sum(parts, Duplicates(0, 0)) == Duplicates.of(sources, contents)


@given(images)
def test_groups_are_one_where_a_chain_of_shared_photographs_links_them(rows):
    joined = join_shared(*apart(rows)).tolist()
    linked = [set(pair) for pair in {(group, f"photograph {content}") for group, content in rows}]
    for first in list(linked):
        # The slow way: whatever touches is poured together until nothing touches any more.
        touching = [other for other in linked if other & first]
        linked = [other for other in linked if not other & first] + [set().union(*touching)]
    expected = [next(at for at, one in enumerate(linked) if group in one) for group, _ in rows]
    assert len(set(zip(joined, expected, strict=True))) == len(set(joined)) == len(set(expected))


def test_without_a_shared_photograph_the_groups_stay_as_they_are():
    groups = np.array([5, 5, -3, 1 << 60, -3])
    joined = join_shared(groups, np.arange(5, dtype=np.uint64))
    assert len(set(zip(groups.tolist(), joined.tolist(), strict=True))) == len(set(joined.tolist())) == 3


@pytest.mark.parametrize("count", [0, 1])
def test_few_images_repeat_nothing(count):
    found = Duplicates.of(np.zeros(count, np.int64), np.zeros(count, np.uint64))
    assert found == Duplicates(0, 0)
    assert len(join_shared(np.zeros(count, np.int64), np.zeros(count, np.uint64))) == count
