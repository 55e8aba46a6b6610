"""One part while it is written: row groups as rows come, under its name only when all are there."""

from collections.abc import Mapping
from contextlib import ExitStack
from types import TracebackType
from typing import Self

import pyarrow as pa
import pyarrow.parquet as pq

from dice_core.rows import SCHEMA
from dice_core.tally import Tally
from jobs import parquet, storage
from jobs.parquet import Hashing, Written

ROW_GROUP_BYTES = 4 << 20
"""Of rows in memory, after which they are written: some 15,000 rows, more than a usual shard has."""


class PartFile:
    """Takes the rows of a part and holds no more of them than a row group.

    The file is begun with the first row group, so that a usual part is opened, written and named at once.

    Attributes
    ----------
    rows
        How many there are so far.
    tally
        Of them.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._open = ExitStack()
        self._hashing: Hashing | None = None
        self._writer: pq.ParquetWriter | None = None
        self._waiting = [SCHEMA.empty_table()]
        self._held = 0
        self.rows = 0
        self.tally = Tally()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave nothing of a part that was not finished."""
        self._open.__exit__(kind, error, trace)

    def add(self, table: pa.Table) -> None:
        """Take rows, in order."""
        self._waiting.append(table)
        self._held += table.nbytes
        self.rows += table.num_rows
        self.tally += Tally.of(table)
        if self._held >= ROW_GROUP_BYTES:
            self._write()

    def finish(self, metadata: Mapping[str, str]) -> Written:
        """Write what waits and the key-value metadata, and let the part appear.

        Raises
        ------
        FileExistsError
            Where there is one already, which stays.
        """
        if self._held or self._writer is None:
            self._write()
        writer, hashing = self._opened()
        writer.add_key_value_metadata(metadata)
        writer.close()
        self._open.close()
        return hashing.written

    def _write(self) -> None:
        table = pa.concat_tables(self._waiting).combine_chunks()
        self._waiting, self._held = [SCHEMA.empty_table()], 0
        writer, _ = self._opened()
        writer.write_table(table, row_group_size=max(table.num_rows, 1))

    def _opened(self) -> tuple[pq.ParquetWriter, Hashing]:
        if self._writer is None or self._hashing is None:
            file = self._open.enter_context(storage.writing(self._url, replace=False))
            self._hashing = Hashing(file)
            self._writer = self._open.enter_context(
                pq.ParquetWriter(self._hashing, SCHEMA, compression=parquet.COMPRESSION)
            )
        return self._writer, self._hashing
