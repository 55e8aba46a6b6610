"""The job ``compact``: copies the parts of a complete job into few large files, sorted."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from dice_core.rows import SCHEMA, SCHEMA_VERSION
from dice_core.tally import Tally
from jobs import corrections, decisions, folder, held, parquet, parts, records, storage
from jobs.arrowfiles import opened
from jobs.caveats import incomplete
from jobs.coverage import cover
from jobs.errors import Refusal
from jobs.held import Held
from jobs.shard import PartReport
from jobs.summary import Total

FILE_BYTES = 256 << 20
"""Bytes after which a file takes no further part."""

ROW_GROUP = 120_000
"""Rows that a reader reads, or passes over by their statistics, at once."""

_BATCH = 16_384

Counting = Callable[[int], AbstractContextManager[Callable[[int], None]]]
"""Shows how far work on so many rows is; gives what is told of each number of rows more."""


@dataclass(frozen=True)
class Compacted:
    """What a compaction came to: so many parts and rows in so many files, of which some were just written."""

    parts: int
    rows: int
    files: int
    written: int


def compact(out: str, new: str, counting: Counting) -> Compacted:
    """Copy the parts of a complete job into large files in another folder, by archive and index.

    Its reviews and decisions go with them. The same command again goes on after the last file that is whole,
    and brings what was reviewed or decided since.

    Parameters
    ----------
    out
        The job folder.
    new
        The folder to write: new, empty, or of the same compaction.
    counting
        Shows how far it is.

    Raises
    ------
    Refusal
        Where the job is not complete, a part of it is not as it was written, or `new` holds something else,
        such as a review or decision of its own under the number of another.
    """
    job = folder.read_job(out)
    if job is None:
        raise Refusal(f"{out}: not a job folder: name the one that score wrote with --out")
    if folder.is_compacted(job):
        raise Refusal(f"{out}: compacted already: name the job it was made from")
    source, target = storage.absolute(out), storage.absolute(new)
    if f"{target}/".startswith(f"{source}/") or f"{source}/".startswith(f"{target}/"):
        raise Refusal(f"--out {new}: one folder lies in the other: name one outside {out}")
    with _held(source):
        # Only now: a score that was at work has ended, and none can begin.
        if lines := incomplete(cover(source).told()):
            raise Refusal(f"{out}: {lines[0]}: only a complete job is compacted, as nothing is added later")
        if storage.exists(target) and not storage.is_folder(target):
            raise Refusal(f"--out {new}: is a file: name a folder to write to")
        storage.make_folder(target)
        with _held(target):
            return _Compaction(source, target, job).run(counting)


@contextmanager
def _held(url: str) -> Iterator[None]:
    """Keep every score and compact away from a folder."""
    holding = ExitStack()
    try:
        holding.enter_context(storage.held(url))
    except BlockingIOError as error:
        raise Refusal(f"{url}: score or compact is at work in it: wait until it has ended") from error
    with holding:
        yield


class _Compaction:
    """One compaction, both folders held."""

    def __init__(self, out: str, new: str, job: Mapping[str, Any]) -> None:
        self._out = out
        self._new = new
        self._fingerprint = job["fingerprint"]
        columns = ("name", "size", "hash", "rows", "archive", "first")
        listed = parquet.read_columns(storage.join(out, folder.PARTS), columns)
        self._listed = listed.sort_by([("archive", "ascending"), ("first", "ascending")])
        self._total = sum(self._listed["rows"].to_pylist())
        lines = zip(self._listed["name"].to_pylist(), self._listed["hash"].to_pylist(), strict=True)
        self._job = folder.compacted_job(job, parquet.digest("\n".join(map(" ".join, lines)).encode()))

    def run(self, counting: Counting) -> Compacted:
        """Write what is not there; the job file first, the list and the summary last."""
        self._claim()
        self._carry()
        if storage.exists(storage.join(self._new, folder.SUMMARY)):
            return Compacted(len(self._listed), self._total, sum(1 for _ in parts.listed(self._new)), 0)
        told = folder.read_summary(self._out)
        for name in (folder.MODEL, folder.PLAN, folder.LOTS):
            self._copy(name, told["hashes"].get(name, self._job["decides"]["model"]))
        at = files = written = 0
        with counting(self._total) as advance, parts.listing(self._new) as add:
            while at < len(self._listed):
                url = storage.join(self._new, folder.compacted_part(files))
                report, count = self._kept(url, at) or (None, 0)
                if report is None:
                    report, count = self._write(url, at, advance)
                    written += 1
                else:
                    advance(report.rows)
                add(report)
                at += count
                files += 1
        self._clean(files)
        compacted = {"parts": len(self._listed), "files": files}
        hashes = folder.hashes(self._new)
        folder.write_json(
            storage.join(self._new, folder.SUMMARY), {**told, "compacted": compacted, "hashes": hashes}
        )
        return Compacted(len(self._listed), self._total, files, written)

    def _claim(self) -> None:
        there = folder.read_job(self._new)
        if there is None:
            if storage.list_names(self._new):
                raise Refusal(f"{self._new}: not empty and not a job folder: name another folder with --out")
            folder.write_json(storage.join(self._new, folder.JOB), self._job)
        elif not folder.is_compacted(there):
            raise Refusal(f"{self._new}: holds a job: name another folder with --out")
        elif there != self._job:
            raise Refusal(
                f"{self._new}: holds another compacted job, or this one as it was: "
                "name another folder with --out"
            )

    def _carry(self) -> None:
        """Copy reviews and decisions; no list has their hashes, but those in force have to be readable."""
        corrections.read(self._out)
        decisions.read(self._out)
        records.carry(self._out, self._new)

    def _copy(self, name: str, digest: str) -> None:
        url = storage.join(self._out, name)
        content = storage.read(url)
        if parquet.digest(content) != digest:
            raise _damaged(url, "its bytes are not those that were written")
        storage.write(storage.join(self._new, name), content)

    def _kept(self, url: str, at: int) -> tuple[PartReport, int] | None:
        """Report a file that an earlier run wrote, with how many parts it holds; None where it is another."""
        if not storage.exists(url):
            return None
        try:
            footer = parquet.read_footer(url)
            holds = held.of_compacted(footer.metadata)
            tally = Tally.from_json(footer.metadata["tally"])
        except (pa.ArrowException, OSError, KeyError, TypeError, ValueError):
            return None
        names = self._listed["name"].slice(at, len(holds)).to_pylist()
        if not holds or names != [part.name for part in holds]:
            return None
        return _report(url, parquet.hash_file(url), tally, holds), len(holds)

    def _write(self, url: str, at: int, advance: Callable[[int], None]) -> tuple[PartReport, int]:
        """Write a file of the parts from a place on; give its report and how many parts it took."""
        holds: list[Held] = []
        with storage.writing(url) as file:
            sink = parquet.Hashing(file)
            with pq.ParquetWriter(sink, SCHEMA, compression=parquet.COMPRESSION) as writer:
                groups = _RowGroups(writer)
                while at + len(holds) < len(self._listed) and not (holds and sink.size >= FILE_BYTES):
                    holds.append(self._add(at + len(holds), groups))
                    advance(holds[-1].rows)
                groups.flush()
                tally = groups.total.tally
                metadata = {
                    "schema_version": str(SCHEMA_VERSION),
                    "fingerprint": self._fingerprint,
                    "model_hash": self._job["decides"]["model"],
                    "tally": tally.to_json(),
                    held.HELD: held.to_json(holds),
                }
                writer.add_key_value_metadata(metadata)
            written = sink.written
        return _report(url, written, tally, holds), len(holds)

    def _add(self, at: int, groups: "_RowGroups") -> Held:
        """Copy the rows of one part, if it is what was written."""
        (part,) = self._listed.slice(at, 1).to_pylist()
        url = storage.join(self._out, part["name"])
        if parquet.hash_file(url) != (part["size"], part["hash"]):
            raise _damaged(url, "its bytes are not those that were written")
        try:
            with opened(url) as file:
                content = pq.ParquetFile(file)
                for batch in content.iter_batches(_BATCH):
                    groups.add(batch)
            return held.of_part(part["name"], content.metadata.num_rows, parquet.kept(content.metadata))
        except (pa.ArrowException, KeyError, ValueError) as error:
            raise _damaged(url, str(error)) from error

    def _clean(self, files: int) -> None:
        """Remove what earlier runs left: files past the last, and what killed writers began."""
        wanted = {folder.compacted_part(number) for number in range(files)}
        for name in storage.list_names(self._new):
            if folder.is_part(name, compacted=True) and name not in wanted:
                storage.remove(storage.join(self._new, name))
        for temporary, name in storage.list_unfinished(self._new):
            if folder.is_own(name, compacted=True):
                storage.remove(storage.join(self._new, temporary))


class _RowGroups:
    """Gathers rows, writes them as row groups of one size and counts them."""

    def __init__(self, writer: pq.ParquetWriter) -> None:
        self._writer = writer
        self._waiting: list[pa.RecordBatch] = []
        self._rows = 0
        self.total = Total()

    def add(self, batch: pa.RecordBatch) -> None:
        """Take the rows that follow."""
        rows = pa.RecordBatch.from_arrays(batch.columns, schema=SCHEMA)
        while rows.num_rows:
            taken = rows.slice(0, ROW_GROUP - self._rows)
            self._waiting.append(taken)
            self._rows += taken.num_rows
            rows = rows.slice(taken.num_rows)
            if self._rows == ROW_GROUP:
                self.flush()

    def flush(self) -> None:
        """Write what waits."""
        if self._waiting:
            table = pa.Table.from_batches(self._waiting, SCHEMA)
            self._writer.write_table(table, row_group_size=ROW_GROUP)
            self.total.add(Tally.of(table))
            self._waiting, self._rows = [], 0


def _report(url: str, written: parquet.Written, tally: Tally, holds: list[Held]) -> PartReport:
    name, begin = url.rsplit("/", 1)[-1], holds[0]
    rows = sum(part.rows for part in holds)
    return PartReport(name, *written, tally, begin.archive, begin.identity, begin.first, rows)


def _damaged(url: str, why: str) -> Refusal:
    return Refusal(f"{url}: {why}: verify names all that is damaged")
