import io
from dataclasses import replace

import pytest
from rich.console import Console

from jobs import show_status
from jobs.status import State, Status

SCORING = Status(
    State.SCORING,
    complete=False,
    at_work=True,
    parts=432,
    last_commit=1e9,
    seconds_since_commit=3.2,
    shards=1000,
    share=0.432,
    rows=864_000,
    rows_planned=2_000_000,
    rejected=120,
    anomalies=1033,
    images_per_second=1250.4,
    seconds_left=908.8,
    workers_lost=2,
    retries=5,
    failed_shards=0,
    host="[red]host",
    process=4242,
)
AGO = "last commit 12 minutes ago"


def shown(status):
    stream = io.StringIO()
    Console(file=stream, width=200).print(show_status.lines(status))
    return [line.rstrip() for line in stream.getvalue().splitlines()]


def test_a_running_job_in_full():
    assert shown(SCORING) == [
        "scoring by process 4242 on [red]host, last commit 3 s ago",
        "shards       432 of 1,000 (43.2%)",
        "rows         864,000 of 2,000,000",
        "rejected     120",
        "anomalies    1,033",
        "images/s     1,250, 15 minutes left",
        "workers lost 2",
        "retries      5",
        "failed       0",
    ]


@pytest.mark.parametrize(
    ("changes", "first"),
    [
        ({"state": State.COMPLETE}, f"complete: every planned shard has its rows, {AGO}"),
        (
            {"state": State.INCOMPLETE},
            f"INCOMPLETE: it ended with failed shards, {AGO}; the same score command goes on",
        ),
        (
            {"state": State.STOPPED},
            f"STOPPED before its end: {AGO} and nobody at work; the same score command goes on",
        ),
        (
            {"state": State.ELSEWHERE, "host": "far"},
            f"not ended, {AGO}: whether process 4242 on far is at work is to be seen only there",
        ),
        ({"seconds_since_commit": None, "process": None}, "scoring, nothing committed yet"),
    ],
)
def test_the_state_comes_first(changes, first):
    assert shown(replace(SCORING, **{"seconds_since_commit": 720.0, **changes}))[0] == first


def test_what_is_not_known_has_no_line():
    status = Status(State.STOPPED, False, False, 7, None, None)
    assert shown(status)[1:] == ["shards       7"]
