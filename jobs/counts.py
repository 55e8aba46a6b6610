"""Counts what the stream of events tells: what bar, lines and status show of it."""

import time
from collections import deque
from collections.abc import Callable

from jobs.events import Committed, Event, Failed, Planned, Rejected, Retried, Started, WorkerLost

LATELY_SECONDS = 60.0
"""Time over which a job's present speed is measured."""


class Counts:
    """How far a job is, by a clock that is given.

    Attributes
    ----------
    shards, rows
        Planned in all; None where that is not known.
    parts, scored, rejected, anomalies
        Parts committed, their rows, and how many of these are rejected and judged defective; what was
        committed by earlier starts included.
    failed, retries, workers_lost
        Of this start.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self.shards: int | None = None
        self.rows: int | None = None
        self.parts = self.scored = self.rejected = self.anomalies = self.before = 0
        self.failed = self.retries = self.workers_lost = 0
        self._began = clock()
        self._seconds: deque[tuple[float, int]] = deque()
        """Rows by the second they were committed in, the last minute's."""

    def __call__(self, event: Event) -> None:
        """Count an event."""
        match event:
            case Planned():
                self.shards, self.rows = event.shards, event.rows
                self.parts, self.scored = event.shards_before, event.rows_before
                self.before = event.rows_before
            case Started():
                self._began = self._clock()
            case Rejected():
                self.rejected += event.images
            case Committed():
                self.parts += 1
                self.scored += event.rows
                self.anomalies += event.anomalies
                self._add(event.rows)
            case Retried():
                self.retries += 1
            case WorkerLost():
                self.workers_lost += 1
            case Failed():
                self.failed += 1

    def _add(self, rows: int) -> None:
        second = self._clock() // 1
        if self._seconds and self._seconds[-1][0] == second:
            rows += self._seconds.pop()[1]
        self._seconds.append((second, rows))
        while self._seconds[0][0] < second - LATELY_SECONDS:
            self._seconds.popleft()

    @property
    def rate(self) -> float:
        """Rows per second since scoring started."""
        return (self.scored - self.before) / max(self._clock() - self._began, 1e-9)

    @property
    def rate_lately(self) -> float:
        """Rows per second of the last minute."""
        now = self._clock()
        rows = sum(rows for second, rows in self._seconds if second >= now - LATELY_SECONDS)
        return rows / max(min(now - self._began, LATELY_SECONDS), 1e-9)
