"""The list of lots: one line for each lot of a job folder."""

import math
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from dice_core.drift import Drift
from jobs import folder, parquet, storage
from jobs.errors import Refusal
from jobs.evaluate import open_rows, read_model
from jobs.lots import Lots, judge_lots

LOTS_SCHEMA = pa.schema(
    [
        pa.field("lot", pa.string(), nullable=False),
        pa.field("images", pa.int64(), nullable=False),
        pa.field("share_called", pa.float64()),
        pa.field("lot_shift", pa.float64()),
        pa.field("spread_ratio", pa.float64()),
        pa.field("enough", pa.bool_(), nullable=False),
        pa.field("alarm", pa.string()),
        pa.field("correction", pa.float64(), nullable=False),
    ]
)
"""One line per lot with a scored image, as `Drift` tells it."""

SHIFT = "lot_shift"

_ROW_GROUP = 1000
_CLOSE = 1e-6
"""Relative difference that another processor's sums may make."""


def write(out: str) -> Lots:
    """Judge the lots of a job folder and list them; Refusal where the model or a part is damaged."""
    bank = read_model(out)
    waiting: list[dict[str, Any]] = []

    def listing() -> Iterator[tuple[str, Drift]]:
        for lot, drift in judge_lots(open_rows(out), bank):
            waiting.append(_line(lot, drift))
            if len(waiting) == _ROW_GROUP:
                flush()
            yield lot, drift
        flush()

    def flush() -> None:
        writer.write_table(pa.Table.from_pylist(waiting, LOTS_SCHEMA))
        waiting.clear()

    url = storage.join(out, folder.LOTS)
    try:
        with storage.writing(url) as file, pq.ParquetWriter(file, LOTS_SCHEMA) as writer:
            return Lots.of(listing(), bank)
    except pa.ArrowException as error:
        raise Refusal(f"{out}: {error}: verify names the parts that are damaged") from error


def _line(lot: str, drift: Drift) -> dict[str, Any]:
    line = asdict(drift)
    return {"lot": lot, SHIFT: line.pop("shift"), **line}


def read(out: str) -> pa.Table:
    """Read the list of lots, empty where it has not been written.

    Raises
    ------
    Refusal
        Where the file is no such list.
    """
    url = storage.join(out, folder.LOTS)
    if not storage.exists(url):
        return LOTS_SCHEMA.empty_table()
    try:
        return parquet.read_columns(url).select(LOTS_SCHEMA.names).cast(LOTS_SCHEMA)
    except (ValueError, KeyError, OSError) as error:  # ArrowInvalid is a ValueError
        raise Refusal(
            f"{url}: not a list of lots ({error}): remove it, and the same score command writes it anew"
        ) from error


def check(out: str) -> Iterator[str]:
    """Tell whether the list of lots and the alarms in the summary are what the rows give."""
    if not storage.exists(storage.join(out, folder.LOTS)):
        yield f"{folder.LOTS}: missing: the same score command writes it"
        return
    try:
        listed, rows = {line["lot"]: line for line in read(out).to_pylist()}, open_rows(out)
    except Refusal as error:
        yield str(error)
        return
    bank = read_model(out)
    different: list[str] = []

    def compared() -> Iterator[tuple[str, Drift]]:
        for lot, drift in judge_lots(rows, bank):
            if not _same(listed.pop(lot, None), _line(lot, drift)):
                different.append(lot)
            yield lot, drift

    alarms = Lots.of(compared(), bank).alarms
    different += sorted(listed)
    if different:
        yield f"{folder.LOTS}: of {len(different)} lots it tells what the rows do not, first {different[0]}"
    if storage.exists(storage.join(out, folder.SUMMARY)):
        told = folder.read_summary(out)
        if told.get("alarmed_lots") != alarms["alarmed_lots"]:
            found = told.get("alarmed_lots")
            yield f"{folder.SUMMARY}: alarmed_lots is {found}, the rows have {alarms['alarmed_lots']}"
        if [(alarm["lot"], alarm["reason"]) for alarm in told.get("lot_alarms", ())] != [
            (alarm["lot"], alarm["reason"]) for alarm in alarms["lot_alarms"]
        ]:
            yield f"{folder.SUMMARY}: its lot_alarms are not those of the rows"


def _same(listed: dict[str, Any] | None, line: dict[str, Any]) -> bool:
    def close(one: object, other: object) -> bool:
        if isinstance(one, float) and isinstance(other, float):
            return math.isclose(one, other, rel_tol=_CLOSE, abs_tol=_CLOSE)
        return one == other

    return listed is not None and all(close(listed[name], line[name]) for name in LOTS_SCHEMA.names)
