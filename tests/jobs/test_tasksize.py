import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.plan import SHARD_SIZE, Kind, Shard
from jobs.tasksize import SECONDS, TaskSize

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
    size = TaskSize(2000, 10**9, lambda: 2)
    assert images_of(size.bundle(map(shard, images))) == expected


def test_what_is_to_come_is_counted_where_nobody_has_by_the_usual_size():
    size = TaskSize.of(1, map(shard, [7, None, 8 * 1000 - 7]), lambda: 1000)
    size.scored(1, 1e-9)
    assert size.next() == (8000 + SHARD_SIZE) // 4000


@pytest.mark.parametrize(
    ("milliseconds", "left", "threads", "expected"),
    [
        (None, 10**9, 2, 2000),  # nothing is known yet
        (0.2, 10**9, 2, 10_000),  # by the time it is to last
        (0.2, 10**9, 1000, 10_000),
        (0.2, 10**9, 0, 2000),  # serially
        (0.2, 40_000, 2, 5000),  # by what is left for all
        (0.2, 8000, 2, 2000),
        (0.001, 10**9, 2, 16_000),  # rejected unread: of what comes then nothing is known
        (50.0, 10**9, 2, 2000),  # large photographs: never fewer than the least
    ],
)
def test_a_task_lasts_seconds_unless_too_little_is_left(milliseconds, left, threads, expected):
    size = TaskSize(2000, left, lambda: threads)
    if milliseconds is not None:
        size.scored(2000, 2000 * milliseconds / 1000)
    assert size.next() == expected


def test_the_newest_shards_tell_most_and_one_alone_not_all():
    size = TaskSize(100, 10**9, lambda: 1)
    size.scored(1000, 2.0)
    size.scored(1000, 10.0)
    assert SECONDS * 100 < size.next() < SECONDS * 500
    for _ in range(30):
        size.scored(1000, 10.0)
    assert size.next() == pytest.approx(SECONDS * 100, rel=0.01)


def test_a_part_that_was_there_tells_nothing_of_what_an_image_takes():
    size = TaskSize(2000, 10**9, lambda: 2)
    size.scored(2000, 0.0)
    size.scored(0, 1.0)
    assert size.next() == 2000


def test_tasks_shrink_towards_the_end():
    shards = [*map(shard, [2000] * 200)]
    size = TaskSize.of(2000, shards, lambda: 2)
    bundles = size.bundle(shards)
    first = next(bundles)
    size.scored(2000, 0.4)
    sizes = [sum(images) for images in images_of([first, *bundles])]
    assert sizes[0] == 2000
    assert sizes[1:] == sorted(sizes[1:], reverse=True)
    assert (sizes[1], sizes[-1]) == (10_000, 2000)


@given(SHARDS, st.integers(1, 3000), st.integers(0, 5), st.floats(1e-6, 1.0))
def test_every_shard_is_handed_out_once_in_order_and_no_task_is_larger_than_its_share(
    images, least, threads, pace
):
    shards = [*map(shard, images)]
    left = sum(SHARD_SIZE if number is None else number for number in images)
    size = TaskSize(least, left, lambda: threads)
    size.scored(1, pace)
    found = []
    for own in images_of(bundles := [*size.bundle(shards)]):
        assert None not in own[:-1]
        assert sum(own[:-1]) < max(least, left / (4 * max(threads, 1)))
        left -= sum(SHARD_SIZE if number is None else number for number in own)
    for bundle in bundles:
        found += bundle.shards
    assert found == shards
