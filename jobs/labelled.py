"""The rows of a job folder that have scores and a label, as arrays of numbers."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

from dice_core.bank import Bank
from dice_core.duplicates import Contents, Duplicates, join_shared
from dice_core.rows import SCORE_DIRECTIONS, Status, Verdict
from dice_core.sample import RUN_LENGTH
from dice_core.threshold import Sweep
from jobs import parquet
from jobs.corrections import NONE, Corrections

Numbers = npt.NDArray[np.int64]
Small = npt.NDArray[np.int32]

DUPLICATES_HELD = 8_000_000
"""Images whose contents are compared at once; the rows are read once for as many."""

_RUN_BITS = 34
"""Of the number of a run of frames, those that count runs of one archive and label."""

_LOOSE = 100
"""Batches whose numbers are joined before more are read."""

_SCORED = ds.field("status") == Status.OK.value


@dataclass(frozen=True)
class Labelled:
    """The rows that have scores and a label: arrays of (N,), 55 bytes a row.

    Attributes
    ----------
    bad
        Which are labelled defective.
    unknown
        Which show a part of unknown kind; they count as anomalies whatever they score.
    seen
        Which are, byte for byte, images that taught the model.
    label
        Number of the label: of a face in `Bank.faces`, or from there on of an anomaly label.
    face
        Number of the predicted face in `Bank.faces`.
    run
        Number of the run of consecutive frames.
    lot
        Number of the lot.
    content
        Which photograph, byte for byte.
    lots
        The names of the lots, by their number.
    scores
        Per score column, turned so that the higher is the worse.
    """

    bad: npt.NDArray[np.bool_]
    unknown: npt.NDArray[np.bool_]
    seen: npt.NDArray[np.bool_]
    label: Small
    face: Small
    run: Numbers
    lot: Small
    content: Contents
    scores: dict[str, npt.NDArray[np.float32]]
    lots: tuple[str, ...] = ()

    @cached_property
    def group(self) -> Numbers:
        """Number of the independent part, (N,): runs that share a photograph are one."""
        return join_shared(self.run, self.content)

    def sweep(self, column: str) -> Sweep:
        """Sweep a score column; unknown parts rank above all."""
        return Sweep.of(np.where(self.unknown, np.float32(np.inf), self.scores[column]), self.bad)


_DTYPES = {
    **dict.fromkeys(("bad", "unknown", "seen"), np.bool_),
    **dict.fromkeys(("label", "face", "lot"), np.int32),
    "run": np.int64,
    "content": np.uint64,
}


def read_labelled(rows: ds.Dataset, bank: Bank, corrected: Corrections = NONE) -> Labelled:
    """Read the columns that are needed, a batch at a time, and keep numbers only.

    Where a label was corrected, the correction counts.
    """
    faces = [face.name for face in bank.faces]
    labels = [*faces, *bank.anomaly_labels]
    columns = ["archive", "index", "label", "lot", "verdict", "face", "content_hash", *SCORE_DIRECTIONS]
    archives: dict[str, int] = {}
    lots: dict[str, int] = {}
    pairs: dict[int, int] = {}
    pieces: list[dict[str, npt.NDArray[Any]]] = []
    loose = 0
    has_label = pc.is_in(ds.field("label"), pa.array(labels)) | corrected.touches()
    for batch in map(corrected.apply, _batches(rows, columns, has_label)):
        label, hashes = _positions(batch["label"], labels), batch["content_hash"]
        # Frames of one part follow each other in one folder. Only pairs of archive and label that are met
        # have numbers, as those of all would not fit beside that of the run.
        pair = _number(batch["archive"], archives) * len(labels) + label
        run = _number(pa.array(pair), pairs) << _RUN_BITS
        pieces.append(
            {
                "bad": label >= len(faces),
                "unknown": _flags(pc.equal(batch["verdict"], Verdict.UNKNOWN_PART.value)),
                "seen": np.array([content in bank.taught for content in hashes.to_pylist()], bool),
                "label": label.astype(np.int32),
                "face": _positions(batch["face"], faces).astype(np.int32),
                "run": run + batch["index"].to_numpy() // RUN_LENGTH,
                "lot": _number(batch["lot"], lots).astype(np.int32),
                "content": _contents(hashes),
                **{
                    column: direction * batch[column].to_numpy(zero_copy_only=False)
                    for column, direction in SCORE_DIRECTIONS.items()
                },
            }
        )

        loose += 1
        if loose == _LOOSE:
            # The memory of many small arrays is not given back.
            joined = pieces[-loose:]
            pieces[-loose:] = [{name: np.concatenate([each[name] for each in joined]) for name in joined[0]}]
            loose = 0

    # In the order of archives and labels, wherever batches began.
    rank = np.argsort(np.argsort(np.fromiter(pairs, np.int64, len(pairs)))) << _RUN_BITS
    for piece in pieces:
        piece["run"] = rank[piece["run"] >> _RUN_BITS] + (piece["run"] & ((1 << _RUN_BITS) - 1))

    def put(name: str, dtype: type) -> npt.NDArray[Any]:
        return np.concatenate([np.empty(0, dtype), *(piece.pop(name) for piece in pieces)])

    return Labelled(
        **{name: put(name, dtype) for name, dtype in _DTYPES.items()},
        scores={column: put(column, np.float32) for column in SCORE_DIRECTIONS},
        lots=tuple(lots),
    )


def count_duplicates(rows: ds.Dataset, images: int) -> Duplicates:
    """Count the exact duplicates among all images that have scores, labelled or not.

    Copies have one content, so a share of the contents is counted after the other, and no more than
    `DUPLICATES_HELD` images or so are held at once.

    Parameters
    ----------
    rows
        The rows.
    images
        How many images there are at most.
    """
    shares = 1 + images // DUPLICATES_HELD
    found = Duplicates(0, 0)
    for share in range(shares):
        archives: dict[str, int] = {}
        sources, contents = [np.empty(0, np.int32)], [np.empty(0, np.uint64)]
        for batch in _batches(rows, ["archive", "content_hash"]):
            content = _contents(batch["content_hash"])
            own = content % shares == share
            sources.append(_number(batch["archive"], archives)[own].astype(np.int32))
            contents.append(content[own])
        found += Duplicates.of(np.concatenate(sources), np.concatenate(contents))
    return found


def _batches(
    rows: ds.Dataset, columns: list[str], also: pc.Expression | None = None
) -> Iterator[pa.RecordBatch]:
    for batch in parquet.scan(rows, columns, _SCORED if also is None else _SCORED & also):
        if batch.num_rows:
            yield batch


def _number(names: pa.Array, known: dict[Any, int]) -> Numbers:
    """Give each name its number, in the order they are met."""
    coded = names.dictionary_encode()
    numbers = [known.setdefault(name, len(known)) for name in coded.dictionary.to_pylist()]
    return np.asarray(np.array(numbers, np.int64)[coded.indices.to_numpy()])


def _positions(names: pa.Array, among: list[str]) -> Numbers:
    return np.asarray(pc.index_in(names, pa.array(among)).to_numpy(zero_copy_only=False), np.int64)


def _flags(column: pa.Array) -> npt.NDArray[np.bool_]:
    return np.asarray(column.to_numpy(zero_copy_only=False), bool)


def _contents(hashes: pa.Array) -> Contents:
    """Read the first half of each hash, 32 hexadecimal digits, as a number."""
    halves = np.frombuffer(bytes.fromhex("".join(hashes.to_pylist())), np.uint64)
    return halves[::2].copy()
