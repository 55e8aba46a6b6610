"""The rows of a job folder that have scores and a label, as arrays of numbers."""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

from dice_core.bank import Bank
from dice_core.rows import SCORE_DIRECTIONS, Status, Verdict
from dice_core.sample import RUN_LENGTH
from dice_core.threshold import Sweep


@dataclass(frozen=True)
class Labelled:
    """The rows that have scores and a label: arrays of (N,).

    Attributes
    ----------
    bad
        Which are labelled defective.
    unknown
        Which show a part of unknown kind; they count as anomalies whatever they score.
    seen
        Which are, byte for byte, images that taught the model.
    face
        Number of the predicted face in `Bank.faces`.
    group
        Number of the run of consecutive frames.
    lot
        Number of the lot.
    lots
        The names of the lots, by their number.
    scores
        Per score column, turned so that the higher is the worse.
    """

    bad: npt.NDArray[np.bool_]
    unknown: npt.NDArray[np.bool_]
    seen: npt.NDArray[np.bool_]
    face: npt.NDArray[np.int64]
    group: npt.NDArray[np.int64]
    lot: npt.NDArray[np.int64]
    scores: dict[str, npt.NDArray[np.float32]]
    lots: tuple[str, ...] = ()

    @cached_property
    def sweeps(self) -> dict[str, Sweep]:
        """Every column's sweep; unknown parts rank above all."""
        return {
            column: Sweep.of(np.where(self.unknown, np.float32(np.inf), scores), self.bad)
            for column, scores in self.scores.items()
        }


def read_labelled(rows: ds.Dataset, bank: Bank) -> Labelled:
    """Read the columns that are needed, a batch at a time, and keep numbers only."""
    faces = [face.name for face in bank.faces]
    known = pa.array([*faces, *bank.anomaly_labels])
    wanted = (ds.field("status") == Status.OK.value) & pc.is_in(ds.field("label"), known)
    columns = ["archive", "index", "label", "verdict", "face", "content_hash", *SCORE_DIRECTIONS]
    pieces: list[Labelled] = []
    archives: dict[str, int] = {}
    for batch in rows.to_batches(columns=columns, filter=wanted):
        if not batch.num_rows:
            continue
        label = batch["label"]
        lots = np.array([archives.setdefault(name, len(archives)) for name in batch["archive"].to_pylist()])
        names = {name: number for number, name in enumerate([*faces, *bank.anomaly_labels])}
        labels = np.array([names[name] for name in label.to_pylist()])
        run = batch["index"].to_numpy() // RUN_LENGTH
        pieces.append(
            Labelled(
                bad=labels >= len(faces),
                unknown=pc.equal(batch["verdict"], Verdict.UNKNOWN_PART.value).to_numpy(zero_copy_only=False),
                seen=np.array(
                    [content in bank.taught for content in batch["content_hash"].to_pylist()], bool
                ),
                face=pc.index_in(batch["face"], pa.array(faces))
                .to_numpy(zero_copy_only=False)
                .astype(np.int64),
                # One number for archive, label and run: frames of one part follow each other in one folder.
                lot=lots.astype(np.int64),
                group=(lots.astype(np.int64) << 44) + (labels.astype(np.int64) << 34) + run,
                scores={
                    column: direction * batch[column].to_numpy(zero_copy_only=False)
                    for column, direction in SCORE_DIRECTIONS.items()
                },
            )
        )
    return replace(_join(pieces), lots=tuple(archives))


def _join(pieces: list[Labelled]) -> Labelled:
    def put(name: str, dtype: type) -> npt.NDArray[Any]:
        return np.concatenate([np.empty(0, dtype), *(getattr(piece, name) for piece in pieces)])

    return Labelled(
        bad=put("bad", np.bool_),
        unknown=put("unknown", np.bool_),
        seen=put("seen", np.bool_),
        face=put("face", np.int64),
        group=put("group", np.int64),
        lot=put("lot", np.int64),
        scores={
            column: np.concatenate([np.empty(0, np.float32), *(piece.scores[column] for piece in pieces)])
            for column in SCORE_DIRECTIONS
        },
    )
