"""The job ``export``: the images that want a look, as a CSV to open, correct and hand to ``review``."""

import csv
import io
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from dice_core.bank import Bank
from jobs import corrections, decisions, gallery, pictures, storage
from jobs.errors import Refusal
from jobs.evaluate import open_rows, read_model
from jobs.originals import PLACE, Gone, Originals
from jobs.plan import map_name
from jobs.scanned import Scanned, fetch, scan
from jobs.text import for_spreadsheet

LIMIT = 1000
"""Rows that are written at most, unless more are asked for."""
SIDE = 256
"""Pixels of the longer side of a thumbnail, at most."""

COLUMNS = (
    *("archive", "index", "member", "lot", "face", "verdict", "defect_score", "times_threshold", "ncc"),
    *("label", "content_hash"),
)
CORRECTION = "correction"
"""The column that is left for a person."""

_READ = (*PLACE, "lot", "face", "verdict", "defect_score", "ncc", "label", *pictures.BOX)


class What(StrEnum):
    """Which rows are exported."""

    ANOMALIES = "anomalies"
    """Called by the thresholds in force, parts of unknown kind included, the highest scores first."""
    NEAREST = "nearest"
    """Nearest to these thresholds on both sides, the nearest first."""


@dataclass(frozen=True)
class ExportSettings:
    """What an export is asked for.

    Raises
    ------
    Refusal
        Naming the first value that is not taken.
    """

    job: str
    what: What
    out: str
    limit: int = LIMIT
    thumbnails: str | None = None
    source_roots: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.limit < 1:
            raise Refusal(f"--limit {self.limit}: give a number of rows from 1 up")
        job = f"{storage.absolute(self.job)}/"
        for option, url in (("--out", self.out), ("--thumbnails", self.thumbnails)):
            if url is not None and f"{storage.absolute(url)}/".startswith(job):
                raise Refusal(f"{option} {url}: is or lies in the job folder: name a place outside it")
        if storage.exists(self.out):
            raise Refusal(f"--out {self.out}: exists, and may hold corrections: name another file")


@dataclass(frozen=True)
class Exported:
    """What an export came to: rows, and thumbnails that could not be made."""

    rows: int
    gone: int


def export(settings: ExportSettings) -> Exported:
    """Write the rows that are asked for as CSV that a spreadsheet opens without running anything in it.

    Raises
    ------
    Refusal
        Where there is no job in the folder, a part of it is damaged, or a file cannot be written.
    """
    bank = read_model(settings.job)
    rows, corrected = open_rows(settings.job), corrections.read(settings.job, bank)
    limits = decisions.limits_in_force(settings.job, bank)
    try:
        scanned = scan(rows, bank, corrected)
        called, ratio = gallery.called(scanned, limits.faces), gallery.ratios(scanned, limits.faces)
        wanted = _choose(settings, scanned, called, ratio)
        found = fetch(rows, scanned, wanted, _READ)
    except (OSError, pa.ArrowException) as error:
        raise Refusal(f"{settings.job}: {error}: verify names the parts that are damaged") from error
    for row, at in zip(found, wanted, strict=True):
        row["times_threshold"] = float(ratio[at])
        if not scanned.unknown[at]:
            row["verdict"] = "anomaly" if called[at] else "good"
        row["label"] = corrected.labels.get(row["content_hash"], row["label"])
    columns: tuple[str, ...] = COLUMNS
    gone = 0
    if settings.thumbnails is not None:
        columns = (*COLUMNS, "thumbnail")
        with _writing("--thumbnails", settings.thumbnails):
            gone = sum(1 for _ in _write_thumbnails(settings, settings.thumbnails, bank, found))
    with _writing("--out", settings.out):
        storage.write(settings.out, _as_csv(found, (*columns, CORRECTION)))
    return Exported(len(found), gone)


@contextmanager
def _writing(option: str, url: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise Refusal(f"{option} {url}: {error.strerror or error}: name a place to write to") from error


def _choose(
    settings: ExportSettings, scanned: Scanned, called: npt.NDArray[np.bool_], ratio: npt.NDArray[np.float32]
) -> npt.NDArray[np.int64]:
    if settings.what is What.ANOMALIES:
        among = np.flatnonzero(called)
        order = np.argsort(-ratio[among], kind="stable")
    else:
        among = np.flatnonzero(~scanned.unknown)
        order = np.argsort(np.abs(np.log(ratio[among])), kind="stable")
    return among[order][: settings.limit]


def _write_thumbnails(
    settings: ExportSettings, where: str, bank: Bank, rows: list[dict[str, Any]]
) -> Iterator[Gone]:
    """Write the panels of each row as one PNG, and name it in the row; give those that are not to be had."""
    storage.make_folder(where)
    contents = Originals(settings.job, settings.source_roots).read(rows)
    for row, drawn in zip(rows, pictures.draw(bank, contents, rows, SIDE), strict=True):
        row["thumbnail"] = None
        if isinstance(drawn, Gone):
            yield drawn
            continue
        row["thumbnail"] = storage.join(where, map_name(row["archive"], row["index"]))
        storage.write(row["thumbnail"], pictures.encode(pictures.beside(drawn), ".png"))


def _as_csv(rows: list[dict[str, Any]], columns: tuple[str, ...]) -> bytes:
    """Write rows as CSV, RFC 4180, in UTF-8 with the mark that spreadsheets know it by."""
    stream = io.StringIO()
    writer = csv.writer(stream)
    writer.writerow(columns)
    writer.writerows([_cell(row, name) for name in columns] for row in rows)
    return stream.getvalue().encode("utf-8-sig")


def _cell(row: Mapping[str, Any], name: str) -> str | int:
    value = row.get(name)
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.6g}"
    return value if isinstance(value, int) else for_spreadsheet(str(value))
