import io

import pytest
from rich.console import Console

from dice_core.tally import Kind, Tally
from jobs.plan import Kind as Source
from jobs.plan import Shard
from jobs.progress import Bar, Lines, make_listener
from jobs.shard import Failure, PartReport

FAILURE = Failure(Shard("/lot [1].tar", Source.TAR, "1-1", 0, 5, 0, 5), "/lot [1].tar [0:5]: OSError: gone")


def report(rows, rejected=0):
    tally = Tally([(Kind("a", None, None, "rejected", "empty", None), rejected)])
    return PartReport("part", 1, "", tally, "/a.tar", "1-1", 0, rows)


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


def test_lines_are_few(clock):
    stream = io.StringIO()
    lines = Lines(stream, clock)
    lines.started(1000, 200)
    for _ in range(8):
        clock.now += 4
        lines.committed(report(100, rejected=1))
    lines.done()
    assert stream.getvalue().splitlines() == [
        "scoring 1,000 images, 200 of them scored before",
        "500 of 1,000 images, 25 images/s, 3 rejected, 20 s left",
        "800 of 1,000 images, 25 images/s, 6 rejected, 8 s left",
        "1,000 of 1,000 images, 25 images/s, 8 rejected",
    ]


def test_compiling_is_told_where_there_was_any(clock):
    stream = io.StringIO()
    console = Console(file=stream, width=80)
    for listener in (Lines(stream, clock), Bar(console, clock)):
        listener.compiled(0.0)
        listener.compiled(14.23)
    assert stream.getvalue().splitlines() == ["compiled the kernels in 14.2 s"] * 2


def test_lines_of_a_job_that_scores_nothing(clock):
    stream = io.StringIO()
    lines = Lines(stream, clock)
    lines.started(1000, 200)
    clock.now = 3
    lines.done()
    assert stream.getvalue().splitlines()[1:] == ["200 of 1,000 images, 0 images/s, 0 rejected"]


def test_lines_where_nobody_knows_how_many(clock):
    stream = io.StringIO()
    lines = Lines(stream, clock)
    lines.started(None, 0)
    clock.now = 2
    lines.committed(report(3000))
    lines.failed(FAILURE)
    lines.done()
    assert stream.getvalue().splitlines() == [
        "scoring images",
        "failed: /lot [1].tar [0:5]: OSError: gone",
        "3,000 images, 1,500 images/s, 0 rejected, shards failed: 1",
    ]


def test_the_bar_shows_speed_rejects_and_failures(clock):
    stream = io.StringIO()
    bar = Bar(Console(file=stream, force_terminal=True, width=120, color_system=None), clock)
    bar.started(1000, 200)
    clock.now = 4
    bar.committed(report(700, rejected=12))
    bar.failed(FAILURE)
    bar.committed(report(100))
    bar.done()
    shown = stream.getvalue()
    assert "failed: /lot [1].tar [0:5]: OSError: gone" in shown
    assert "1000/1000 200 images/s, 12 rejected, shards failed: 1" in shown


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_a_bar_is_for_terminals():
    assert isinstance(make_listener(Terminal()), Bar)
    assert isinstance(make_listener(io.StringIO()), Lines)
