"""The snapshot of a job: a small file in its folder that tells another process how far it is."""

import json
import os
import platform
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Self

import psutil

from jobs import folder, storage
from jobs.counts import Counts
from jobs.events import Event, Planned, Scored, Started

SNAPSHOT_SECONDS = 2.0
"""Time between two snapshots, at least."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """How far a job was, as `Counts` has it.

    Attributes
    ----------
    host, process
        Which process runs the job.
    phase
        The last of ``planned``, ``started``, ``scored`` that was told.
    images_per_second
        Of the last minute.
    written
        Seconds since 1970.
    """

    host: str
    process: int
    phase: str
    shards: int | None
    rows: int | None
    scored: int
    rejected: int
    anomalies: int
    failed: int
    retries: int
    workers_lost: int
    images_per_second: float
    written: float

    @property
    def is_running(self) -> bool:
        """Whether it is this machine's process, and runs."""
        return self.host == platform.node() and psutil.pid_exists(self.process)

    @classmethod
    def read(cls, out: str) -> Self | None:
        """Read the snapshot in a job folder; None where there is none, or one of another version."""
        try:
            return cls(**json.loads(storage.read(storage.join(out, folder.PROGRESS))))
        except (FileNotFoundError, ValueError, TypeError, RecursionError):
            return None


class Snapshots:
    """Writes snapshots into a job folder, every few seconds at most, and whenever the job's phase changes."""

    def __init__(
        self,
        out: str,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._url = storage.join(out, folder.PROGRESS)
        self._clock = clock
        self._wall = wall
        self._counts = Counts(clock)
        self._phase = "planned"
        self._written = float("-inf")

    def __call__(self, event: Event) -> None:
        """Count, and write when it is time."""
        self._counts(event)
        match event:
            case Planned() | Started() | Scored():
                self._phase = type(event).__name__.lower()
                self._write()
            case _ if self._clock() - self._written >= SNAPSHOT_SECONDS:
                self._write()

    def _write(self) -> None:
        counts = self._counts
        taken = Snapshot(
            platform.node(),
            os.getpid(),
            self._phase,
            counts.shards,
            counts.rows,
            counts.scored,
            counts.rejected,
            counts.anomalies,
            counts.failed,
            counts.retries,
            counts.workers_lost,
            round(counts.rate_lately, 1),
            self._wall(),
        )
        self._written = self._clock()
        try:
            folder.write_json(self._url, asdict(taken))
        except OSError:
            # It tells only how far the job is; that nothing can be written any more, the next part says.
            return
