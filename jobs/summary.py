"""What a job tells at its end: counts, and the exit code that follows from them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from dice_core.rows import Reason, Verdict
from dice_core.tally import Tally
from jobs.errors import ExitCode, Refusal
from jobs.events import (
    Committed,
    Event,
    Failed,
    Planned,
    Retried,
    Scored,
    Started,
    WorkerLost,
    told,
)

UNKNOWN_SHARE = 0.2
"""The share of images unlike the model's parts above which a job says so."""

FAILURES_TOLD = 100
"""Failed shards that the summary lists; it counts them all."""


@dataclass(frozen=True, slots=True)
class RejectLimit:
    """How many images may be rejected: a number, or a share of all."""

    number: int | None = None
    share: float | None = None

    @classmethod
    def parse(cls, text: str) -> "RejectLimit":
        """Read ``N`` or ``P%``.

        Raises
        ------
        Refusal
            Where it is neither, or out of range.
        """
        try:
            limit = cls(share=float(text[:-1]) / 100) if text.endswith("%") else cls(number=int(text))
        except ValueError:
            limit = cls(number=-1)
        if (limit.number or 0) < 0 or not 0 <= (limit.share or 0) <= 1:
            raise Refusal(f"--max-rejects {text}: give a number of images such as 20, or a share such as 1%")
        return limit

    def exceeded(self, tally: Tally) -> bool:
        """Tell whether more images are rejected than may be; archive junk is no image."""
        allowed = self.number if self.share is None else self.share * (tally.ok + tally.rejected)
        return allowed is not None and tally.rejected > allowed


class Total:
    """Merges many tallies in the time of a sort: equals with equals, as ``+`` copies what it adds to."""

    def __init__(self) -> None:
        self._levels: list[Tally | None] = []

    @classmethod
    def of(cls, tallies: Iterable[Tally]) -> "Total":
        """Merge tallies."""
        total = cls()
        for tally in tallies:
            total.add(tally)
        return total

    def add(self, tally: Tally) -> None:
        """Merge one more."""
        for level, held in enumerate(self._levels):
            if held is None:
                self._levels[level] = tally
                return
            tally = held + tally
            self._levels[level] = None
        self._levels.append(tally)

    @property
    def tally(self) -> Tally:
        """The merged tally so far."""
        return sum((held for held in self._levels if held is not None), Tally())


def exit_code(tally: Tally, limit: RejectLimit, *, shards_failed: bool) -> ExitCode:
    """Choose how a job ends, the worst first."""
    if shards_failed:
        return ExitCode.SHARDS_FAILED
    if limit.exceeded(tally):
        return ExitCode.TOO_MANY_REJECTS
    if tally.unknown > UNKNOWN_SHARE * tally.ok:
        return ExitCode.UNKNOWN_PARTS
    return ExitCode.DONE


def counts(tally: Tally) -> Mapping[str, Any]:
    """Count the rows of a job as its summary gives them."""
    reasons = tally.by("reason")
    return {
        "archives": len(tally.by("archive")),
        "lots": len(tally.by("lot")),
        "rows": tally.rows,
        "images": tally.ok + tally.rejected,
        "ok": tally.ok,
        "rejected": tally.rejected,
        "ignored": tally.ignored,
        "good": tally.count(lambda kind: kind.verdict == Verdict.GOOD),
        "anomaly": tally.count(lambda kind: kind.verdict == Verdict.ANOMALY),
        "unknown_part": tally.unknown,
        "unlabelled": tally.count(lambda kind: kind.verdict is not None and kind.label is None),
        "broken_archives": tally.archives(Reason.BROKEN_ARCHIVE),
        "reasons": {reason: reasons[reason] for reason in sorted(filter(None, reasons))},
    }


@dataclass
class Outcome:
    """What a job adds up to, as the stream of its events tells it."""

    total: Total = field(default_factory=Total)
    """Of all parts that are there."""
    shards: int = 0
    """Planned in all."""
    rows: int = 0
    """Of this run."""
    seconds: float = 0.0
    """From the first task to the last, compiling apart."""
    compile_seconds: float = 0.0
    """The longest that a process compiled before it scored."""
    retries: int = 0
    workers_lost: int = 0
    failed: int = 0
    failures: list[dict[str, Any]] = field(default_factory=list)

    def __call__(self, event: Event) -> None:
        """Add an event."""
        match event:
            case Planned():
                self.shards = event.shards
            case Started():
                self.compile_seconds = event.compile_seconds
            case Committed():
                self.rows += event.rows
            case Retried():
                self.retries += 1
            case WorkerLost():
                self.workers_lost += 1
            case Failed():
                self._fail(event)
            case Scored():
                self.seconds = event.seconds

    def _fail(self, event: Failed) -> None:
        self.failed += 1
        if len(self.failures) < FAILURES_TOLD:
            self.failures.append({key: value for key, value in told(event).items() if value is not None})

    def told(self) -> dict[str, Any]:
        """Tell it as the summary does."""
        return {
            "complete": self.failed == 0,
            **counts(self.total.tally),
            "shards": self.shards,
            "failed_shards": self.failed,
            "failures": self.failures,
            "retries": self.retries,
            "workers_lost": self.workers_lost,
            "rows_scored": self.rows,
            "compile_seconds": round(self.compile_seconds, 3),
            "seconds": round(self.seconds, 3),
            "images_per_second": round(self.rows / self.seconds, 1) if self.seconds else None,
        }
