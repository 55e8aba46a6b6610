import pytest

from jobs.counts import LATELY_SECONDS, Counts
from jobs.events import Committed, Failed, Planned, Rejected, Retried, Started, WorkerLost

PART = Committed("part", "/a.tar", 0, 100, 3, 1)


class Clock:
    now = 1000.5

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def counts(clock):
    return Counts(clock)


def test_what_was_committed_before_counts_but_for_the_speed(counts, clock):
    counts(Planned(10, 1000, 2, 200))
    clock.now += 30  # compiling is no scoring
    counts(Started(30.0))
    clock.now += 4
    for event in (Rejected("part", "/a.tar", "empty", 1), PART):
        counts(event)
    assert (counts.shards, counts.rows, counts.parts, counts.scored) == (10, 1000, 3, 300)
    assert (counts.rejected, counts.anomalies) == (1, 3)
    assert counts.rate == counts.rate_lately == 25


def test_what_goes_wrong_is_counted(counts):
    for event in (
        WorkerLost("tcp://a"),
        Retried("/a.tar", 0, "gone"),
        Retried("/a.tar", 0, "gone", 3),
        Failed("/a.tar", 0, 5, "gone"),
    ):
        counts(event)
    assert (counts.workers_lost, counts.retries, counts.failed) == (1, 2, 1)


def test_the_speed_lately_forgets_what_is_longer_ago(counts, clock):
    counts(Started())
    for _ in range(600):
        clock.now += 1
        counts(PART)
    assert counts.rate_lately == pytest.approx(100, rel=0.02)
    for _ in range(120):
        clock.now += 1
        counts(Committed("part", "/a.tar", 0, 10, 0, 1))
    assert counts.rate_lately == pytest.approx(10, rel=0.02)
    assert counts.rate == pytest.approx(85, rel=0.01)
    clock.now += 2 * LATELY_SECONDS
    assert counts.rate_lately == 0


def test_what_it_holds_does_not_grow_with_the_parts(counts, clock):
    counts(Started())
    for _ in range(100_000):
        clock.now += 0.01
        counts(PART)
    assert len(counts._seconds) <= LATELY_SECONDS + 2
