"""How much of what was planned has its rows, told from names alone: no part and no archive is opened."""

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from jobs import folder, parquet, planlist, storage
from jobs.errors import Refusal

GAPS_TOLD = 10
"""Sources with missing rows that are named; all are counted."""


@dataclass
class Coverage:
    """What is there of what a job promises.

    Attributes
    ----------
    planned
        Shards that were planned; of a compacted job, its files. None where that is not known.
    missing
        Those that are not there.
    archives
        Sources that lack one.
    gaps
        The first of these, by name: `name`, `shards`, `missing_shards`, `rows`, `missing_rows`; the rows None
        where only reading the source would tell.
    unplanned
        Parts that are there and were not planned.
    ended
        Whether the job has ended and its list of parts is the one of these parts.
    compacted
        Whether it is a compacted job.
    """

    planned: int | None = None
    missing: int = 0
    archives: int = 0
    gaps: list[dict[str, Any]] = field(default_factory=list)
    unplanned: list[str] = field(default_factory=list)
    ended: bool = False
    compacted: bool = False

    @property
    def complete(self) -> bool:
        """Whether all that was planned is there, nothing besides, and the job has ended."""
        return self.planned is not None and self.ended and not self.missing and not self.unplanned

    def told(self) -> dict[str, Any] | None:
        """Tell what is missing, as JSON has it; None where nothing is."""
        if self.complete:
            return None
        return {
            "planned_shards": self.planned,
            "missing_shards": self.missing,
            "archives": self.archives,
            "listed": self.gaps,
            "unplanned_parts": len(self.unplanned),
            "ended": self.ended,
            "compacted": self.compacted,
        }

    def lacks(self, name: str, missing: tuple[int, int | None], planned: tuple[int, int | None]) -> None:
        """Note a source that lacks shards; each of both is a number of shards and one of rows."""
        self.missing += missing[0]
        self.archives += 1
        if len(self.gaps) < GAPS_TOLD:
            shards = {"missing_shards": missing[0], "shards": planned[0]}
            self.gaps.append({"name": name, **shards, "missing_rows": missing[1], "rows": planned[1]})


def cover(out: str, names: Collection[str] | None = None) -> Coverage:
    """Tell how much of what a job promises is there.

    Parameters
    ----------
    out
        The job folder.
    names
        What is in it; listed where not given.

    Raises
    ------
    Refusal
        Where the folder is no job's, or its plan, list or summary is damaged.
    """
    job = folder.read_job(out)
    if job is None:
        raise Refusal(f"{out}: not a job folder: name the one that score wrote with --out")
    compacted = folder.is_compacted(job)
    names = storage.list_names(out) if names is None else names
    there = {name for name in names if folder.is_part(name, compacted=compacted)}
    try:
        if folder.SUMMARY in names:
            folder.read_summary(out)
        return (_cover_compacted if compacted else _cover_planned)(out, names, there)
    except FileNotFoundError:  # a score that starts has just removed the summary
        return Coverage(compacted=compacted)
    except (ValueError, OSError) as error:  # ArrowInvalid is a ValueError
        command = "compact" if compacted else "score"
        raise Refusal(f"{out}: {error}: the same {command} command writes it anew") from error


def _cover_planned(out: str, names: Collection[str], there: set[str]) -> Coverage:
    told = Coverage(ended=folder.SUMMARY in names and _lists(out, there))
    if planlist.PLAN not in names:
        return told
    told.planned = 0
    for source in planlist.read(out):
        told.planned += len(source.first)
        lacking = [shard for shard, part in enumerate(source.parts) if part not in there]
        there.difference_update(source.parts)
        if lacking:
            rows = [source.rows(shard) for shard in lacking]
            missing = None if None in rows else sum(filter(None, rows))
            told.lacks(source.archive, (len(lacking), missing), (len(source.first), source.members))
    told.unplanned = sorted(there)
    return told


def _lists(out: str, there: Collection[str]) -> bool:
    """Tell whether the list of parts is the one of these parts."""
    url = storage.join(out, folder.PARTS)
    if not storage.exists(url):
        return False
    listed = _column(url, "name")
    return len(listed) == len(there) and all(name.as_py() in there for name in listed)


def _cover_compacted(out: str, names: Collection[str], there: set[str]) -> Coverage:
    told = Coverage(ended=folder.SUMMARY in names, compacted=True)
    url = storage.join(out, folder.PARTS)
    if not storage.exists(url):
        return told
    listed = dict(zip(_column(url, "name").to_pylist(), _column(url, "rows").to_pylist(), strict=True))
    told.planned = len(listed)
    for name in sorted(listed.keys() - there):
        told.lacks(name, (1, listed[name]), (1, listed[name]))
    told.unplanned = sorted(there - listed.keys())
    return told


def _column(url: str, name: str) -> pa.ChunkedArray:
    try:
        return parquet.read_columns(url, (name,))[name]
    except (OSError, KeyError, pa.ArrowException) as error:
        raise ValueError(f"not a list of parts: {error}") from error
