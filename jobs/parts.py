"""The list of parts: one line for each part of a job folder."""

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from dice_core.tally import Tally
from jobs import parquet, storage
from jobs.arrowfiles import opened
from jobs.errors import Refusal
from jobs.folder import PARTS, is_part
from jobs.shard import PartReport, read_report

PARTS_SCHEMA = pa.schema(
    [
        pa.field("name", pa.string(), nullable=False),
        pa.field("size", pa.int64(), nullable=False),
        pa.field("hash", pa.string(), nullable=False),
        pa.field("tally", pa.string(), nullable=False),
        pa.field("archive", pa.string(), nullable=False),
        pa.field("identity", pa.string(), nullable=False),
        pa.field("first", pa.int64(), nullable=False),
        pa.field("rows", pa.int64(), nullable=False),
    ]
)
"""One line per part. Sizes in bytes; hashes are BLAKE2b-128."""

_ROW_GROUP = 1000


def listed(out: str) -> Iterator[PartReport]:
    """Read what the list of parts tells; nothing where it has not been written.

    Raises
    ------
    ValueError
        Where the file is no such list.
    """
    url = storage.join(out, PARTS)
    if not storage.exists(url):
        return
    with opened(url) as file:
        try:
            for batch in pq.ParquetFile(file).iter_batches(_ROW_GROUP):
                for line in batch.to_pylist():
                    yield PartReport(**{**line, "tally": Tally.from_json(line["tally"])})
        except (pa.ArrowException, OSError, KeyError, TypeError) as error:
            raise ValueError(f"not a list of parts: {error}") from error


def agrees(out: str) -> bool:
    """Tell whether the list is one of the parts that are there, by their names and sizes.

    Raises
    ------
    ValueError
        Where the file is no such list.
    """
    url = storage.join(out, PARTS)
    if not storage.exists(url):
        return False
    try:
        told = parquet.read_columns(url, ("name", "size"))
        lines = dict(zip(told["name"].to_pylist(), told["size"].to_pylist(), strict=True))
    except (pa.ArrowException, OSError, KeyError) as error:
        raise ValueError(f"not a list of parts: {error}") from error
    return lines == {name: size for name, size in storage.list_sizes(out).items() if is_part(name)}


def committed(out: str, names: Collection[str], fingerprint: str) -> Iterator[PartReport]:
    """Report the parts that are there: as listed, and by reading those that are not listed as they are.

    Raises
    ------
    Refusal
        Where a file with a part's name is none, or one of a job with other settings.
    """
    unread = {name for name in names if is_part(name)}
    sizes = storage.list_sizes(out)
    try:
        for report in listed(out):
            if report.name in unread and sizes.get(report.name) == report.size:
                unread.remove(report.name)
                yield report
    except ValueError:
        pass  # the parts themselves tell as much
    for name in sorted(unread):
        url = storage.join(out, name)
        try:
            yield read_report(url, fingerprint)
        except (pa.ArrowInvalid, KeyError, ValueError) as error:
            raise Refusal(
                f"{url}: not a whole part ({error}): remove it, and the same command scores it again"
            ) from error


@contextmanager
def listing(out: str) -> Iterator[Callable[[PartReport], None]]:
    """Write the list of parts, a report at a time; it appears when the block ends well."""
    waiting: list[dict[str, Any]] = []

    def flush() -> None:
        writer.write_table(pa.Table.from_pylist(waiting, PARTS_SCHEMA))
        waiting.clear()

    def add(report: PartReport) -> None:
        line = {name: getattr(report, name) for name in PARTS_SCHEMA.names}
        waiting.append({**line, "tally": report.tally.to_json()})
        if len(waiting) == _ROW_GROUP:
            flush()

    with storage.writing(storage.join(out, PARTS)) as file, pq.ParquetWriter(file, PARTS_SCHEMA) as writer:
        yield add
        flush()
