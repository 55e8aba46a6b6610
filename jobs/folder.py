"""The job folder: what the job was started with, which parts are there, and what a new start may do."""

import json
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from enum import Enum
from typing import Any, cast

from dice_core.rows import SCHEMA_VERSION
from jobs import parquet, storage
from jobs.errors import Refusal
from jobs.plan import ArchiveRecord, Shard, archive_prefix, part_prefix
from jobs.reader import Limits

ROWS_VERSION = 2
"""Raised whenever the same image and the same model would give another row."""

JOB = "_job.json"
MODEL = "_model.npz"
PARTS = "_parts.parquet"
LOTS = "_lots.parquet"
SUMMARY = "_summary.json"
PROGRESS = "_progress.json"
"""There only until the job has ended."""

_KIND = "dice-inspect job"
_PART = re.compile(r"part-[0-9a-f]{12}-[0-9a-f]{12}-[0-9]{10,}\.parquet")


class Start(Enum):
    """What a start of the job does with its folder."""

    NEW = "new"
    RESUME = "resume"
    AFRESH = "afresh"


def is_part(name: str) -> bool:
    """Tell whether a name is one that parts have."""
    return _PART.fullmatch(name) is not None


def is_own(name: str) -> bool:
    """Tell whether a name is one that only a job writes."""
    return name in (JOB, MODEL, PARTS, LOTS, SUMMARY, PROGRESS) or is_part(name)


def deciding(model_hash: str, shard_size: int, limits: Limits, *, exhaustive: bool = False) -> dict[str, Any]:
    """List all that decides the rows, apart from the sources."""
    return {
        "schema_version": SCHEMA_VERSION,
        "rows_version": ROWS_VERSION,
        "model": model_hash,
        "shard_size": shard_size,
        "max_bytes": limits.max_bytes,
        "max_pixels": limits.max_pixels,
        "exhaustive": exhaustive,
    }


def fingerprint(decides: Mapping[str, Any]) -> str:
    """Hash what decides the rows."""
    return parquet.digest(json.dumps(decides, sort_keys=True).encode())


def decide(
    out: str,
    names: Collection[str],
    job: Mapping[str, Any] | None,
    decides: Mapping[str, Any],
    records: Iterable[ArchiveRecord],
    *,
    overwrite: bool,
) -> Start:
    """Decide what a start does, from what is in the folder and what is asked for.

    Parameters
    ----------
    out
        The folder, for the messages.
    names
        What is in it, hidden names left out.
    job
        What its job file tells; None where there is none.
    decides
        As `deciding` lists it, of the job that is asked for.
    records
        The sources asked for.
    overwrite
        Whether rows that are there may go.

    Raises
    ------
    Refusal
        Where the folder is no job's, or holds rows that do not go with those asked for.
    """
    if job is None:
        if names:
            raise Refusal(f"{out}: not empty and not a job folder: name another folder with --out")
        return Start.NEW
    if overwrite:
        return Start.AFRESH
    changes = [
        f"{name} was {job['decides'].get(name)}, is {value}"
        for name, value in decides.items()
        if job["decides"].get(name) != value
    ]
    if changes:
        raise Refusal(
            f"{out}: holds rows made otherwise ({'; '.join(changes)}): "
            "name another folder with --out, or start afresh with --overwrite"
        )
    _check_identities(out, names, records)
    return Start.RESUME


def _check_identities(out: str, names: Collection[str], records: Iterable[ArchiveRecord]) -> None:
    prefix_length = len(archive_prefix(""))
    committed = {name[:prefix_length]: name for name in names if is_part(name)}
    for record in records:
        name = committed.get(archive_prefix(record.archive))
        if name is not None and not name.startswith(part_prefix(record)):
            raise Refusal(
                f"{record.archive}: changed since its rows in {out} were written: "
                "name another folder with --out, or start afresh with --overwrite"
            )


def pending(planned: Iterable[Shard], names: Collection[str]) -> Iterator[Shard]:
    """Leave out the shards whose parts are there."""
    return (shard for shard in planned if shard.part not in names)


def read_job(out: str) -> dict[str, Any] | None:
    """Read the job file; None where there is none.

    Raises
    ------
    Refusal
        Where the file is none of ours.
    """
    url = storage.join(out, JOB)
    if not storage.exists(url):
        return None
    try:
        job = json.loads(storage.read(url))
        texts = [job["fingerprint"], job["decides"]["model"], *job["sources"]]
        known = job["kind"] == _KIND and all(isinstance(text, str) for text in texts)
    except (ValueError, KeyError, TypeError, RecursionError):
        known = False
    if not known:
        raise Refusal(f"{url}: not a job file of dice-inspect: name another folder with --out")
    return cast("dict[str, Any]", job)


def begin(
    out: str,
    start: Start,
    decides: Mapping[str, Any],
    sources: Iterable[str],
    model: bytes,
) -> None:
    """Make the folder ready: the job file first, then the model.

    Afresh, the job's own files go, and no others.
    """
    storage.make_folder(out)
    if start is Start.AFRESH:
        _clear(out)
    job = read_job(out) if start is Start.RESUME else None
    known = job["sources"] if job else []
    wanted = {
        "kind": _KIND,
        "fingerprint": fingerprint(decides),
        "decides": dict(decides),
        "sources": sorted({*known, *(storage.printable(storage.absolute(source)) for source in sources)}),
    }
    if job != wanted:
        write_json(storage.join(out, JOB), wanted)
    url = storage.join(out, MODEL)
    if not storage.exists(url) or parquet.digest(storage.read(url)) != decides["model"]:
        storage.write(url, model)


def _clear(out: str) -> None:
    """Remove the job's own files. The job file stays until it is replaced: it tells whose the others are."""
    for name in (SUMMARY, LOTS, PARTS, PROGRESS, *filter(is_part, storage.list_names(out)), MODEL):
        storage.remove(storage.join(out, name))
    sweep(out)


def sweep(out: str) -> None:
    """Remove what killed writers of the job's own files left unfinished.

    One that is still at it, such as the worker of a client that was killed, finds its file gone: its task
    fails, and its part is another's to write or written already.
    """
    for temporary, name in storage.list_unfinished(out):
        if is_own(name):
            storage.remove(storage.join(out, temporary))


def write_json(url: str, content: Mapping[str, Any]) -> None:
    """Write an object as readable JSON, whole or not at all."""
    storage.write(url, (json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode())


def read_summary(out: str) -> dict[str, Any]:
    """Read what the job told when it last ended.

    Raises
    ------
    FileNotFoundError
        Where it has not ended.
    ValueError
        Where the file is no summary.
    """
    content = storage.read(storage.join(out, SUMMARY))
    told: Any = None
    try:
        told = json.loads(content)
        known = isinstance(told, dict) and {"complete", "images", "evaluation", "failures"} <= told.keys()
    except (ValueError, RecursionError):
        known = False
    if not known:
        raise ValueError("not a summary of what a job did")
    return cast("dict[str, Any]", told)
