"""What happens in a job, as typed events: all that tell of it listen to the one stream of them."""

import re
from collections.abc import Callable, Container, Iterable, Iterator
from dataclasses import asdict, dataclass
from threading import Lock
from typing import Any

from jobs import storage
from jobs.plan import Shard
from jobs.shard import Failure, PartReport

COMPILING = "compiling the kernels, up to a minute"
"""What people are told while nothing else happens."""


@dataclass(frozen=True, slots=True)
class Planning:
    """Headers are walked: told now and then where that takes more than a second, before there is a log.

    Attributes
    ----------
    sources, sources_done
        Asked for, and looked at so far.
    members
        Found so far.
    ended
        Whether it is over, well or not.
    """

    sources: int
    sources_done: int
    members: int
    ended: bool = False


@dataclass(frozen=True, slots=True)
class Planned:
    """What is to be done is known: the first in a log, and only where there is anything to score.

    Attributes
    ----------
    shards, rows
        Of the sources asked for, what was committed before included; `rows` None where one does not tell.
    shards_before, rows_before
        Committed before.
    """

    shards: int
    rows: int | None
    shards_before: int = 0
    rows_before: int = 0


@dataclass(frozen=True, slots=True)
class Streamed:
    """A large tar.gz is to be read, by one worker alone.

    Attributes
    ----------
    size
        Bytes of the archive.
    """

    archive: str
    size: int


@dataclass(frozen=True, slots=True)
class Compiling:
    """A kernel is not there yet, and this process compiles it, others after it."""


@dataclass(frozen=True, slots=True)
class Started:
    """Kernels and workers are ready, the first tasks go out."""

    compile_seconds: float = 0.0
    """The longest that a process compiled; 0 where everything was found."""


@dataclass(frozen=True, slots=True)
class Rejected:
    """Images of one part that could not be scored, for one reason; told before the part."""

    part: str
    archive: str
    reason: str
    images: int


@dataclass(frozen=True, slots=True)
class Committed:
    """A part was written.

    Attributes
    ----------
    first, rows
        Index of its first row, and how many follow each other from there.
    anomalies
        Rows judged defective, parts of unknown kind included.
    size
        Bytes of the part.
    """

    part: str
    archive: str
    first: int
    rows: int
    anomalies: int
    size: int


@dataclass(frozen=True, slots=True)
class Retried:
    """A shard is tried once more, after an error or because its worker was lost."""

    archive: str
    first: int
    error: str
    attempt: int = 2
    """The one that begins now; the first try is 1."""


@dataclass(frozen=True, slots=True)
class WorkerLost:
    """A worker is gone that nobody had asked to go."""

    worker: str
    """Its address."""


@dataclass(frozen=True, slots=True)
class Failed:
    """A shard was given up; without a place, the cluster was lost with all that was left."""

    archive: str | None
    first: int | None
    stop: int | None
    error: str


@dataclass(frozen=True, slots=True)
class Scored:
    """The last task has ended, well or not; lists and summary follow."""

    seconds: float
    """From `Started`."""


@dataclass(frozen=True, slots=True)
class Done:
    """The job has ended."""

    exit_code: int
    complete: bool
    """Whether every planned shard has its rows."""


_Before = Planning | Planned | Streamed | Compiling | Started
_Meanwhile = Rejected | Committed | Retried | WorkerLost | Failed
Event = _Before | _Meanwhile | Scored | Done
Listener = Callable[[Event], None]


def ignore(_event: Event) -> None:
    """Listen for nobody."""


class Stream:
    """Passes each event to every listener before the next, whatever thread it comes from."""

    def __init__(self, *listeners: Listener) -> None:
        self._listeners = listeners
        self._lock = Lock()

    def __call__(self, event: Event) -> None:
        """Pass an event on."""
        with self._lock:
            for listener in self._listeners:
                listener(event)


def of_plan(planned: Iterable[Shard], there: Container[str]) -> Planned:
    """Tell what is to be done, from the shards of the sources asked for and the names of the parts there."""
    shards = shards_before = rows = rows_before = 0
    known = True
    for shard in planned:
        images = shard.images or 0
        shards, rows = shards + 1, rows + images
        known = known and shard.images is not None
        if shard.part in there:
            shards_before, rows_before = shards_before + 1, rows_before + images
    return Planned(shards, rows if known else None, shards_before, rows_before)


def of_part(report: PartReport) -> Iterator[Event]:
    """Tell of a part that was committed, its rejects first: so whoever counts has them with its rows."""
    for reason, images in sorted(report.tally.rejects().items()):
        yield Rejected(report.name, report.archive, reason, images)
    yield Committed(
        report.name, report.archive, report.first, report.rows, report.tally.anomalies, report.size
    )


def of_failure(failure: Failure) -> Failed:
    """Tell of a shard that was given up."""
    shard = failure.shard
    return Failed(shard.archive, shard.first, shard.stop, failure.error)


def name(event: Event) -> str:
    """Name the type of an event as JSON has it, such as ``worker_lost``."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", type(event).__name__).lower()


def told(event: Event) -> dict[str, Any]:
    """List an event's fields; names that are not valid UTF-8, which no JSON holds, as they are printed."""
    fields = asdict(event)
    return {
        key: storage.printable(value) if isinstance(value, str) else value for key, value in fields.items()
    }
