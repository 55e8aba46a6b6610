"""The sources of a start: which archives there are, under which names, and which are left alone so far."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from jobs import folder, plan, planlist, storage
from jobs.config import ScoreSettings
from jobs.errors import Refusal
from jobs.plan import ArchiveRecord, archive_prefix
from jobs.planlist import Planned
from jobs.roots import Roots
from jobs.settle import is_settled, parse_duration


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


def survey(settings: ScoreSettings, decides: Mapping[str, Any], now: float) -> Surveyed:
    """Find and look at the sources; one that was not written to since it was planned is not opened.

    Parameters
    ----------
    decides
        As `folder.deciding` lists it: what was planned otherwise is not remembered.
    now
        Seconds since the epoch.

    Raises
    ------
    Refusal
        Where a source is not taken, or two would have one name; where the folder's job file is none.
    """
    job = None if settings.overwrite else folder.read_job(settings.out)
    roots = Roots.parse(settings.source_roots).over(job.get("roots", {}) if job else {})
    remembered = planlist.remembered(settings.out) if job and job["decides"] == decides else {}
    paths = storage.expand(settings.sources)
    _check_used(settings, paths)
    unsettled = set(_unsettled(settings, paths, now))
    named: dict[str, str] = {}
    records = []
    for path in paths:
        if path in unsettled:
            continue
        name = roots.name(path)
        if named.setdefault(name, path) != path:
            raise Refusal(f"{path}: would have the name of {named[name]}, {name}: leave one of them out")
        _check_folder(settings, path)
        records.append(_record(path, name, remembered.get(archive_prefix(name)), settings))
    return Surveyed(records, tuple(sorted(unsettled)), roots)


def _record(path: str, name: str, planned: Planned | None, settings: ScoreSettings) -> ArchiveRecord:
    try:
        if planned is not None and planned.stamp and storage.stamp(path) == planned.stamp:
            return planned.record(name, path)
    except OSError:
        pass  # the survey tells why
    record = plan.survey(path, settings.shard_size, settings.limits.max_members)
    return replace(record, archive=name, mounted=None if name == path else path)


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
