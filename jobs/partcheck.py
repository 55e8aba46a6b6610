"""Checks one file of rows: its bytes against the list, its metadata against its rows."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from dice_core.rows import SCHEMA, SCHEMA_VERSION
from dice_core.tally import Kind, Tally
from jobs import folder, held, parquet, storage
from jobs.arrowfiles import opened
from jobs.held import Held
from jobs.shard import PartReport
from jobs.summary import Total

_BATCH = 65_536
_BROKEN = (pa.ArrowException, OSError, KeyError, TypeError, ValueError)
"""What comes of reading a file that is no part."""


class Checked(NamedTuple):
    """What was found in a file: one line for each thing that does not agree, and what it holds."""

    lines: list[str]
    held: list[Held]


def check_part(out: str, listed: PartReport, job: Mapping[str, Any]) -> Checked:
    """Check a file against its line in the list, and its metadata against its rows, a batch at a time."""
    url = storage.join(out, listed.name)
    written = parquet.hash_file(url)
    if written.size != listed.size:
        wrong = f"{written.size} bytes, listed with {listed.size}"
    elif written.hash != listed.hash:
        wrong = "its bytes are not those that were written"
    else:
        try:
            with opened(url) as file:
                return _check_content(pq.ParquetFile(file), listed, job)
        except _BROKEN as error:
            wrong = f"not a part: {' '.join(str(error).split())}"
    # What it was: the other parts are held against it, lest each of its neighbours be told of too.
    was = [Held(listed.name, listed.archive, listed.identity, listed.first, listed.rows, 0)]
    return Checked(
        [f"{listed.name}: {wrong}{origin(url, listed, job)}"], [] if folder.is_compacted(job) else was
    )


def origin(url: str, listed: PartReport | None, job: Mapping[str, Any]) -> str:
    """Tell where a file comes from that is not what it should be, as the end of a line; or nothing."""
    try:
        about = parquet.read_footer(url).metadata
        if about["fingerprint"] != job["fingerprint"]:
            return ": it is from a job with other settings"
        if folder.is_compacted(job) or (listed and listed.archive == about["archive"]):
            return ""
        return f": it holds rows of {about['archive']} from {int(about['first'])}"
    except _BROKEN:
        return ""


def _check_content(file: pq.ParquetFile, listed: PartReport, job: Mapping[str, Any]) -> Checked:
    about = parquet.kept(file.metadata)
    rows = file.metadata.num_rows
    if about.get("schema_version") != str(SCHEMA_VERSION) or file.schema_arrow.remove_metadata() != SCHEMA:
        lines = [f"{listed.name}: its columns are not those of schema version {SCHEMA_VERSION}"]
        return Checked(lines, [])
    compacted = folder.is_compacted(job)
    holds = held.of_compacted(about) if compacted else [held.of_part(listed.name, rows, about)]
    lines = [f"{listed.name}: {line}" for line in _compare(about, rows, holds, listed, job)]
    counted = Total()
    out_of_order = _OutOfOrder(holds)
    for batch in file.iter_batches(_BATCH, columns=["index", *{"archive", *Kind._fields}]):
        table = pa.Table.from_batches([batch])
        counted.add(Tally.of(table))
        lines += [f"{listed.name}: {line}" for line in out_of_order.add(table)]
    if counted.tally != listed.tally or counted.tally != Tally.from_json(about["tally"]):
        lines.append(f"{listed.name}: its tally is not that of its rows")
    return Checked(lines, holds)


def _compare(
    about: Mapping[str, str], rows: int, holds: list[Held], listed: PartReport, job: Mapping[str, Any]
) -> Iterator[str]:
    if about.get("fingerprint") != job["fingerprint"]:
        yield "from a job with other settings"
    if rows != listed.rows or rows != sum(part.rows for part in holds):
        yield f"has {rows} rows, listed with {listed.rows}"
    begins = [f"{part.archive} ({part.identity}) at {part.first}" for part in holds[:1]]
    wanted = f"{listed.archive} ({listed.identity}) at {listed.first}"
    if begins != [wanted]:
        yield f"begins with {''.join(begins) or 'nothing'}, listed with {wanted}"


class _OutOfOrder:
    """Tells which parts' rows are not of their archive, one index after the other, as batches come."""

    def __init__(self, holds: list[Held]) -> None:
        self._ends = np.cumsum([part.rows for part in holds])
        self._holds = holds
        self._place = 0
        self._told: set[tuple[str, str]] = set()

    def add(self, rows: pa.Table) -> Iterator[str]:
        """Take the rows that follow."""
        done = 0
        while done < rows.num_rows:
            at = int(np.searchsorted(self._ends, self._place, side="right"))
            if at == len(self._holds):
                return
            part = self._holds[at]
            count = min(rows.num_rows - done, int(self._ends[at]) - self._place)
            first = part.first + part.rows - (int(self._ends[at]) - self._place)
            yield from self._check(part, rows.slice(done, count), first)
            done += count
            self._place += count

    def _check(self, part: Held, rows: pa.Table, first: int) -> Iterator[str]:
        if not np.array_equal(rows["index"].to_numpy(), np.arange(first, first + rows.num_rows)):
            yield from self._once(
                part, f"its rows are not {part.first} to {part.first + part.rows - 1} in order"
            )
        if rows["archive"].unique().to_pylist() != [part.archive]:
            yield from self._once(part, f"has rows of another archive than {part.archive}")

    def _once(self, part: Held, line: str) -> Iterator[str]:
        if (part.name, line) not in self._told:
            self._told.add((part.name, line))
            yield line
