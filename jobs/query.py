"""The job ``query``: one SELECT over the rows of a job folder, which cannot reach anything else."""

import io
import json

import duckdb
import pyarrow as pa
import pyarrow.csv
from rich.console import Console
from rich.table import Table

from jobs import folder
from jobs.errors import Refusal
from jobs.evaluate import open_rows

FORMATS = ("table", "csv", "json")

_LOCKS = (
    "SET enable_external_access = false",
    "SET python_enable_replacements = false",
    "SET autoinstall_known_extensions = false",
    "SET autoload_known_extensions = false",
    "SET lock_configuration = true",
)


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
    if folder.read_job(out) is None:
        raise Refusal(f"{out}: not a job folder: name the one that score wrote with --out")
    with duckdb.connect() as connection:
        connection.register("scores", open_rows(out))
        for lock in _LOCKS:
            connection.execute(lock)
        try:
            statements = connection.extract_statements(sql)
            if len(statements) != 1 or statements[0].type != duckdb.StatementType.SELECT:
                raise Refusal("query takes one SELECT over the table scores, and nothing else")
            return connection.sql(sql).to_arrow_table()
        except duckdb.Error as error:
            raise Refusal(f"query: {' '.join(str(error).split())}") from error


def render(result: pa.Table, form: str) -> str:
    """Write a result as a table for people, as CSV, or as JSON: a list with one object per row."""
    if form == "csv":
        sink = io.BytesIO()
        pyarrow.csv.write_csv(result, sink)
        return sink.getvalue().decode()
    if form == "json":
        return json.dumps(result.to_pylist(), indent=2, ensure_ascii=False, default=str) + "\n"
    if form != "table":
        raise Refusal(f"--format {form}: give one of {', '.join(FORMATS)}")
    table = Table(*result.column_names)
    for row in result.to_pylist():
        table.add_row(*(_cell(value) for value in row.values()))
    text = io.StringIO()
    Console(file=text, width=max(80, 24 * result.num_columns), markup=False).print(table)
    return text.getvalue()


def _cell(value: object) -> str:
    if value is None:
        return ""
    return f"{value:.6g}" if isinstance(value, float) else str(value)
