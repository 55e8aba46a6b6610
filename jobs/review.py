"""The job ``review``: takes the labels that people gave images, by content hash; no part changes."""

import csv
import io
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

from dice_core.bank import Bank
from dice_core.rows import Status
from jobs import corrections, parquet, storage
from jobs.corrections import CORRECTIONS_SCHEMA, Corrections
from jobs.errors import Refusal
from jobs.evaluate import open_rows, read_model
from jobs.export import CORRECTION
from jobs.text import utc

GOOD, ANOMALY = "good", "anomaly"
"""What a label may say besides a face or a label of defective parts of the model."""

_HASH = "content_hash"
_SEPARATORS = ",;\t"


class Correction(NamedTuple):
    """What a line of a file of corrections says."""

    line: int
    label: str


class Conflict(NamedTuple):
    """An image whose label became another."""

    content_hash: str
    member: str
    was: str
    label: str
    reviewed: bool
    """Whether the label it had came from an earlier review, rather than from its folder."""


@dataclass
class Reviewed:
    """What a review came to.

    Attributes
    ----------
    name
        Of the file that holds all corrections in force; None where nothing changed.
    added, unchanged
        Corrections that are new or other than before, and those that were in force already.
    unmatched
        Hashes that no image of the job has.
    conflicts
        Labels that became others.
    """

    name: str | None = None
    added: int = 0
    unchanged: int = 0
    unmatched: list[str] = field(default_factory=list)
    conflicts: list[Conflict] = field(default_factory=list)


def review(out: str, path: str, now: float, note: str | None = None) -> Reviewed:
    """Add the labels of a CSV to a job.

    Parameters
    ----------
    out
        The job folder.
    path
        CSV with the columns ``content_hash`` and ``correction``, or else ``label``; lines without one are
        passed over.
    now
        Seconds since 1970.
    note
        Kept with each correction.

    Raises
    ------
    Refusal
        Where there is no job in the folder, the file is none, a label is not known, or one image has two.
    """
    bank = read_model(out)
    asked = _read(path, bank)
    before = corrections.read(out)
    told = Reviewed()
    fresh: dict[str, str] = {}
    met: set[str] = set()
    for row in _rows(out, asked):
        content = row[_HASH]
        if content in met:
            continue
        met.add(content)
        label = _resolved(asked[content].label, row["face"], bank)
        earlier = before.labels.get(content)
        if earlier == label:
            told.unchanged += 1
            continue
        fresh[content] = label
        was = earlier or row["label"]
        if was is not None and was != label:
            told.conflicts.append(Conflict(content, row["member"], was, label, reviewed=earlier is not None))
    told.unmatched = sorted(asked.keys() - met)
    told.added = len(fresh)
    if fresh:
        told.name = corrections.write(out, _joined(before, fresh, utc(now), note))
    return told


def _rows(out: str, asked: Mapping[str, Correction]) -> Iterator[Mapping[str, str]]:
    wanted = pc.is_in(ds.field(_HASH), pa.array(list(asked), pa.string()))
    where = wanted & (ds.field("status") == Status.OK.value)
    try:
        for batch in parquet.scan(open_rows(out), (_HASH, "member", "label", "face"), where):
            yield from batch.to_pylist()
    except (OSError, pa.ArrowException) as error:
        raise Refusal(f"{out}: {error}: verify names the parts that are damaged") from error


def _resolved(label: str, face: str, bank: Bank) -> str:
    """Give the label of the model that is meant."""
    if label in _known(bank):
        return label
    return face if label == GOOD else bank.anomaly_labels[0]


def _known(bank: Bank) -> set[str]:
    return {*(face.name for face in bank.faces), *bank.anomaly_labels}


def _joined(before: Corrections, fresh: Mapping[str, str], time: str, note: str | None) -> Corrections:
    number = before.number + 1
    kept = before.table.filter(pc.invert(pc.is_in(before.table[_HASH], pa.array(list(fresh), pa.string()))))
    lines = [
        {_HASH: content, "label": label, "review": number, "time": time, "note": note}
        for content, label in fresh.items()
    ]
    return Corrections(number, pa.concat_tables([kept, pa.Table.from_pylist(lines, CORRECTIONS_SCHEMA)]))


def _read(path: str, bank: Bank) -> dict[str, Correction]:
    """Read a file of corrections; one line for each hash."""
    asked: dict[str, Correction] = {}
    known = sorted({*_known(bank), GOOD, *((ANOMALY,) if bank.anomaly_labels else ())})
    for number, content, label in _lines(path):
        label = _as_typed(label, known)  # noqa: PLW2901 - the same label
        if label not in known:
            raise Refusal(f"{path}: line {number}: label {label!r}: give one of {', '.join(known)}")
        earlier = asked.setdefault(content, Correction(number, label))
        if earlier.label != label:
            raise Refusal(
                f"{path}: {content} is {earlier.label} in line {earlier.line} and {label} in line {number}: "
                "leave one of them out"
            )
    if not asked:
        raise Refusal(f"{path}: corrects nothing: write labels into its column {CORRECTION}")
    return asked


def _as_typed(label: str, known: Collection[str]) -> str:
    """Give back the zeros that a spreadsheet takes from a label such as 05."""
    if label in known or not label.isdecimal():
        return label
    meant = [name for name in known if name.isdecimal() and int(name) == int(label)]
    return meant[0] if len(meant) == 1 else label


def _lines(path: str) -> Iterator[tuple[int, str, str]]:
    """Give number, hash and label of each line that has one, whatever a spreadsheet made of it."""
    try:
        text = storage.read(path).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Refusal(f"{path}: not UTF-8: save it as CSV in UTF-8") from error
    except OSError as error:
        raise Refusal(f"{path}: {error.strerror or error}: name the CSV of corrections") from error
    first = text.partition("\n")[0]
    separator = max(_SEPARATORS, key=first.count)
    reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=separator)
    names = reader.fieldnames or ()
    column = CORRECTION if CORRECTION in names else "label"
    if _HASH not in names or column not in names:
        raise Refusal(f"{path}: has the columns {', '.join(names)}: give {_HASH} and {CORRECTION}")
    try:
        for line in reader:
            label = (line[column] or "").strip().removeprefix("'")
            if label:
                yield reader.line_num, (line[_HASH] or "").strip().removeprefix("'").lower(), label
    except csv.Error as error:
        raise Refusal(f"{path}: line {reader.line_num}: {error}: save it as CSV") from error
