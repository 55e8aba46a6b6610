"""The job ``status``: how far a scoring is, told from names, small files and a lock; no part is opened."""

import platform
import time
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from typing import Any

from jobs import folder, planlist, storage
from jobs.counts import LATELY_SECONDS
from jobs.errors import Refusal
from jobs.snapshot import Snapshot
from jobs.text import utc


class State(StrEnum):
    """What a job is at."""

    SCORING = "scoring"
    """A process is at work on the folder."""
    STOPPED = "stopped"
    """It has not ended, and nobody is at work."""
    INCOMPLETE = "incomplete"
    """It has ended; some shards failed."""
    COMPLETE = "complete"
    ELSEWHERE = "elsewhere"
    """It has not ended, and ran on another machine: whether it still does is not to be seen from here."""


@dataclass(frozen=True, slots=True)
class Status:
    """How far a job is.

    Attributes
    ----------
    at_work
        Whether a process of this machine scores into the folder.
    share
        Of the planned shards that have their parts; None where the plan is not known.
    parts, shards
        How many have, and how many are planned; of a compacted job, files and None.
    compacted
        How many parts its files were made of, if the job is a compacted one.
    rows, rows_planned
        Of parts committed; planned in all, where every archive tells.
    rejected, anomalies
        Among these rows; None where the job stopped before it had counted all of them.
    images_per_second
        Lately, while it is at work; of its last run, once it has ended; None otherwise.
    seconds_left
        At that speed; None where that is not known.
    last_commit
        When the newest part was written, seconds since 1970.
    seconds_since_commit
        Until now.
    host, process
        Where it runs, or ran until it stopped.
    """

    state: State
    complete: bool
    at_work: bool
    parts: int
    last_commit: float | None
    seconds_since_commit: float | None
    shards: int | None = None
    share: float | None = None
    rows: int | None = None
    rows_planned: int | None = None
    rejected: int | None = None
    anomalies: int | None = None
    images_per_second: float | None = None
    seconds_left: float | None = None
    workers_lost: int | None = None
    retries: int | None = None
    failed_shards: int | None = None
    host: str | None = None
    process: int | None = None
    compacted: int | None = None

    def told(self) -> dict[str, Any]:
        """Tell it as JSON has it, times as ISO 8601."""
        return {**asdict(self), "last_commit": self.last_commit and utc(self.last_commit)}


def status(out: str, now: float | None = None) -> Status:
    """Tell how far the job of a folder is.

    Parameters
    ----------
    now
        Seconds since 1970; the present unless told.

    Raises
    ------
    Refusal
        Where the folder is no job's.
    """
    job = folder.read_job(out)
    if job is None:
        raise Refusal(f"{out}: not a job folder: name one that score wrote")
    at_work = storage.is_held(out)  # before the summary is looked for: it is written while the folder is held
    compacted = folder.is_compacted(job)
    names = [name for name in storage.list_names(out) if folder.is_part(name, compacted=compacted)]
    last = storage.last_changed(out, names)
    now = time.time() if now is None else now
    since = None if last is None else round(max(0.0, now - last), 3)
    found = Status(
        State.STOPPED,
        complete=False,
        at_work=at_work,
        parts=len(names),
        last_commit=last,
        seconds_since_commit=since,
    )
    try:
        summary = folder.read_summary(out)
    except FileNotFoundError:
        taken = Snapshot.read(out)
        if storage.is_remote(out) and taken is not None:
            found = replace(found, at_work=taken.is_running)  # nobody holds a folder there
        told = _unfinished(found, taken)
        return told if taken is None or told.at_work else _recounted(told, taken, _rows(out, names))
    except ValueError as error:
        raise Refusal(f"{out}: {folder.SUMMARY}: {error}: the same score command writes it anew") from error
    return _ended(found, summary)


def _ended(found: Status, summary: Mapping[str, Any]) -> Status:
    compacted = summary.get("compacted", {}).get("parts")
    shards = summary.get("shards") if compacted is None else None
    return replace(
        found,
        compacted=compacted,
        state=State.COMPLETE if summary["complete"] else State.INCOMPLETE,
        complete=summary["complete"],
        shards=shards,
        share=_share(found.parts, shards),
        anomalies=summary.get("anomaly", 0) + summary.get("unknown_part", 0),
        rows=summary.get("rows"),
        rejected=summary.get("rejected"),
        images_per_second=summary.get("images_per_second"),
        workers_lost=summary.get("workers_lost"),
        retries=summary.get("retries"),
        failed_shards=summary.get("failed_shards"),
    )


def _unfinished(found: Status, taken: Snapshot | None) -> Status:
    if found.at_work:
        found = replace(found, state=State.SCORING)
    if taken is None:
        return found
    if not found.at_work and taken.host != platform.node():
        found = replace(found, state=State.ELSEWHERE)
    speed = None
    if found.at_work:
        since = found.seconds_since_commit
        speed = taken.images_per_second if since is not None and since < LATELY_SECONDS else 0.0
    left = None if taken.rows is None or not speed else max(0, taken.rows - taken.scored) / speed
    return replace(
        found,
        shards=taken.shards,
        share=_share(found.parts, taken.shards),
        rows=taken.scored,
        rows_planned=taken.rows,
        rejected=taken.rejected,
        anomalies=taken.anomalies,
        images_per_second=speed,
        seconds_left=left and round(left, 1),
        workers_lost=taken.workers_lost,
        retries=taken.retries,
        failed_shards=taken.failed,
        host=taken.host,
        process=taken.process,
    )


def _recounted(found: Status, taken: Snapshot, rows: int | None) -> Status:
    """Correct what a snapshot tells that was written before the last parts were."""
    if rows is None:
        stale = found.last_commit is not None and taken.written < found.last_commit
        return replace(found, rows=None, rejected=None, anomalies=None) if stale else found
    return found if rows == taken.scored else replace(found, rows=rows, rejected=None, anomalies=None)


def _rows(out: str, names: Collection[str]) -> int | None:
    """Count the rows of parts by the plan; None where it does not tell of all of them."""
    there = set(names)
    total = 0
    try:
        for planned in planlist.read(out):
            for shard, name in enumerate(planned.parts):
                if name in there:
                    rows = planned.rows(shard)
                    if rows is None:
                        return None
                    total += rows
                    there.remove(name)
    except ValueError:
        return None
    return None if there else total


def _share(parts: int, shards: int | None) -> float | None:
    return round(parts / shards, 6) if shards else None
