"""Tells a person how far a job is. It listens only: a job runs the same without it."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol, TextIO

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from jobs.shard import Failure, PartReport
from jobs.text import plain

LINE_SECONDS = 10.0
"""Time between two lines where there is no terminal."""


class Listener(Protocol):
    """What a job calls as it goes."""

    def compiled(self, seconds: float) -> None:
        """Hear that the kernels are ready, and for how long they were compiled; 0 where they were found."""

    def started(self, total: int | None, done: int) -> None:
        """Hear that scoring starts: of `total` members, where known, `done` have rows already."""

    def committed(self, report: PartReport) -> None:
        """Hear of a part that was written."""

    def failed(self, failure: Failure) -> None:
        """Hear of a shard that was given up."""

    def done(self) -> None:
        """Hear that scoring ended, well or not."""


class Silence:
    """A listener for nobody."""

    def compiled(self, seconds: float) -> None:
        """Say nothing."""

    def started(self, total: int | None, done: int) -> None:
        """Say nothing."""

    def committed(self, report: PartReport) -> None:
        """Say nothing."""

    def failed(self, failure: Failure) -> None:
        """Say nothing."""

    def done(self) -> None:
        """Say nothing."""


class _Counts:
    """What both forms count, by a clock that is given."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self.start(None, 0)

    def start(self, total: int | None, done: int) -> None:
        self.total = total
        self.before = done
        self.rows = self.rejected = self.failed = 0
        self.began = self._clock()

    def add(self, report: PartReport) -> None:
        self.rows += report.rows
        self.rejected += report.tally.rejected

    @property
    def rate(self) -> float:
        """Members per second in this run."""
        return self.rows / max(self._clock() - self.began, 1e-9)

    @property
    def text(self) -> str:
        failed = f", shards failed: {self.failed}" if self.failed else ""
        return f"{self.rate:,.0f} images/s, {self.rejected:,} rejected{failed}"


def _compiled(seconds: float) -> str:
    return f"compiled the kernels in {seconds:.1f} s"


class Lines:
    """Progress as plain lines: the first, one every few seconds, the last."""

    def __init__(self, stream: TextIO, clock: Callable[[], float] = time.monotonic) -> None:
        self._stream = stream
        self._clock = clock
        self._counts = _Counts(clock)
        self._told = 0.0

    def compiled(self, seconds: float) -> None:
        """Write how long compiling took, where it did."""
        if seconds:
            self._write(_compiled(seconds))

    def started(self, total: int | None, done: int) -> None:
        """Write the first line."""
        self._counts.start(total, done)
        self._told = self._clock()
        before = f", {done:,} of them scored before" if done else ""
        self._write(f"scoring {'' if total is None else f'{total:,} '}images{before}")

    def committed(self, report: PartReport) -> None:
        """Count, and write a line when it is time."""
        self._counts.add(report)
        if self._clock() - self._told >= LINE_SECONDS:
            self._told = self._clock()
            self._write(self._line())

    def failed(self, failure: Failure) -> None:
        """Write what failed at once."""
        self._counts.failed += 1
        self._write(f"failed: {plain(failure.error)}")

    def done(self) -> None:
        """Write the last line."""
        self._write(self._line())

    def _line(self) -> str:
        counts = self._counts
        scored = counts.before + counts.rows
        if counts.total is None:
            return f"{scored:,} images, {counts.text}"
        left = f", {(counts.total - scored) / counts.rate:.0f} s left" if counts.rows else ""
        return f"{scored:,} of {counts.total:,} images, {counts.text}{left if scored < counts.total else ''}"

    def _write(self, line: str) -> None:
        self._stream.write(f"{line}\n")
        self._stream.flush()


class Bar:
    """Progress as a bar on a terminal."""

    def __init__(self, console: Console, clock: Callable[[], float] = time.monotonic) -> None:
        self._counts = _Counts(clock)
        self._progress = Progress(
            TextColumn("scoring"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[text]}"),
            TimeRemainingColumn(),
            console=console,
        )
        self._task = self._progress.add_task("", start=False, total=None, text="")

    def compiled(self, seconds: float) -> None:
        """Write how long compiling took, where it did."""
        if seconds:
            self._progress.console.print(_compiled(seconds), markup=False, highlight=False)

    def started(self, total: int | None, done: int) -> None:
        """Show the bar."""
        self._counts.start(total, done)
        self._progress.update(self._task, total=total, completed=done)
        self._progress.start_task(self._task)
        self._progress.start()

    def committed(self, report: PartReport) -> None:
        """Move the bar."""
        self._counts.add(report)
        self._progress.update(self._task, advance=report.rows, text=self._counts.text)

    def failed(self, failure: Failure) -> None:
        """Write what failed above the bar."""
        self._counts.failed += 1
        self._progress.console.print(f"failed: {plain(failure.error)}", markup=False, highlight=False)

    def done(self) -> None:
        """Leave the bar as it is."""
        self._progress.stop()


def make_listener(stream: TextIO | None = None) -> Listener:
    """Make a bar where the stream, by default standard error, is a terminal; lines otherwise."""
    stream = stream or sys.stderr
    return Bar(Console(file=stream)) if stream.isatty() else Lines(stream)


@contextmanager
def counting(title: str, total: int) -> Iterator[Callable[[int], None]]:
    """Show a bar for work that is counted, on a terminal; give the function that moves it."""
    with Progress(
        TextColumn(title),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        disable=not sys.stderr.isatty(),
    ) as progress:
        task = progress.add_task("", total=total)
        yield lambda done: progress.advance(task, done)
