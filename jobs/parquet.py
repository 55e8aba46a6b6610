"""Parquet as the job uses it: a part written whole, its footer, chosen columns of it."""

import io
from collections.abc import Iterator, Sequence
from hashlib import blake2b
from typing import Any, BinaryIO, NamedTuple

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from jobs import storage
from jobs.arrowfiles import opened

HASH_BYTES = 16
"""BLAKE2b-128, for images, parts and models alike."""

COMPRESSION = "zstd"
"""Of every file of rows."""

_PIECE = 1 << 20
_AT_ONCE = 64
"""Row groups that are read ahead of each other."""
_ROWS_AT_ONCE = 250_000
"""Rows after which no further one is."""


class Written(NamedTuple):
    """A file as it was written."""

    size: int
    hash: str


class Footer(NamedTuple):
    """What a part tells about itself without its rows being read."""

    rows: int
    metadata: dict[str, str]


def digest(data: bytes | memoryview) -> str:
    """Hash bytes: BLAKE2b-128 as 32 hexadecimal digits."""
    return blake2b(data, digest_size=HASH_BYTES).hexdigest()


def hash_file(url: str) -> Written:
    """Tell size and hash of a file, a piece at a time."""
    state = blake2b(digest_size=HASH_BYTES)
    size = 0
    with storage.open_read(url) as file:
        while piece := file.read(_PIECE):
            state.update(piece)
            size += len(piece)
    return Written(size, state.hexdigest())


class Hashing(io.RawIOBase):
    """Passes on what is written to a file, and hashes it on the way."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._state = blake2b(digest_size=HASH_BYTES)
        self.size = 0

    def writable(self) -> bool:
        """Tell that it can be written to."""
        return True

    def write(self, data: Any, /) -> int:
        """Write bytes."""
        piece = memoryview(data).cast("B")
        self._file.write(piece)
        self._state.update(piece)
        self.size += len(piece)
        return len(piece)

    def tell(self) -> int:
        """Tell how much was written."""
        return self.size

    @property
    def written(self) -> Written:
        """Size and hash of all that was written."""
        return Written(self.size, self._state.hexdigest())


def read_footer(url: str) -> Footer:
    """Read the number of rows and the key-value metadata.

    Raises
    ------
    pyarrow.ArrowInvalid
        Where the file is no Parquet.
    """
    with storage.open_read(url) as file:
        footer = pq.read_metadata(file)
    return Footer(footer.num_rows, kept(footer))


def kept(footer: pq.FileMetaData) -> dict[str, str]:
    """Give the key-value metadata that a file was written with."""
    metadata = footer.metadata or {}
    return {key.decode(): value.decode() for key, value in metadata.items() if key != b"ARROW:schema"}


def read_columns(url: str, columns: Sequence[str] | None = None) -> pa.Table:
    """Read the named columns of a part, or all of them."""
    with opened(url) as file:
        return pq.read_table(file, columns=None if columns is None else list(columns))


def scan(rows: ds.Dataset, columns: Sequence[str], where: ds.Expression) -> Iterator[pa.RecordBatch]:
    """Read the named columns of the rows that fulfil `where`, in order.

    A dataset keeps the footer of each file it has met, which for a hundred thousand parts is gigabytes, and
    reads all row groups of a large file ahead. So row groups are met a few at a time, by datasets that go.
    """
    if not isinstance(rows, ds.FileSystemDataset):
        yield from rows.to_batches(columns=list(columns), filter=where)
        return
    for some in _row_groups(rows):
        met = ds.FileSystemDataset(some, rows.schema, rows.format, rows.filesystem)
        yield from met.to_batches(columns=list(columns), filter=where)


def _row_groups(rows: ds.FileSystemDataset) -> Iterator[list[ds.ParquetFileFragment]]:
    waiting: list[ds.ParquetFileFragment] = []
    held = 0
    for part in rows.get_fragments():
        # Made anew, for the dataset's own would keep what it learns.
        for group in rows.format.make_fragment(part.path, rows.filesystem).split_by_row_group():
            waiting.append(group)
            held += group.num_row_groups and group.row_groups[0].num_rows
            if len(waiting) == _AT_ONCE or held >= _ROWS_AT_ONCE:
                yield waiting
                waiting, held = [], 0
    if waiting:
        yield waiting
