"""Answers to SQL, as text for people and programs, or as Parquet."""

import io
import json
import math
from collections.abc import Iterator
from decimal import Decimal

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq
from rich.cells import cell_len
from rich.console import Console
from rich.table import Column, Table

from jobs.errors import Refusal
from jobs.parquet import COMPRESSION
from jobs.text import for_csv, in_json, plain

FORMATS = ("table", "csv", "json")

_LEAST = 16
"""Characters of a path that a table leaves at least."""
_FRAME = 3
"""Characters between two columns."""

_TO_LOOK_AT = "^[^0-9A-Za-z/]|[^ -~]"
"""Text that may be a formula, or hold what does not print."""


def as_parquet(result: pa.Table) -> bytes:
    """Write a result as one Parquet file."""
    stream = io.BytesIO()
    try:
        pq.write_table(result, stream, compression=COMPRESSION)
    except pa.ArrowException as error:
        raise Refusal(f"query: {error}: CAST the column to VARCHAR") from error
    return stream.getvalue()


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
    width = max(80, 24 * result.num_columns)
    rows = [[_cell(value) for value in row.values()] for row in result.to_pylist()]
    _shorten(rows, result.schema, width)
    for row in rows:
        table.add_row(*row)
    text = io.StringIO()
    Console(file=text, width=width, markup=False, emoji=False, highlight=False).print(table)
    return text.getvalue()


def _shorten(rows: list[list[str]], schema: pa.Schema, width: int) -> None:
    """Cut long paths at their left, where they are alike, until a row is one line; nothing else is cut."""
    lengths = [
        max([cell_len(plain(name)), *map(cell_len, column)]) for name, column in _columns(rows, schema)
    ]
    texts = [
        at
        for at, field in enumerate(schema)
        if pa.types.is_string(field.type) or pa.types.is_large_string(field.type)
        if any("/" in row[at] for row in rows)
    ]
    for at in texts:
        lengths[at] = min(lengths[at], width)
    beyond = sum(lengths) + _FRAME * len(lengths) + 1 - width
    limits = {at: max(_LEAST, cell_len(plain(schema[at].name))) for at in texts}
    while beyond > 0 and (long := [at for at in texts if lengths[at] > limits[at]]):
        lengths[max(long, key=lengths.__getitem__)] -= 1
        beyond -= 1
    for row in rows:
        for at in texts:
            if cell_len(row[at]) > lengths[at]:
                row[at] = f"…{_end(row[at], lengths[at] - 1)}"


def _columns(rows: list[list[str]], schema: pa.Schema) -> Iterator[tuple[str, list[str]]]:
    return ((name, [row[at] for row in rows]) for at, name in enumerate(schema.names))


def _end(text: str, width: int) -> str:
    """Give as much of the end of a text as has room in so many cells of a terminal."""
    text = text[-width:]
    while cell_len(text) > width:
        text = text[1:]
    return text


def _flat(result: pa.Table) -> pa.Table:
    """Write lists and structures, which CSV has no place for, as JSON, and no formula among text."""
    for position, field in enumerate(result.schema):
        if pa.types.is_nested(field.type):
            values = [
                None if value is None else _as_json(value) for value in result.column(position).to_pylist()
            ]
            result = result.set_column(position, field.name, pa.array(values, pa.string()))
        elif pa.types.is_string(field.type) or pa.types.is_large_string(field.type):
            column = result.column(position)
            if pc.any(pc.match_substring_regex(column, _TO_LOOK_AT)).as_py():
                values = [None if value is None else for_csv(value) for value in column.to_pylist()]
                result = result.set_column(position, field.name, pa.array(values, pa.string()))
    return result


def _as_json(value: object, indent: int | None = None) -> str:
    told = json.dumps(_strict(value), indent=indent, ensure_ascii=False, allow_nan=False, default=str)
    return in_json(told)


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
