"""The labels that the images of a job have by now, as a table of labels to learn or score by."""

from collections.abc import Iterator

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

from dice_core.rows import Status
from jobs import corrections, parquet
from jobs.errors import Refusal
from jobs.evaluate import open_rows

_COLUMNS = ("content_hash", "label")


def lines(out: str) -> Iterator[tuple[str, str]]:
    """Give hash and label of each photograph of a job that has one, corrections before labels of rows.

    Raises
    ------
    Refusal
        Where the rows cannot be read, or a photograph has two labels and no correction tells which.
    """
    labels = _labels(out)
    counts = pc.value_counts(labels["content_hash"])
    differ = counts.filter(pc.greater(pc.struct_field(counts, "counts"), 1))
    if len(differ):
        content = differ[0].as_py()["values"]
        two = sorted(labels.filter(pc.equal(labels["content_hash"], content))["label"].to_pylist())
        raise Refusal(
            f"--labels {out}: {content} is {' and '.join(two)}, the first of {len(differ):,} such: "
            "tell with review which it is"
        )
    for batch in labels.to_batches():
        yield from zip(*(batch[name].to_pylist() for name in _COLUMNS), strict=True)


def _labels(out: str) -> pa.Table:
    """Gather each pair of hash and label once."""
    rows, corrected = open_rows(out), corrections.read(out)
    labelled = ds.field("label").is_valid() | corrected.touches()
    pieces = [pa.table({name: pa.array([], pa.string()) for name in _COLUMNS})]
    try:
        for batch in parquet.scan(rows, list(_COLUMNS), (ds.field("status") == Status.OK.value) & labelled):
            pieces.append(pa.Table.from_batches([corrected.apply(batch)]).cast(pieces[0].schema))
    except (OSError, pa.ArrowException) as error:
        raise Refusal(f"{out}: {error}: verify names the parts that are damaged") from error
    return pa.concat_tables(pieces).group_by(list(_COLUMNS)).aggregate([])
