import io

import pytest
from rich.console import Console

from jobs.events import (
    Committed,
    Compiling,
    Failed,
    Planned,
    Planning,
    Rejected,
    Retried,
    Scored,
    Started,
    Streamed,
    WorkerLost,
)
from jobs.progress import Bar, Lines, make_listener

FAILURE = Failed("/lot [1].tar", 0, 5, "/lot [1].tar [0:5]: OSError: gone")


def committed(rows, rejected=0):
    if rejected:
        yield Rejected("part", "/a.tar", "empty", rejected)
    yield Committed("part", "/a.tar", 0, rows, 0, 1)


def tell(listener, *events):
    for event in events:
        listener(event)


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
    tell(lines, Planned(10, 1000, 2, 200), Started())
    for _ in range(8):
        clock.now += 4
        tell(lines, *committed(100, rejected=1))
    tell(lines, Scored(32.0))
    assert stream.getvalue().splitlines() == [
        "scoring 1,000 images, 200 of them scored before",
        "500 of 1,000 images, 25 images/s, 3 rejected, 20 s left",
        "800 of 1,000 images, 25 images/s, 6 rejected, 8 s left",
        "1,000 of 1,000 images, 25 images/s, 8 rejected",
    ]


def test_long_planning_is_told_of_in_few_lines_or_one_that_changes(clock):
    stream = io.StringIO()
    lines = Lines(stream, clock)
    for done in range(4):
        tell(lines, Planning(10_000, done, 2000 * done, ended=done == 3))
        clock.now += 6
    assert stream.getvalue().splitlines() == [
        "planning: 0 of 10,000 sources, 0 members",
        "planning: 2 of 10,000 sources, 4,000 members",
    ]
    stream = io.StringIO()
    bar = Bar(Console(file=stream, width=80, force_terminal=True), clock)
    tell(bar, Planning(10_000, 7, 14_000), Planning(10_000, 8, 14_000, ended=True), Started(), Scored(0.0))
    assert "planning: 7 of 10,000 sources, 14,000 members" in stream.getvalue()


def test_a_large_archive_that_one_worker_streams_is_told_of(clock):
    stream = io.StringIO()
    for listener in (Lines(stream, clock), Bar(Console(file=stream, width=200), clock)):
        tell(listener, Streamed("/[red]lot.tgz", 5 << 29), Started(), Scored(0.0))
    told = "/[red]lot.tgz: 2.5 GiB of tar.gz go through one worker; all would share a tar or zip\n"
    assert stream.getvalue().count(told) == 2


def test_compiling_is_told_where_there_was_any(clock):
    stream = io.StringIO()
    console = Console(file=stream, width=80)
    for listener in (Lines(stream, clock), Bar(console, clock)):
        tell(listener, Started(0.0), Compiling(), Started(14.23), Scored(0.0))
    assert stream.getvalue().count("compiled the kernels in 14.2 s\n") == 2
    assert stream.getvalue().count("compiled") == 2
    assert stream.getvalue().count("compiling the kernels, up to a minute\n") == 2


def test_lines_of_a_job_that_scores_nothing(clock):
    stream = io.StringIO()
    lines = Lines(stream, clock)
    tell(lines, Planned(10, 1000, 2, 200), Started())
    clock.now = 3
    tell(lines, Scored(3.0))
    assert stream.getvalue().splitlines()[1:] == ["200 of 1,000 images, 0 images/s, 0 rejected"]


def test_lines_where_nobody_knows_how_many(clock):
    stream = io.StringIO()
    lines = Lines(stream, clock)
    tell(lines, Planned(2, None), Started())
    clock.now = 2
    tell(lines, *committed(3000), FAILURE, Scored(2.0))
    assert stream.getvalue().splitlines() == [
        "scoring images",
        "failed: /lot [1].tar [0:5]: OSError: gone",
        "3,000 images, 1,500 images/s, 0 rejected, shards failed: 1",
    ]


def test_lost_workers_and_retries_are_told_at_once_and_counted(clock):
    stream = io.StringIO()
    lines = Lines(stream, clock)
    tell(
        lines,
        Planned(2, 100),
        Started(),
        WorkerLost("tcp://10.0.0.7:4321"),
        Retried("/\x1b[31m.tar", 2000, "its worker was lost", 3),
    )
    clock.now = 4
    tell(lines, *committed(100), Scored(4.0))
    assert stream.getvalue().splitlines()[1:] == [
        "worker lost: tcp://10.0.0.7:4321",
        r"tried again (3): /\x1b[31m.tar [2000:]: its worker was lost",
        "100 of 100 images, 25 images/s, 0 rejected, retries: 1, workers lost: 1",
    ]


def test_the_bar_shows_speed_rejects_and_failures(clock):
    stream = io.StringIO()
    bar = Bar(Console(file=stream, force_terminal=True, width=120, color_system=None), clock)
    tell(bar, Planned(10, 1000, 2, 200), Started())
    clock.now = 4
    tell(bar, *committed(700, rejected=12), FAILURE, WorkerLost("tcp://a"), *committed(100), Scored(4.0))
    shown = stream.getvalue()
    assert "failed: /lot [1].tar [0:5]: OSError: gone" in shown
    assert "worker lost: tcp://a" in shown
    assert "1000/1000 200 images/s, 12 rejected, workers lost: 1, shards failed: 1" in shown


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_a_bar_is_for_terminals():
    assert isinstance(make_listener(Terminal()), Bar)
    assert isinstance(make_listener(io.StringIO()), Lines)
