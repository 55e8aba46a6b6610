import pytest

from jobs.capacity import RECOUNT_SECONDS, TASKS_PER_THREAD, WORKERLESS_SECONDS, Capacity, Threads
from jobs.errors import ClusterLostError


def test_so_many_tasks_fly_as_keep_every_thread_busy():
    assert Capacity(Threads(lambda: 4), 0).tasks(0) == 4 * TASKS_PER_THREAD


def test_the_threads_are_counted_now_and_then():
    counts = iter([1, 2])
    capacity = Capacity(Threads(lambda: next(counts)), 0)
    told = [capacity.tasks(now) for now in (0, RECOUNT_SECONDS, RECOUNT_SECONDS + 1)]
    assert told == [TASKS_PER_THREAD, TASKS_PER_THREAD, 2 * TASKS_PER_THREAD]


def test_a_cluster_may_be_without_workers_for_a_while_and_no_longer():
    counts = [0, 1, 0, 0]
    capacity = Capacity(Threads(lambda: counts.pop(0)), 0)
    assert capacity.tasks(WORKERLESS_SECONDS - 1) == 1
    assert capacity.tasks(WORKERLESS_SECONDS + 9) == TASKS_PER_THREAD
    assert capacity.tasks(2 * WORKERLESS_SECONDS) == 1
    with pytest.raises(ClusterLostError, match="no worker for 300 s"):
        capacity.tasks(2 * WORKERLESS_SECONDS + 10)
