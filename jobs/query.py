"""The job ``query``: one SELECT over the rows of a job folder, which cannot reach anything else."""

import io
import json
import math
from decimal import Decimal
from itertools import chain, count

import duckdb
import pyarrow as pa
import pyarrow.csv
from rich.console import Console
from rich.table import Column, Table

from jobs import folder
from jobs.errors import Refusal
from jobs.evaluate import open_rows
from jobs.lotlist import SHIFT, open_scores, read
from jobs.lotrule import ARCHIVE
from jobs.text import plain

FORMATS = ("table", "csv", "json")

_LOCKS = (
    "SET enable_external_access = false",
    "SET python_enable_replacements = false",
    "SET autoinstall_known_extensions = false",
    "SET autoload_known_extensions = false",
    "SET lock_configuration = true",
)


_SCORES = "CREATE VIEW scores AS SELECT r.*, l.lot_shift FROM rows_alone r LEFT JOIN lots l ON r.lot = l.lot"
"""Where a file may hold rows of many lots, as those of a compacted job do."""


def query(out: str, sql: str) -> pa.Table:
    """Run one SELECT over the table ``scores``.

    The parts are opened here and handed over, so that the SQL itself opens no file, loads no extension and
    changes no setting.

    Parameters
    ----------
    out
        The job folder.
    sql
        One SELECT statement.

    Raises
    ------
    Refusal
        Where there is no job in the folder, the SQL is not one SELECT, or it fails.
    """
    job = folder.read_job(out)
    if job is None:
        raise Refusal(f"{out}: not a job folder: name the one that score wrote with --out")
    with duckdb.connect() as connection:
        if folder.is_compacted(job) or job["decides"].get("lot", ARCHIVE) != ARCHIVE:
            connection.register("rows_alone", open_rows(out))
            connection.register("lots", read(out).select(["lot", SHIFT]))
            connection.execute(_SCORES)
        else:
            connection.register("scores", open_scores(out))
        for lock in _LOCKS:
            connection.execute(lock)
        try:
            statements = connection.extract_statements(sql)
            if len(statements) != 1 or statements[0].type != duckdb.StatementType.SELECT:
                raise Refusal("query takes one SELECT over the table scores, and nothing else")
            return _name_apart(connection.sql(sql).to_arrow_table())
        except duckdb.Error as error:
            raise Refusal(f"query: {' '.join(str(error).split())}") from error


def _name_apart(result: pa.Table) -> pa.Table:
    """Give a number to columns that have the name of an earlier one, as rows become objects by name."""
    names: list[str] = []
    for name in result.column_names:
        candidates = chain([name], (f"{name}_{number}" for number in count(1)))
        names.append(next(candidate for candidate in candidates if candidate not in names))
    return result.rename_columns(names)


def render(result: pa.Table, form: str) -> str:
    """Write a result as a table for people, as CSV, or as JSON: a list with one object per row.

    Raises
    ------
    Refusal
        Where the format is none of `FORMATS`, or cannot hold a value.
    """
    try:
        return _render(result, form)
    except (OverflowError, pa.ArrowException) as error:
        raise Refusal(f"query: {error}: CAST the column to VARCHAR") from error


def _render(result: pa.Table, form: str) -> str:
    if form == "csv":
        sink = io.BytesIO()
        pyarrow.csv.write_csv(_flat(result), sink)
        return sink.getvalue().decode()
    if form == "json":
        return f"{_as_json(result.to_pylist(), indent=2)}\n"
    if form != "table":
        raise Refusal(f"--format {form}: give one of {', '.join(FORMATS)}")
    table = Table(*(Column(plain(name), overflow="fold") for name in result.column_names))
    for row in result.to_pylist():
        table.add_row(*(_cell(value) for value in row.values()))
    text = io.StringIO()
    width = max(80, 24 * result.num_columns)
    Console(file=text, width=width, markup=False, emoji=False, highlight=False).print(table)
    return text.getvalue()


def _flat(result: pa.Table) -> pa.Table:
    """Write lists and structures, which have no place in CSV, as JSON."""
    for position, field in enumerate(result.schema):
        if pa.types.is_nested(field.type):
            values = [
                None if value is None else _as_json(value) for value in result.column(position).to_pylist()
            ]
            result = result.set_column(position, field.name, pa.array(values, pa.string()))
    return result


def _as_json(value: object, indent: int | None = None) -> str:
    return json.dumps(_strict(value), indent=indent, ensure_ascii=False, allow_nan=False, default=str)


def _strict(value: object) -> object:
    """Make numbers of decimals, which sums of integers are, and leave out those that JSON has no word for."""
    if isinstance(value, Decimal):
        value = int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, list):
        return [_strict(item) for item in value]
    return {str(key): _strict(item) for key, item in value.items()} if isinstance(value, dict) else value


def _cell(value: object) -> str:
    if value is None:
        return ""
    return f"{value:.6g}" if isinstance(value, float) else plain(str(value))
