"""How far a job is, as text for a person."""

from collections.abc import Iterator

from rich.console import Group
from rich.text import Text

from jobs.status import State, Status
from jobs.text import ago, plain


def lines(status: Status) -> Group:
    """Tell the state first, then the figures that are known."""
    return Group(*(Text(plain(line)) for line in (_state(status), *_figures(status))))


def _state(status: Status) -> str:
    commit = "nothing committed yet"
    if status.seconds_since_commit is not None:
        commit = f"last commit {ago(status.seconds_since_commit)} ago"
    match status.state:
        case State.COMPLETE:
            return f"complete: every planned shard has its rows, {commit}"
        case State.INCOMPLETE:
            return f"INCOMPLETE: it ended with failed shards, {commit}; the same score command goes on"
        case State.SCORING:
            process = "" if status.process is None else f" by process {status.process} on {status.host}"
            return f"scoring{process}, {commit}"
        case State.STOPPED:
            return f"STOPPED before its end: {commit} and nobody at work; the same score command goes on"
        case State.ELSEWHERE:
            process = f"process {status.process} on {status.host}"
            return f"not ended, {commit}: whether {process} is at work is to be seen only there"


def _figures(status: Status) -> Iterator[str]:
    share = "" if status.share is None else f" ({status.share:.1%})"
    if status.compacted is None:
        yield f"shards       {_of(status.parts, status.shards)}{share}"
    else:
        yield f"files        {status.parts:,}, compacted from {status.compacted:,} parts"
    if status.rows is not None:
        yield f"rows         {_of(status.rows, status.rows_planned)}"
    left = "" if status.seconds_left is None else f", {ago(status.seconds_left)} left"
    speed = None if status.images_per_second is None else f"{status.images_per_second:,.0f}{left}"
    counts = {
        "rejected": status.rejected,
        "anomalies": status.anomalies,
        "images/s": speed,
        "workers lost": status.workers_lost,
        "retries": status.retries,
        "failed": status.failed_shards,
    }
    for name, count in counts.items():
        if count is not None:
            yield f"{name:12} {count if isinstance(count, str) else f'{count:,}'}"


def _of(some: int, planned: int | None) -> str:
    return f"{some:,}" if planned is None else f"{some:,} of {planned:,}"
