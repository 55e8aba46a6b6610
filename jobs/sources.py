"""The sources of a start: which archives there are, under which names, and which are left alone so far."""

import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

from jobs import events, folder, plan, planlist, storage
from jobs.config import ScoreSettings
from jobs.errors import Refusal
from jobs.events import Listener, Streamed
from jobs.kinds import Kind
from jobs.plan import ArchiveRecord, archive_prefix
from jobs.plancache import WORTH_SECONDS, PlanCache, cache_folder
from jobs.planlist import Planned
from jobs.roots import Roots
from jobs.settle import is_settled, parse_duration
from jobs.surveying import Surveying

LARGE = 1 << 30
"""Bytes of a tar.gz from which on it is told that one worker reads it alone."""

_AT_ONCE = 8
"""Sources that are looked at at once where that means waiting."""


@dataclass(frozen=True, slots=True)
class Surveyed:
    """What the sources hold.

    Attributes
    ----------
    records
        Of those that are taken.
    unsettled
        Paths of those that were written to just now.
    roots
        Those given, over those that the job remembers.
    """

    records: list[ArchiveRecord]
    unsettled: tuple[str, ...]
    roots: Roots


def survey(
    settings: ScoreSettings, decides: Mapping[str, Any], now: float, listener: Listener = events.ignore
) -> Surveyed:
    """Find and look at the sources; one that was not written to since it was planned is not opened.

    Parameters
    ----------
    decides
        As `folder.deciding` lists it: what was planned otherwise is not remembered.
    now
        Seconds since the epoch.
    listener
        Told how far it is where it takes long.

    Raises
    ------
    Refusal
        Where a source is not taken, or two would have one name, if only as it is printed; where the folder's
        job file is none.
    """
    job = None if settings.overwrite else folder.read_job(settings.out)
    roots = Roots.parse(settings.source_roots).over(job.get("roots", {}) if job else {})
    remembered = planlist.remembered(settings.out) if job and job["decides"] == decides else {}
    paths = storage.expand(settings.sources)
    _check_used(settings, paths)
    unsettled = set(_unsettled(settings, paths, now))
    named: dict[str, str] = {}
    settled = [path for path in paths if path not in unsettled]
    for path in settled:
        name = roots.name(path)
        if named.setdefault(name, path) != path:
            raise Refusal(f"{path}: would have the name of {named[name]}, {name}: leave one of them out")
        _check_folder(settings, path)
    planlist.check_apart((storage.printable(name), archive_prefix(name)) for name in named)
    cache = PlanCache(cache_folder(), shard_size=settings.shard_size, max_members=settings.limits.max_members)
    with Surveying(len(settled), listener).following() as surveying:

        def look(path: str) -> ArchiveRecord:
            name = roots.name(path)
            planned = remembered.get(archive_prefix(name))
            record = _remembered(path, name, planned) or _walk(path, settings, cache, surveying)
            surveying.done()
            return replace(record, archive=name, mounted=None if name == path else path)

        records = _each(look, settled)
    cache.prune()
    return Surveyed(records, tuple(sorted(unsettled)), roots)


def _each(look: Callable[[str], ArchiveRecord], paths: Sequence[str]) -> list[ArchiveRecord]:
    """Look at sources in order; several at once where each is waited for, as on object storage."""
    if not any("://" in path for path in paths):
        return [look(path) for path in paths]
    pool = ThreadPoolExecutor(_AT_ONCE, "survey")
    try:
        return list(pool.map(look, paths))
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _remembered(path: str, name: str, planned: Planned | None) -> ArchiveRecord | None:
    try:
        if planned is not None and planned.stamp and storage.stamp(path) == planned.stamp:
            return planned.record(name, path)
    except OSError:
        pass  # the survey tells why
    return None


def _walk(path: str, settings: ScoreSettings, cache: PlanCache, surveying: Surveying) -> ArchiveRecord:
    try:
        stamp = "" if storage.is_folder(path) else storage.stamp(path)
    except OSError:
        stamp = ""  # as above
    if stamp and (kept := cache.get(path, stamp)):
        return kept
    began = time.monotonic()
    record = plan.survey(path, settings.shard_size, settings.limits.max_members, surveying.walked)
    if record.stamp and time.monotonic() - began >= WORTH_SECONDS and storage.stamp(path) == record.stamp:
        cache.put(record)
    return record


def streamed(records: Iterable[ArchiveRecord], there: Collection[str]) -> Iterator[Streamed]:
    """Tell of the large archives that no two workers can share, and whose part is not there."""
    for shard in plan.shards((record for record in records if record.kind is Kind.TARGZ), there):
        size = storage.entry(storage.parent(shard.path), shard.path.rsplit("/", 1)[-1]).size
        if size > LARGE:
            yield Streamed(shard.archive, size)


def _check_used(settings: ScoreSettings, paths: list[str]) -> None:
    """Refuse a root that names nothing: a slip of the hand would have all scored under other names."""
    for prefix in Roots.parse(settings.source_roots).names:
        if not any(f"{path}/".startswith(f"{prefix.rstrip('/')}/") for path in paths):
            raise Refusal(f"--source-root {prefix}: no source lies there: name the folder the sources are in")


def _unsettled(settings: ScoreSettings, paths: list[str], now: float) -> Iterator[str]:
    if settings.settle is None:
        return
    seconds = parse_duration(settings.settle)
    for path in paths:
        try:
            if not is_settled(path, seconds, now):
                yield path
        except OSError as error:
            raise Refusal(f"{path}: {error.strerror or error}: leave it out or make it readable") from error


def _check_folder(settings: ScoreSettings, path: str) -> None:
    if not storage.is_folder(path):
        return
    out = storage.absolute(settings.out)
    if f"{out}/".startswith(f"{path}/"):
        raise Refusal(f"{out}: lies in the source {path}: name a folder outside it with --out")
    if storage.exists(storage.join(path, folder.JOB)):
        raise Refusal(f"{path}: a job folder is no source: leave it out")
