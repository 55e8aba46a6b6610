"""Corrections: the labels that people gave images of a job, by content hash, over those of their folders."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from io import BytesIO

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from dice_core.bank import Bank
from jobs import parquet, records
from jobs.errors import Refusal
from jobs.records import Kind

CORRECTIONS_SCHEMA = pa.schema(
    [
        pa.field("content_hash", pa.string(), nullable=False),
        pa.field("label", pa.string(), nullable=False),
        pa.field("review", pa.int64(), nullable=False),
        pa.field("time", pa.string(), nullable=False),
        pa.field("note", pa.string()),
    ]
)
"""One line per image: its label, and the number, time and note of the review that gave it."""


@dataclass(frozen=True)
class Corrections:
    """All that are in force after a review.

    Attributes
    ----------
    number
        That of the review; 0 where there was none.
    table
        As `CORRECTIONS_SCHEMA` has it, one line per hash.
    """

    number: int
    table: pa.Table

    @cached_property
    def labels(self) -> Mapping[str, str]:
        """Give the label of each hash."""
        columns = (self.table[name].to_pylist() for name in ("content_hash", "label"))
        return dict(zip(*columns, strict=True))

    def __len__(self) -> int:
        return int(self.table.num_rows)

    def touches(self) -> pc.Expression:
        """Give what is true of the rows that have one."""
        return pc.is_in(ds.field("content_hash"), self._hashes)

    def apply(self, rows: pa.RecordBatch) -> pa.RecordBatch:
        """Put corrected labels in place of those of rows, which have `content_hash` and `label`."""
        if not len(self):
            return rows
        places = pc.index_in(rows["content_hash"], self._hashes)
        corrected = self.table["label"].combine_chunks().take(places)
        at = rows.schema.get_field_index("label")
        columns = rows.columns
        columns[at] = pc.coalesce(corrected, rows["label"])
        return pa.RecordBatch.from_arrays(columns, schema=rows.schema)

    @cached_property
    def _hashes(self) -> pa.Array:
        return self.table["content_hash"].combine_chunks()


NONE = Corrections(0, CORRECTIONS_SCHEMA.empty_table())
"""Nothing was reviewed."""


def read(out: str, bank: Bank | None = None) -> Corrections:
    """Read those in force in a job folder, where a model is given those whose labels it knows.

    Another model may have scored the rows since, which has not all of the faces that people named.

    Raises
    ------
    Refusal
        Where the file is no such list.
    """
    found = records.listed(out, Kind.REVIEW)
    if not found:
        return NONE
    number, url = found[-1]
    try:
        table = parquet.read_columns(url, CORRECTIONS_SCHEMA.names).cast(CORRECTIONS_SCHEMA)
    except (ValueError, KeyError, OSError) as error:  # ArrowInvalid is a ValueError
        raise Refusal(
            f"{url}: not a list of corrections ({error}): remove it, and review once more"
        ) from error
    if bank is not None:
        known = [*(face.name for face in bank.faces), *bank.anomaly_labels]
        table = table.filter(pc.is_in(table["label"], pa.array(known, pa.string())))
    return Corrections(number, table)


def write(out: str, corrections: Corrections) -> str:
    """Write corrections under their number; give the name of the file."""
    stream = BytesIO()
    pq.write_table(corrections.table, stream, compression=parquet.COMPRESSION)
    return records.add(out, Kind.REVIEW, corrections.number, stream.getvalue())
