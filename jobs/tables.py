"""The tables that SQL sees of job folders: opened by Arrow and handed over, so that SQL opens no file."""

from collections.abc import Sequence

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
from duckdb.func import FunctionNullHandling, PythonUDFType

from dice_core.bank import Bank
from dice_core.rows import SCHEMA
from jobs import corrections, decisions, folder, lotlist, parquet, storage
from jobs.errors import Refusal
from jobs.evaluate import open_rows, read_model

TABLES = ("scores", "verdicts", "parts")

_REPEATED = ("archive", "folder", "label", "lot", "status", "reason", "face", "verdict")
"""Columns of few values, which are handed over as numbers and a list of them: five times as fast."""

_PARTS = pa.schema(
    [
        pa.field("name", pa.string()),
        pa.field("size", pa.int64()),
        pa.field("hash", pa.string()),
        pa.field("archive", pa.string()),
        pa.field("first", pa.int64()),
        pa.field("rows", pa.int64()),
    ]
)
"""Of the list of parts, what is of use in SQL."""


def register(connection: duckdb.DuckDBPyConnection, jobs: Sequence[str], *, verdicts: bool) -> None:
    """Make the tables of `TABLES`; where there are several jobs, the first column names the folder.

    Parameters
    ----------
    connection
        Where to make them.
    jobs
        The job folders.
    verdicts
        Whether the table ``verdicts`` is asked for, which takes the model.

    Raises
    ------
    Refusal
        Where a folder is no job's, or a file of it is damaged.
    """
    for number, job in enumerate(jobs):
        _register(connection, job, number)
        if verdicts:
            _register_verdicts(connection, job, number)
    for table in TABLES if verdicts else ("scores", "parts"):
        selects = (
            f"SELECT {f'{_quoted(job)} AS job, ' if len(jobs) > 1 else ''}* FROM {table}_{number}"  # noqa: S608
            for number, job in enumerate(jobs)
        )
        connection.execute(f"CREATE VIEW {table} AS {' UNION ALL '.join(selects)}")


def _register(connection: duckdb.DuckDBPyConnection, job: str, number: int) -> None:
    connection.register(f"rows_{number}", _open(job))
    connection.register(f"parts_{number}", _parts(job))
    lots = lotlist.read(job)
    # Functions rather than joins: what is not asked for is not looked up.
    _look_up(connection, f"lot_shift_{number}", lots["lot"], lots[lotlist.SHIFT], "DOUBLE")
    connection.execute(
        f"CREATE VIEW scores_{number} AS SELECT *, lot_shift_{number}(lot) AS lot_shift FROM rows_{number}"  # noqa: S608
    )


def _look_up(
    connection: duckdb.DuckDBPyConnection,
    name: str,
    keys: pa.ChunkedArray,
    values: pa.ChunkedArray,
    kind: str,
) -> None:
    """Make a function of text that gives the value of a key, and NULL for what is no key."""
    known, told = keys.combine_chunks(), values.combine_chunks()

    def function(asked: pa.Array) -> pa.Array:
        return told.take(pc.index_in(asked.cast(pa.string()), known))

    connection.create_function(
        name,
        function,
        ["VARCHAR"],
        kind,
        type=PythonUDFType.ARROW,
        null_handling=FunctionNullHandling.SPECIAL,
    )


def _register_verdicts(connection: duckdb.DuckDBPyConnection, job: str, number: int) -> None:
    """Make the view of what counts now: corrected labels first, then the thresholds in force."""
    bank = read_model(job)
    corrected = corrections.read(job, bank)
    keys, labels = corrected.table["content_hash"], corrected.table["label"]
    _look_up(connection, f"correction_{number}", keys, labels, "VARCHAR")
    connection.execute(_verdicts(job, number, bank, some=bool(len(corrected))))


def _verdicts(job: str, number: int, bank: Bank, *, some: bool) -> str:
    decision = decisions.read(job)
    limits = decisions.limits_of(decision, bank)
    cases = " ".join(
        f"WHEN {_quoted(face.name)} THEN {float(limit)!r}"
        for face, limit in zip(bank.faces, limits.faces, strict=True)
    )
    # What is the same for all is not looked up for each.
    one = len(set(limits.faces.tolist())) == 1
    threshold = repr(float(limits.faces[0])) if one else f"CASE face {cases} END"
    corrected = f"correction_{number}(content_hash)" if some else "CAST(NULL AS VARCHAR)"
    bad = ", ".join(map(_quoted, bank.anomaly_labels)) or "NULL"
    by = "model" if decision is None else "decision"
    return f"""
        CREATE VIEW verdicts_{number} AS
        SELECT archive, "index", member, lot, face, defect_score, threshold, content_hash,
            coalesce(correction, label) AS label,
            CASE
                WHEN correction IN ({bad}) THEN 'anomaly'
                WHEN correction IS NOT NULL THEN 'good'
                WHEN verdict = 'unknown_part' THEN 'unknown_part'
                WHEN defect_score >= threshold THEN 'anomaly'
                ELSE 'good'
            END AS verdict,
            CASE WHEN correction IS NULL THEN '{by}' ELSE 'review' END AS decided_by
        FROM (
            SELECT *, CAST({threshold} AS FLOAT) AS threshold,
                {corrected} AS correction
            FROM rows_{number}
            WHERE status = 'ok'
        )"""  # noqa: S608 - of the model's own words, quoted


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _open(job: str) -> ds.Dataset:
    rows = open_rows(job)
    if not isinstance(rows, ds.FileSystemDataset):
        return rows
    coded = pa.dictionary(pa.int32(), pa.string())
    schema = pa.schema([field.with_type(coded) if field.name in _REPEATED else field for field in SCHEMA])
    options = ds.ParquetReadOptions(dictionary_columns=list(_REPEATED))
    form = ds.ParquetFileFormat(read_options=options)
    fragments = [form.make_fragment(part.path, part.filesystem) for part in rows.get_fragments()]
    return ds.FileSystemDataset(fragments, schema, form, rows.filesystem)


def _parts(job: str) -> pa.Table:
    url = storage.join(job, folder.PARTS)
    if not storage.exists(url):
        return _PARTS.empty_table()
    try:
        return parquet.read_columns(url, _PARTS.names).cast(_PARTS)
    except (OSError, KeyError, ValueError) as error:  # ArrowInvalid is a ValueError
        raise Refusal(
            f"{url}: not a list of parts ({error}): the same score command writes it anew"
        ) from error
