"""The rows of a job folder that have scores, as a few numbers each: what a report is drawn from."""

from collections import Counter
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

from dice_core.bank import Bank
from dice_core.rows import Status, Verdict
from jobs import parquet
from jobs.corrections import NONE, Corrections

UNLABELLED, GOOD, BAD = -1, 0, 1
"""What a label says of a part."""

REJECTS_TOLD = 100
"""Rejected members that are named; all are counted."""

_COLUMNS = (
    "archive",
    "index",
    "member",
    "label",
    "lot",
    "status",
    "reason",
    "face",
    "defect_score",
    "verdict",
)

Numbers = npt.NDArray[np.int64]


class Reject(NamedTuple):
    """A member that could not be scored."""

    archive: str
    member: str
    reason: str


@dataclass(frozen=True)
class Scanned:
    """Rows with scores, arrays of (N,), in the order of the archives and of their members.

    Attributes
    ----------
    archives, lots
        The names that `archive` and `lot` number.
    archive, lot, index
        Where each is.
    face
        Number of the face in the bank.
    truth
        What its label says: `GOOD`, `BAD` or `UNLABELLED`.
    unknown
        Which show a part of unknown kind.
    score
        ``defect_score``.
    rejected
        Rejected members by lot and reason.
    rejects
        The first of them.
    """

    archives: tuple[str, ...]
    lots: tuple[str, ...]
    archive: npt.NDArray[np.int32]
    lot: npt.NDArray[np.int32]
    index: Numbers
    face: npt.NDArray[np.int16]
    truth: npt.NDArray[np.int8]
    unknown: npt.NDArray[np.bool_]
    score: npt.NDArray[np.float32]
    rejected: Counter[tuple[str, str]]
    rejects: tuple[Reject, ...]


class _Names:
    """Numbers names in the order they are met."""

    def __init__(self) -> None:
        self.known: dict[str, int] = {}

    def number(self, names: pa.Array) -> npt.NDArray[np.int32]:
        coded = names.dictionary_encode()
        numbers = [self.known.setdefault(name, len(self.known)) for name in coded.dictionary.to_pylist()]
        return np.asarray(np.array(numbers, np.int32)[coded.indices.to_numpy()])

    def order(self) -> npt.NDArray[np.int32]:
        """Give the place of each in the order of their names."""
        by_name = np.argsort(np.array(list(self.known), object), kind="stable")
        return np.argsort(by_name).astype(np.int32)


def scan(rows: ds.Dataset, bank: Bank, corrected: Corrections = NONE) -> Scanned:
    """Read what a report needs of the rows, a batch at a time; where a label was corrected, that counts."""
    faces = pa.array([face.name for face in bank.faces], pa.string())
    bad = pa.array(bank.anomaly_labels, pa.string())
    archives, lots = _Names(), _Names()
    rejected: Counter[tuple[str, str]] = Counter()
    rejects: list[Reject] = []
    pieces: list[dict[str, npt.NDArray[Any]]] = []
    not_ignored = ds.field("status") != Status.IGNORED.value
    wanted = (*_COLUMNS, "content_hash") if len(corrected) else _COLUMNS
    for batch in map(corrected.apply, parquet.scan(rows, wanted, not_ignored)):
        ok = pc.equal(batch["status"], Status.OK.value)
        if ok.false_count:
            _count_rejects(batch.filter(pc.invert(ok)), rejected, rejects)
            batch = batch.filter(ok)  # noqa: PLW2901 - the same rows, fewer
        labels = batch["label"]
        truth = np.full(len(labels), UNLABELLED, np.int8)
        truth[_flags(pc.is_in(labels, faces))] = GOOD
        truth[_flags(pc.is_in(labels, bad))] = BAD
        pieces.append(
            {
                "archive": archives.number(batch["archive"]),
                "lot": lots.number(batch["lot"]),
                "index": batch["index"].to_numpy(),
                "face": pc.index_in(batch["face"], faces).to_numpy(zero_copy_only=False).astype(np.int16),
                "truth": truth,
                "unknown": _flags(pc.equal(batch["verdict"], Verdict.UNKNOWN_PART.value)),
                "score": batch["defect_score"].to_numpy(zero_copy_only=False),
            }
        )

    def put(name: str, dtype: type) -> npt.NDArray[Any]:
        return np.concatenate([np.empty(0, dtype), *(piece.pop(name) for piece in pieces)])

    columns = {name: put(name, dtype) for name, dtype in _DTYPES.items()}
    order = np.lexsort((columns["index"], archives.order()[columns["archive"]]))
    return Scanned(
        archives=tuple(archives.known),
        lots=tuple(lots.known),
        **{name: values[order] for name, values in columns.items()},
        rejected=rejected,
        rejects=tuple(rejects),
    )


_DTYPES: dict[str, type] = {
    **dict.fromkeys(("archive", "lot"), np.int32),
    "index": np.int64,
    "face": np.int16,
    "truth": np.int8,
    "unknown": np.bool_,
    "score": np.float32,
}


def _count_rejects(batch: pa.RecordBatch, rejected: Counter[tuple[str, str]], rejects: list[Reject]) -> None:
    rejected.update(zip(batch["lot"].to_pylist(), batch["reason"].to_pylist(), strict=True))
    some = batch.slice(0, REJECTS_TOLD - len(rejects)).select(list(Reject._fields)).to_pylist()
    rejects += [Reject(**row) for row in some]


def _flags(column: pa.Array) -> npt.NDArray[np.bool_]:
    return np.asarray(column.fill_null(False).to_numpy(zero_copy_only=False), bool)


def fetch(
    rows: ds.Dataset, scanned: Scanned, wanted: Numbers, columns: tuple[str, ...]
) -> list[dict[str, Any]]:
    """Read columns of the rows numbered `wanted`, in that order."""
    keys = [(scanned.archives[scanned.archive[at]], int(scanned.index[at])) for at in wanted]
    where = ds.field("archive").isin(sorted({archive for archive, _ in keys})) & ds.field("index").isin(
        sorted({index for _, index in keys})
    )
    found = {}
    for batch in parquet.scan(rows, columns, where) if keys else ():
        for row in batch.to_pylist():
            found[row["archive"], row["index"]] = row
    return [found[key] for key in keys]
