"""Tells a person how far a job is, from the stream of its events."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TextIO

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from jobs.counts import Counts
from jobs.events import (
    COMPILING,
    Committed,
    Compiling,
    Event,
    Failed,
    Listener,
    Planning,
    Retried,
    Scored,
    Started,
    Streamed,
    WorkerLost,
)
from jobs.text import plain

LINE_SECONDS = 10.0
"""Time between two lines where there is no terminal."""


def _so_far(counts: Counts) -> str:
    """Tell speed, rejects and what went wrong."""
    wrong = {
        "retries": counts.retries,
        "workers lost": counts.workers_lost,
        "shards failed": counts.failed,
    }
    told = "".join(f", {what}: {count:,}" for what, count in wrong.items() if count)
    return f"{counts.rate:,.0f} images/s, {counts.rejected:,} rejected{told}"


def _notice(event: Event) -> str | None:
    """Write what is told at once; None for what only counts."""
    told = None
    match event:
        case Streamed():
            size = f"{event.size / 2**30:.1f} GiB"
            told = f"{event.archive}: {size} of tar.gz go through one worker; all would share a tar or zip"
        case Compiling():
            told = COMPILING
        case Started(compile_seconds) if compile_seconds:
            told = f"compiled the kernels in {compile_seconds:.1f} s"
        case WorkerLost(worker):
            told = f"worker lost: {worker}"
        case Retried():
            told = f"tried again ({event.attempt}): {event.archive} [{event.first}:]: {event.error}"
        case Failed():
            told = f"failed: {event.error}"
    return told if told is None else plain(told)


def _found(planning: Planning) -> str:
    sources = f"{planning.sources_done:,} of {planning.sources:,} sources"
    return f"{sources}, {planning.members:,} members"


class Lines:
    """Progress as plain lines: the first, one every few seconds, the last."""

    def __init__(self, stream: TextIO, clock: Callable[[], float] = time.monotonic) -> None:
        self._stream = stream
        self._clock = clock
        self._counts = Counts(clock)
        self._told = clock() - LINE_SECONDS

    def __call__(self, event: Event) -> None:
        """Count, and write what is to be told, or a line when it is time."""
        self._counts(event)
        if notice := _notice(event):
            self._write(notice)
        match event:
            case Planning() if self._clock() - self._told >= LINE_SECONDS:
                self._told = self._clock()
                self._write(f"planning: {_found(event)}")
            case Started():
                self._told = self._clock()
                self._write(self._first())
            case Committed() if self._clock() - self._told >= LINE_SECONDS:
                self._told = self._clock()
                self._write(self._line())
            case Scored():
                self._write(self._line())

    def _first(self) -> str:
        total = "" if self._counts.rows is None else f"{self._counts.rows:,} "
        before = f", {self._counts.before:,} of them scored before" if self._counts.before else ""
        return f"scoring {total}images{before}"

    def _line(self) -> str:
        counts = self._counts
        if counts.rows is None:
            return f"{counts.scored:,} images, {_so_far(counts)}"
        missing = counts.rows - counts.scored
        left = f", {missing / counts.rate:.0f} s left" if missing > 0 and counts.rate else ""
        return f"{counts.scored:,} of {counts.rows:,} images, {_so_far(counts)}{left}"

    def _write(self, line: str) -> None:
        self._stream.write(f"{line}\n")
        self._stream.flush()


class Bar:
    """Progress as a bar on a terminal."""

    def __init__(self, console: Console, clock: Callable[[], float] = time.monotonic) -> None:
        self._counts = Counts(clock)
        self._planning = console.status("planning")
        self._progress = Progress(
            TextColumn("scoring"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[text]}"),
            TimeRemainingColumn(),
            console=console,
        )
        self._task = self._progress.add_task("", start=False, total=None, text="")

    def __call__(self, event: Event) -> None:
        """Count, write what is to be told above the bar, and move it."""
        self._counts(event)
        if notice := _notice(event):
            self._progress.console.print(notice, markup=False, highlight=False)
        match event:
            case Planning(ended=True):
                self._planning.stop()
            case Planning():
                self._planning.update(f"planning: {_found(event)}")
                self._planning.start()
            case Started():
                self._progress.update(self._task, total=self._counts.rows, completed=self._counts.scored)
                self._progress.start_task(self._task)
                self._progress.start()
            case Committed():
                self._progress.update(self._task, advance=event.rows, text=_so_far(self._counts))
            case Scored():
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
