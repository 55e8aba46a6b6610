"""How many tasks may be in flight on a cluster whose workers come and go."""

from collections.abc import Callable

from jobs.errors import ClusterLostError

TASKS_PER_THREAD = 3
"""Tasks in flight for each thread of the cluster: one that runs, and two that hide the way there."""

WORKERLESS_SECONDS = 300.0
"""How long a cluster may be without any worker."""

RECOUNT_SECONDS = 5.0
"""How long a count of the cluster's threads is believed."""


class Threads:
    """The threads of a cluster, by a count of the last few seconds: each asks its scheduler."""

    def __init__(self, count: Callable[[], int]) -> None:
        self._count = count
        self._counted = float("-inf")
        self._threads = 0

    def count(self, now: float) -> int:
        """Tell how many, at a time in seconds of a clock that never goes back."""
        if now - self._counted > RECOUNT_SECONDS:
            self._threads, self._counted = self._count(), now
        return self._threads


class Capacity:
    """How many tasks may be in flight, by the cluster's threads of the last few seconds.

    Parameters
    ----------
    threads
        Those of the cluster.
    now
        The time, as that of `tasks`: seconds of a clock that never goes back.
    """

    def __init__(self, threads: Threads, now: float) -> None:
        self._threads = threads
        self._peopled = now

    def tasks(self, now: float) -> int:
        """Tell how many, at least 1.

        Raises
        ------
        ClusterLostError
            Where there was no worker for `WORKERLESS_SECONDS`.
        """
        if threads := self._threads.count(now):
            self._peopled = now
        elif now - self._peopled > WORKERLESS_SECONDS:
            raise ClusterLostError(f"no worker for {WORKERLESS_SECONDS:.0f} s")
        return max(1, TASKS_PER_THREAD * threads)
