"""The job ``verify``: tells whether a job folder agrees with itself, down to the bytes of its parts."""

from array import array
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from jobs import folder, lotlist, parquet, parts, planlist, storage, summary
from jobs.errors import Refusal
from jobs.held import Held
from jobs.partcheck import check_part, origin
from jobs.summary import Total


def verify(out: str) -> list[str]:
    """List what does not agree in a job folder, one line each; nothing where all does.

    Every file of rows is read in batches, one after the other; of each only its name and range are held.

    Raises
    ------
    Refusal
        Where the folder is no job's.
    """
    job = folder.read_job(out)
    if job is None:
        raise Refusal(f"{out}: not a job folder: name one that score wrote")
    names = storage.list_names(out)
    try:
        found, damages = _check_parts(out, names, job)
    except ValueError as error:
        return [f"{folder.PARTS}: {error}: {_again(job)}"]
    damages += [*_check_job(job), *_check_model(out, names, job)]
    return [
        *_check_names(out, names, job, found),
        *damages,
        # Of rows or a model that cannot be trusted, nothing can be told.
        *(() if damages or found.unlisted else lotlist.check(out)),
        *_check_ranges(found),
        *_check_plan(out, names, job, found),
        *_check_summary(out, names, found),
    ]


def _again(job: Mapping[str, Any]) -> str:
    return f"the same {'compact' if folder.is_compacted(job) else 'score'} command writes it anew"


@dataclass
class _Found:
    """What the list and the files of rows tell."""

    unlisted: set[str]
    """Files of rows that no line tells of."""
    gone: list[str] = field(default_factory=list)
    """Those that are listed and not there."""
    total: Total = field(default_factory=Total)
    """Of the listed files that are there."""
    held: set[str] = field(default_factory=set)
    """The names of the shards' parts, whether they are files or in one of a compacted job."""
    ranges: dict[str, "array[int]"] = field(default_factory=dict)
    """Of each archive: first index, rows and members of the archive, part after part."""

    def holds(self, held: Iterable[Held]) -> None:
        for part in held:
            self.held.add(part.name)
            self.ranges.setdefault(part.archive, array("q")).extend((part.first, part.rows, part.members))


def _check_parts(out: str, names: Collection[str], job: Mapping[str, Any]) -> tuple[_Found, list[str]]:
    """Check every listed file, as the list is read."""
    compacted = folder.is_compacted(job)
    there = {name for name in names if folder.is_part(name, compacted=compacted)}
    found = _Found(set(there))
    lines: list[str] = []
    for listed in parts.listed(out):
        if listed.name not in there:
            found.gone.append(listed.name)
        elif listed.name not in found.unlisted:
            lines.append(f"{listed.name}: listed twice")
        else:
            found.unlisted.remove(listed.name)
            checked = check_part(out, listed, job)
            lines += checked.lines
            found.holds(checked.held)
            found.total.add(listed.tally)
    return found, lines


def _check_names(out: str, names: Collection[str], job: Mapping[str, Any], found: _Found) -> Iterator[str]:
    compacted = folder.is_compacted(job)
    goes_on = f"the same {'compact' if compacted else 'score'} command goes on"
    for name in (folder.PLAN, folder.PARTS, folder.SUMMARY):
        if name not in names:
            yield f"{name}: missing: the job has not ended; {goes_on}"
    for name in sorted(found.gone):
        yield f"{name}: listed, but missing"
    for name in names:
        if not folder.is_own(name, compacted=compacted):
            yield f"{name}: not the job's"
        elif name in found.unlisted and folder.PARTS in names:
            yield f"{name}: not listed{origin(storage.join(out, name), None, job)}"


def _check_job(job: Mapping[str, Any]) -> Iterator[str]:
    if folder.fingerprint(job["decides"]) != job["fingerprint"]:
        yield f"{folder.JOB}: its fingerprint is not that of its settings"


def _check_model(out: str, names: Collection[str], job: Mapping[str, Any]) -> Iterator[str]:
    if folder.MODEL not in names:
        yield f"{folder.MODEL}: missing"
    elif parquet.digest(storage.read(storage.join(out, folder.MODEL))) != job["decides"]["model"]:
        yield f"{folder.MODEL}: not the model of the job"


def _check_ranges(found: _Found) -> Iterator[str]:
    """Check that the parts of each archive follow each other from its first member to its last."""
    for archive, numbers in sorted(found.ranges.items()):
        end, members = 0, max(numbers[2::3])
        for first, rows in sorted(zip(numbers[::3], numbers[1::3], strict=True)):
            if first != end:
                what = "missing" if first > end else "there twice"
                yield f"{archive}: rows {min(end, first)} to {max(end, first) - 1} are {what}"
            end = first + rows
        if end < members:
            yield f"{archive}: rows {end} to {members - 1} are missing"


def _check_plan(out: str, names: Collection[str], job: Mapping[str, Any], found: _Found) -> Iterator[str]:
    """Check that every planned shard has its part, and every part was planned."""
    if folder.PLAN not in names:
        return
    unplanned = set(found.held if folder.is_compacted(job) else filter(folder.is_part, names))
    there = frozenset(unplanned)
    try:
        for source in planlist.read(out):
            missing = [part for part in source.parts if part not in there]
            unplanned.difference_update(source.parts)
            if missing:
                share = f"{len(missing)} of its {len(source.first)} planned shards"
                yield f"{source.archive}: {share} have no part, first {missing[0]}"
    except ValueError as error:
        yield f"{folder.PLAN}: {error}: {_again(job)}"
        return
    for name in sorted(unplanned):
        yield f"{name}: not planned: name its source once more in the same score command, or remove it"


def _check_summary(out: str, names: Collection[str], found: _Found) -> Iterator[str]:
    if folder.SUMMARY not in names:
        return
    try:
        told = folder.read_summary(out)
    except ValueError as error:
        yield f"{folder.SUMMARY}: not a summary: {error}"
        return
    for name, count in summary.counts(found.total.tally).items():
        if told.get(name) != count:
            yield f"{folder.SUMMARY}: {name} is {told.get(name)}, the parts have {count}"
    for name, written in told.get("hashes", {}).items():
        if name in names and parquet.hash_file(storage.join(out, name)).hash != written:
            yield f"{name}: its bytes are not those the summary was written after"
