"""The job ``query``: one SELECT over the rows of job folders, which cannot reach anything else."""

import json
import tempfile
from collections.abc import Iterator, Mapping
from glob import has_magic
from itertools import chain, count
from typing import Any

import duckdb
import pyarrow as pa

from jobs import folder, storage, tables
from jobs.errors import Refusal

_LOCKS = (
    "SET enable_external_access = false",
    "SET python_enable_replacements = false",
    "SET autoinstall_known_extensions = false",
    "SET autoload_known_extensions = false",
    "SET lock_configuration = true",
)

_FUNCTIONS = {"range", "generate_series", "unnest", "repeat", "json_each", "json_tree"}
"""Table functions that make rows of nothing but their arguments."""


def find_jobs(place: str) -> list[str]:
    """List the job folders that a folder or a glob names.

    Raises
    ------
    Refusal
        Where there is none.
    """
    if folder.read_job(place) is not None:
        return [place]
    if storage.exists(place) or not has_magic(place):
        raise Refusal(f"{place}: not a job folder: name the one that score wrote with --out")
    matches = filter(storage.is_folder, storage.named(place))
    found = [match for match in matches if folder.read_job(match) is not None]
    if not found:
        raise Refusal(f"{place}: matches no job folder: name those that score wrote with --out")
    return found


def query(place: str, sql: str) -> pa.Table:
    """Run one SELECT over the tables ``scores``, ``verdicts`` and ``parts``.

    The parts are opened here and handed over, so that the SQL itself opens no file, loads no extension and
    changes no setting.

    Parameters
    ----------
    place
        A job folder, or a glob of them.
    sql
        One SELECT statement.

    Raises
    ------
    Refusal
        Where there is no job in the folder, the SQL is not one SELECT, or it fails.
    """
    jobs = find_jobs(place)
    # What does not fit memory goes to a folder of its own, and with it.
    with tempfile.TemporaryDirectory() as scratch, duckdb.connect() as connection:
        connection.execute("SET temp_directory = $1", [scratch])
        try:
            named = _check(connection, sql)
            tables.register(connection, jobs, verdicts="verdicts" in named)
            for lock in _LOCKS:
                connection.execute(lock)
            return _name_apart(connection.sql(sql).to_arrow_table())
        except duckdb.CatalogException as error:
            known = f"the tables are {', '.join(tables.TABLES)}"
            raise Refusal(f"query: {_said(error).partition(' Did you mean')[0]} ({known})") from error
        except duckdb.Error as error:
            raise Refusal(f"query: {_said(error)}") from error


def _said(error: duckdb.Error) -> str:
    """Give the message in one line, without the statement and the arrow that points into it."""
    return " ".join(str(error).partition("\n\nLINE ")[0].split())


def _check(connection: duckdb.DuckDBPyConnection, sql: str) -> set[str]:
    """Refuse all but one SELECT that reads tables; give the names of these."""
    statements = connection.extract_statements(sql)
    if len(statements) != 1 or statements[0].type != duckdb.StatementType.SELECT:
        raise Refusal(f"query takes one SELECT over the tables {', '.join(tables.TABLES)}, and nothing else")
    ((told,),) = connection.execute("SELECT json_serialize_sql($1)", [sql]).fetchall()
    tree = json.loads(told)
    if tree["error"]:
        raise Refusal(f"query takes one SELECT: {' '.join(str(tree.get('error_message')).split())}")
    called = {str(node["function"]["function_name"]).lower() for node in _nodes(tree, "TABLE_FUNCTION")}
    others = sorted(called - _FUNCTIONS)
    if others:
        known = ", ".join(tables.TABLES)
        raise Refusal(f"query reads the tables {known}, and calls no {', '.join(others)}()")
    return {str(node["table_name"]).lower() for node in _nodes(tree, "BASE_TABLE")}


def _nodes(tree: Any, kind: str) -> Iterator[Mapping[str, Any]]:
    """Find what is of a kind in a parsed statement, wherever in it."""
    if isinstance(tree, dict):
        if tree.get("type") == kind:
            yield tree
        tree = list(tree.values())
    if isinstance(tree, list):
        for item in tree:
            yield from _nodes(item, kind)


def _name_apart(result: pa.Table) -> pa.Table:
    """Give a number to columns that have the name of an earlier one, as rows become objects by name."""
    names: list[str] = []
    for name in result.column_names:
        candidates = chain([name], (f"{name}_{number}" for number in count(1)))
        names.append(next(candidate for candidate in candidates if candidate not in names))
    return result.rename_columns(names)
