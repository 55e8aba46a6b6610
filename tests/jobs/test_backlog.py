from itertools import count

import pytest

from jobs.backlog import DELAYS, Backlog, text_of
from jobs.breaker import FEWEST
from jobs.place import ShardError, StorageError
from jobs.plan import Bundle, Kind, Shard


def bundle(*numbers):
    return Bundle(tuple(Shard(f"/{number}.tar", Kind.TAR, "1-1", 0, 5, 0, 5) for number in numbers))


def failures(backlog, failed, error, now=0.0):
    return [failure.shard for failure in backlog.failed(failed, error, now)]


def test_the_plan_is_handed_out_in_order_and_no_further_than_asked():
    taken = []
    backlog = Backlog(bundle(number) for number in count() if not taken.append(number))
    assert [backlog.take(2, 0), backlog.take(1, 0)] == [[bundle(0), bundle(1)], [bundle(2)]]
    assert taken == [0, 1, 2]


def test_a_failed_bundle_is_split_and_its_shards_come_first():
    backlog = Backlog([bundle(4)])
    assert failures(backlog, bundle(1, 2, 3), ShardError("x")) == []
    assert backlog.take(9, 0) == [bundle(1), bundle(2), bundle(3), bundle(4)]


def test_what_storage_failed_for_comes_back_after_longer_and_longer_until_it_is_given_up():
    backlog, now = Backlog([]), 0.0
    for delay in DELAYS:
        assert failures(backlog, bundle(1), StorageError("gone"), now) == []
        assert backlog.take(1, now + delay - 0.01) == []
        assert backlog.wait(now) == pytest.approx(delay)
        now += delay
        assert backlog.take(1, now) == [bundle(1)]
    assert failures(backlog, bundle(1), StorageError("gone"), now) == list(bundle(1).shards)
    assert backlog.wait(now) is None


def test_what_failed_otherwise_is_given_up_at_once():
    assert failures(Backlog([]), bundle(1), ShardError("bug")) == list(bundle(1).shards)


def test_while_storage_fails_for_all_no_shard_is_given_up_and_what_was_not_tried_is_tried_first():
    backlog = Backlog(map(bundle, range(100, 110)))
    for number in range(FEWEST):
        failures(backlog, bundle(number), StorageError("gone"))
    for now in range(1, 40):
        assert failures(backlog, bundle(0), StorageError("gone"), float(now)) == []
    assert backlog.take(1, 50.0) == [bundle(100)]


def test_while_the_breaker_is_open_and_the_plan_has_not_ended_there_is_something_to_wait_for():
    backlog = Backlog([bundle(9)])
    for number in range(FEWEST):
        backlog.breaker.failed(f"{number}", 0)
    assert backlog.wait(0) == 1
    assert backlog.take(2, 1) == [bundle(9)]
    assert backlog.wait(1) is None


def test_each_try_is_told_with_its_number_until_the_shard_is_scored():
    told = []
    backlog = Backlog([], told.append)
    failures(backlog, bundle(1, 2), ShardError("x"))
    failures(backlog, bundle(1), StorageError("gone"))
    backlog.retried(bundle(1), "its worker was lost")
    assert [(event.archive, event.attempt, event.error) for event in told] == [
        ("/1.tar", 2, "x"),
        ("/2.tar", 2, "x"),
        ("/1.tar", 3, "gone"),
        ("/1.tar", 4, "its worker was lost"),
    ]
    backlog.succeeded(bundle(1))
    failures(backlog, bundle(1), StorageError("gone"))
    assert told[-1].attempt == 2


def test_what_is_given_up_is_not_told_as_tried_again():
    told = []
    assert failures(Backlog([], told.append), bundle(1), ShardError("bug"))
    assert told == []


def test_a_disk_that_is_full_is_down_at_once():
    backlog, error = Backlog([]), StorageError("full")
    error.hopeless = True
    assert failures(backlog, bundle(1), error) == []
    assert backlog.breaker.down


def test_an_error_is_told_in_one_line():
    assert text_of(ShardError("a\n b")) == "a b"
    assert text_of(ValueError("x")) == "ValueError: x"
