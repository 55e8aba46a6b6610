import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.plan import SHARD_SIZE, Kind, Shard
from jobs.tasksize import SECONDS, TaskSize, count

SHARDS = st.lists(st.none() | st.integers(1, 2000), max_size=60)


def shard(images):
    return Shard("/a.tar", Kind.TAR, "1-1", 0, images, 0, images)


def images_of(bundles):
    return [[shard.images for shard in bundle.shards] for bundle in bundles]


@pytest.mark.parametrize(
    ("images", "expected"),
    [
        ([], []),
        ([2000, 2000], [[2000], [2000]]),
        ([1], [[1]]),
        ([500] * 5, [[500] * 4, [500]]),
        ([1999, 2000, 1], [[1999, 2000], [1]]),
        ([None, 10, 2000, None], [[None], [10, 2000], [None]]),
        ([10, None, 10], [[10, None], [10]]),
    ],
)
def test_bundles_hold_enough_images_for_a_task(images, expected):
    assert images_of(TaskSize(2000).bundle(shard(count) for count in images)) == expected


def test_what_is_to_come_is_counted_where_nobody_has_by_the_usual_size():
    assert count(map(shard, [7, None, 3])) == 10 + SHARD_SIZE


@pytest.mark.parametrize(
    ("milliseconds", "left", "threads", "expected"),
    [
        (None, 10**9, 2, 2000),  # nothing is known yet
        (0.2, 10**9, 2, 10_000),  # by the time it is to last
        (0.2, 10**9, 1000, 10_000),
        (0.2, 10**9, 0, 2000),  # serially
        (0.2, 40_000, 2, 5000),  # by what is left for all
        (0.2, 8000, 2, 2000),
        (50.0, 10**9, 2, 2000),  # large photographs: never fewer than the least
    ],
)
def test_a_task_lasts_seconds_unless_too_little_is_left(milliseconds, left, threads, expected):
    size = TaskSize(2000, left, lambda: threads)
    if milliseconds is not None:
        size.scored(2000, 2000 * milliseconds / 1000)
    assert size.next() == expected


def test_the_newest_shards_tell_most_and_one_alone_not_all():
    size = TaskSize(1, 10**9, lambda: 1)
    size.scored(1000, 1.0)
    size.scored(1000, 10.0)
    assert SECONDS * 100 < size.next() < SECONDS * 1000
    for _ in range(30):
        size.scored(1000, 10.0)
    assert size.next() == pytest.approx(SECONDS * 100, rel=0.01)


def test_a_part_that_was_there_tells_nothing_of_what_an_image_takes():
    size = TaskSize(2000, 10**9, lambda: 2)
    size.scored(2000, 0.0)
    size.scored(0, 1.0)
    assert size.next() == 2000


def test_tasks_shrink_towards_the_end():
    size = TaskSize(2000, 400_000, lambda: 2)
    bundles = size.bundle(map(shard, [2000] * 200))
    first = next(bundles)
    size.scored(2000, 0.4)
    sizes = [count(bundle.shards) for bundle in [first, *bundles]]
    assert sizes[0] == 2000
    assert sizes[1:] == sorted(sizes[1:], reverse=True)
    assert (sizes[1], sizes[-1]) == (10_000, 2000)


@given(SHARDS, st.integers(1, 3000), st.integers(0, 5), st.floats(1e-6, 1.0))
def test_every_shard_is_handed_out_once_in_order_and_no_task_is_larger_than_its_share(
    images, least, threads, pace
):
    shards = [shard(number) for number in images]
    size = TaskSize(least, count(shards), lambda: threads)
    size.scored(1, pace)
    found, left = [], count(shards)
    for bundle in size.bundle(shards):
        *all_but_last, _ = [least if each.images is None else each.images for each in bundle.shards]
        assert sum(all_but_last) < max(least, left / (4 * max(threads, 1)), 1)
        left -= count(bundle.shards)
        found += bundle.shards
    assert found == shards
