"""The job folder: what the job was started with, and which files are there."""

import json
import re
from collections.abc import Iterable, Mapping
from enum import Enum
from typing import Any, cast

from dice_core.rows import SCHEMA_VERSION
from dice_core.scale import OnSize
from jobs import parquet, planlist, records, storage
from jobs.errors import Refusal
from jobs.lotrule import ARCHIVE
from jobs.plan import ArchiveRecord
from jobs.reader import Limits
from jobs.roots import NO_ROOTS, Roots

ROWS_VERSION = 4
"""Raised whenever the same image and the same model would give another row, or a part another name."""

JOB = "_job.json"
MODEL = "_model.npz"
PLAN = planlist.PLAN
PARTS = "_parts.parquet"
LOTS = "_lots.parquet"
LABELS = "_labels.parquet"
"""There only where labels came from a table."""
SUMMARY = "_summary.json"
PROGRESS = "_progress.json"
"""There only until the job has ended."""
_LISTS = (SUMMARY, LOTS, LABELS, PLAN, PARTS, PROGRESS)

_KIND = "dice-inspect job"
_COMPACTED_KIND = "dice-inspect compacted job"
# The shorter ones are of jobs before rows version 4, which are read and never added to.
_PART = re.compile(r"part-([0-9a-f]{32}-[0-9a-f]{32}|[0-9a-f]{12}-[0-9a-f]{12})-[0-9]{10,}\.parquet")
_COMPACTED_PART = re.compile(r"part-[0-9]{6,}\.parquet")


class Start(Enum):
    """What a start of the job does with its folder."""

    NEW = "new"
    RESUME = "resume"
    AFRESH = "afresh"


def is_part(name: str, *, compacted: bool = False) -> bool:
    """Tell whether a name is one that parts have, or else those of a compacted job."""
    return (_COMPACTED_PART if compacted else _PART).fullmatch(name) is not None


def is_own(name: str, *, compacted: bool = False) -> bool:
    """Tell whether a name is one that only a job writes, or else only a compacted one."""
    known = name in (JOB, *_LISTS, MODEL) or records.is_record(name)
    return known or is_part(name, compacted=compacted)


def compacted_part(number: int) -> str:
    """Name a part of a compacted job."""
    return f"part-{number:06d}.parquet"


def is_compacted(job: Mapping[str, Any]) -> bool:
    """Tell whether a job file is the one of a compacted job, which only compact writes."""
    return bool(job["kind"] == _COMPACTED_KIND)


def compacted_job(job: Mapping[str, Any], parts: str) -> dict[str, Any]:
    """Make the job file of a compacted job from that of the job, and the hash of the list of its parts."""
    return {**job, "kind": _COMPACTED_KIND, "compacted_parts": parts}


def deciding(
    model_hash: str, shard_size: int, limits: Limits, *, exhaustive: bool = False, **more: str | None
) -> dict[str, Any]:
    """List all that decides the rows, apart from the sources; `more` may name `on_size`, `lot`, `labels`."""
    return {
        "schema_version": SCHEMA_VERSION,
        "rows_version": ROWS_VERSION,
        "model": model_hash,
        "shard_size": shard_size,
        "max_bytes": limits.max_bytes,
        "max_pixels": limits.max_pixels,
        "max_members": limits.max_members,
        "max_expansion": limits.max_expansion,
        "exhaustive": exhaustive,
        "on_size": more.get("on_size", OnSize.REJECT.value),
        "lot": more.get("lot", ARCHIVE),
        "labels": more.get("labels"),
    }


def fingerprint(decides: Mapping[str, Any]) -> str:
    """Hash what decides the rows."""
    return parquet.digest(json.dumps(decides, sort_keys=True).encode())


def list_live(out: str) -> list[str]:
    """List what is in the folder but for the parts of replaced sources; all where the plan is damaged."""
    names = storage.list_names(out)
    try:
        return list(planlist.live(out, names))
    except ValueError:
        return names


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
        known = job["kind"] in (_KIND, _COMPACTED_KIND) and all(isinstance(text, str) for text in texts)
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
    records: Iterable[ArchiveRecord] = (),
    roots: Roots = NO_ROOTS,
    shares: int | None = None,
) -> None:
    """Make the folder ready: job file, model and plan.

    In a new folder the job file is first, for it tells whose the others are. In one that goes on it is last,
    and a summary goes before the plan grows: whoever reads at any moment finds what is asked for planned and
    missing, never told of as done. The parts of a source that changed go after the plan has its new content:
    from that one write on no reader counts them, so it does not matter how many are left, and whichever
    start comes next removes these. Afresh, the job's own files go, and no others.
    """
    storage.make_folder(out)
    if start is Start.AFRESH:
        _clear(out)
    job = read_job(out) if start is Start.RESUME else None
    known = job["sources"] if job else []
    named = (storage.printable(roots.name(storage.absolute(source))) for source in sources)
    wanted: dict[str, Any] = {
        "kind": _KIND,
        "fingerprint": fingerprint(decides),
        "decides": dict(decides),
        "sources": sorted({*known, *named}),
        "roots": dict(roots.names),
    }
    if shares := shares or (job or {}).get("shares"):
        wanted["shares"] = shares  # what merge names those by that are missing
    if job is None:
        write_json(storage.join(out, JOB), wanted)
    url = storage.join(out, MODEL)
    if not storage.exists(url) or parquet.digest(storage.read(url)) != decides["model"]:
        storage.write(url, model)
    planned = planlist.merged(out, records)
    if planned is not None:
        storage.remove(storage.join(out, SUMMARY))
        planlist.write(out, planned)
    _remove_replaced(out)
    if job not in (None, wanted):
        write_json(storage.join(out, JOB), wanted)


def _remove_replaced(out: str) -> None:
    names = storage.list_names(out)
    for name in set(names).difference(planlist.live(out, names)):
        storage.remove(storage.join(out, name))


def _clear(out: str) -> None:
    """Remove the job's own files. The job file stays until it is replaced: it tells whose the others are.

    Reviews and decisions stay, as no program can make them again. Reviews tell of images, whoever scores
    them; a decision names its model, and counts for no other.
    """
    for name in (*_LISTS, *filter(is_part, storage.list_names(out)), MODEL):
        storage.remove(storage.join(out, name))
    sweep(out)


def sweep(out: str) -> None:
    """Remove what killed writers of the job's own files left unfinished.

    One of another machine that is still at it finds its file gone: its task fails, and its part is another's
    to write or written already.
    """
    for temporary, name in storage.list_unfinished(out):
        if is_own(name) and not storage.is_being_written(temporary):
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


def hashes(out: str) -> dict[str, str]:
    """Hash the lists of a job that has them all, for the summary, which is written after them."""
    return {name: parquet.hash_file(storage.join(out, name)).hash for name in (PLAN, PARTS, LOTS)}
