"""The job ``verify``: tells whether a job folder agrees with itself, down to the bytes of its parts."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

import pyarrow as pa

from dice_core.rows import SCHEMA, SCHEMA_VERSION
from dice_core.tally import Kind, Tally
from jobs import folder, lotlist, parquet, parts, storage, summary
from jobs.errors import Refusal
from jobs.shard import PartReport
from jobs.summary import Total


def verify(out: str) -> list[str]:
    """List what does not agree in a job folder, one line each; nothing where all does.

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
        listed = {report.name: report for report in parts.listed(out)}
    except ValueError as error:
        return [f"{folder.PARTS}: {error}: the same score command writes it anew"]
    present = [listed[name] for name in names if name in listed]
    damages = [
        *_check_model(out, names, job),
        *(line for report in present for line in _check_part(out, report, job)),
    ]
    return [
        *_check_names(names, listed),
        *damages,
        # Of rows or a model that cannot be trusted, nothing can be told.
        *(() if damages else lotlist.check(out)),
        *_check_ranges(out, present),
        *_check_summary(out, names, present),
    ]


def _check_names(names: list[str], listed: Mapping[str, PartReport]) -> Iterator[str]:
    if folder.PARTS not in names:
        yield f"{folder.PARTS}: missing: the job has not ended; the same score command goes on"
    if folder.SUMMARY not in names:
        yield f"{folder.SUMMARY}: missing: the job has not ended; the same score command goes on"
    for name in sorted(set(listed) - set(names)):
        yield f"{name}: listed, but missing"
    for name in names:
        if not folder.is_own(name):
            yield f"{name}: not the job's"
        elif folder.is_part(name) and name not in listed and folder.PARTS in names:
            yield f"{name}: not listed"


def _check_model(out: str, names: list[str], job: Mapping[str, Any]) -> Iterator[str]:
    if folder.MODEL not in names:
        yield f"{folder.MODEL}: missing"
    elif parquet.digest(storage.read(storage.join(out, folder.MODEL))) != job["decides"]["model"]:
        yield f"{folder.MODEL}: not the model of the job"


def _check_part(out: str, listed: PartReport, job: Mapping[str, Any]) -> Iterator[str]:
    """Check one part against its line in the list, its metadata against its rows."""
    url = storage.join(out, listed.name)
    data = storage.read(url)
    if len(data) != listed.size:
        yield f"{listed.name}: {len(data)} bytes, listed with {listed.size}"
        return
    if parquet.digest(data) != listed.hash:
        yield f"{listed.name}: its bytes are not those that were written"
        return
    about = parquet.read_footer(url).metadata
    rows = parquet.read_columns(url)
    if about.get("schema_version") != str(SCHEMA_VERSION) or rows.schema.remove_metadata() != SCHEMA:
        yield f"{listed.name}: its columns are not those of schema version {SCHEMA_VERSION}"
        return
    if about.get("fingerprint") != job["fingerprint"]:
        yield f"{listed.name}: from a job with other settings"
    if rows["index"].to_pylist() != list(range(listed.first, listed.first + listed.rows)):
        yield f"{listed.name}: its rows are not {listed.first} to {listed.first + listed.rows - 1} in order"
    if rows.num_rows and set(rows["archive"].unique().to_pylist()) != {listed.archive}:
        yield f"{listed.name}: has rows of another archive than {listed.archive}"
    counted = Tally.of(rows.select(Kind._fields))
    if counted != listed.tally or counted != Tally.from_json(about["tally"]):
        yield f"{listed.name}: its tally is not that of its rows"


def _check_ranges(out: str, listed: list[PartReport]) -> Iterator[str]:
    """Check that the parts of each archive follow each other from its first member to its last."""
    by_archive: dict[str, list[PartReport]] = defaultdict(list)
    for report in listed:
        by_archive[report.archive].append(report)
    for archive, reports in sorted(by_archive.items()):
        end = 0
        for report in sorted(reports, key=lambda report: report.first):
            if report.first != end:
                what = "missing" if report.first > end else "there twice"
                yield f"{archive}: rows {min(end, report.first)} to {max(end, report.first) - 1} are {what}"
            end = report.first + report.rows
        last = max(reports, key=lambda report: report.first)
        members = _members(storage.join(out, last.name))
        if members is not None and end < members:
            yield f"{archive}: rows {end} to {members - 1} are missing"


def _members(url: str) -> int | None:
    """Tell how many members the archive of a part has; None where the part is damaged."""
    try:
        return int(parquet.read_footer(url).metadata["members"])
    except (OSError, pa.ArrowInvalid, KeyError, ValueError):
        return None


def _check_summary(out: str, names: list[str], listed: list[PartReport]) -> Iterator[str]:
    if folder.SUMMARY not in names:
        return
    try:
        told = folder.read_summary(out)
    except ValueError as error:
        yield f"{folder.SUMMARY}: not a summary: {error}"
        return
    for name, count in summary.counts(Total.of(report.tally for report in listed).tally).items():
        if told.get(name) != count:
            yield f"{folder.SUMMARY}: {name} is {told.get(name)}, the parts have {count}"
