"""The job ``evaluate``: what the rows of a job folder are worth, from the Parquet alone; writes nothing."""

from dataclasses import dataclass
from functools import cached_property
from io import BytesIO
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

from dice_core.bank import Bank
from dice_core.interval import FEWEST_PARTS, intervals
from dice_core.rows import SCHEMA, SCORE_DIRECTIONS, Status, Verdict
from dice_core.sample import RUN_LENGTH
from dice_core.threshold import Confusion, Policy, Sweep
from jobs import folder, parquet, parts, storage
from jobs.errors import Refusal

DEFAULT_SCORE = "defect_score"


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
    scores
        Per score column, turned so that the higher is the worse.
    """

    bad: npt.NDArray[np.bool_]
    unknown: npt.NDArray[np.bool_]
    seen: npt.NDArray[np.bool_]
    face: npt.NDArray[np.int64]
    group: npt.NDArray[np.int64]
    scores: dict[str, npt.NDArray[np.float32]]

    @cached_property
    def sweeps(self) -> dict[str, Sweep]:
        """Every column's sweep; unknown parts rank above all."""
        return {
            column: Sweep.of(np.where(self.unknown, np.float32(np.inf), scores), self.bad)
            for column, scores in self.scores.items()
        }


def evaluate(out: str, score: str = DEFAULT_SCORE, policy: Policy | None = None) -> dict[str, Any]:
    """Evaluate the rows of a job folder.

    Parameters
    ----------
    out
        The job folder.
    score
        The score column that the top level tells of.
    policy
        What to choose that column's threshold for from these rows; by default the model's own threshold.

    Returns
    -------
    dict
        The keys that the README lists; undefined ratios are None.

    Raises
    ------
    Refusal
        Where there is no job in the folder, a part of it is damaged, or there is no such column.
    """
    if score not in SCORE_DIRECTIONS:
        raise Refusal(f"--score {score}: no score column: give one of {', '.join(SCORE_DIRECTIONS)}")
    bank = read_model(out)
    rows = open_rows(out)
    try:
        counts, labelled = _count(rows), _read_labelled(rows, bank)
    except (OSError, pa.ArrowException) as error:
        raise Refusal(f"{out}: {error}: verify names the parts that are damaged") from error
    threshold = float(np.float32(bank.thresholds[score]))
    if policy is not None:
        threshold = _choose(labelled, score, policy)
    comparison = {
        column: _judge(labelled, column, float(np.float32(bank.thresholds[column])))
        for column in SCORE_DIRECTIONS
    }
    chosen = _judge(labelled, score, threshold)
    called = _called(labelled, score, threshold)
    return {
        **counts,
        "unlabelled": counts["images"] - counts["rejected"] - len(labelled.bad),
        "complete": is_complete(out),
        "score": score,
        **chosen,
        "prevalence": float(labelled.bad.mean()) if len(labelled.bad) else None,
        "independent_parts": len(np.unique(labelled.group)),
        "seen": int(labelled.seen.sum()),
        "f1_unseen": _unseen(labelled, called),
        "per_face": _per_face(labelled, called, bank),
        "intervals": _intervals(labelled, called),
        "comparison": comparison,
    }


def read_model(out: str) -> Bank:
    """Read the model a job was scored with; Refusal where the folder is no job's."""
    job = folder.read_job(out)
    if job is None:
        raise Refusal(f"{out}: not a job folder: name the one that score wrote with --out")
    url = storage.join(out, folder.MODEL)
    try:
        content = storage.read(url)
        if parquet.digest(content) != job["decides"]["model"]:
            raise Refusal(f"{url}: not the model of this job: run score again, it writes the model anew")
        return Bank.read(BytesIO(content))
    except (OSError, ValueError) as error:
        raise Refusal(f"{url}: {error}: run score again, it writes the model anew") from error


def open_rows(out: str) -> ds.Dataset:
    """Open the rows of a job folder, whatever parts there are, as one dataset."""
    names = [
        storage.join(storage.absolute(out), name) for name in storage.list_names(out) if folder.is_part(name)
    ]
    if not names:
        return ds.dataset(SCHEMA.empty_table())
    return ds.dataset(names, schema=SCHEMA, format="parquet")


def is_complete(out: str) -> bool:
    """Tell whether every shard that was planned is committed, as the summary and the parts have it."""
    try:
        told = folder.read_summary(out)
        listed = {report.name for report in parts.listed(out)}
    except FileNotFoundError:
        return False
    except ValueError as error:
        raise Refusal(f"{out}: {error}: the same score command writes it anew") from error
    return bool(told["complete"]) and listed == set(filter(folder.is_part, storage.list_names(out)))


def _count(rows: ds.Dataset) -> dict[str, int]:
    def count(status: Status) -> int:
        return int(rows.count_rows(filter=ds.field("status") == status.value))

    ok, rejected = count(Status.OK), count(Status.REJECTED)
    return {"images": ok + rejected, "rejected": rejected, "ignored": count(Status.IGNORED)}


def _read_labelled(rows: ds.Dataset, bank: Bank) -> Labelled:
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
                group=(lots.astype(np.int64) << 44) + (labels.astype(np.int64) << 34) + run,
                scores={
                    column: direction * batch[column].to_numpy(zero_copy_only=False)
                    for column, direction in SCORE_DIRECTIONS.items()
                },
            )
        )
    return _join(pieces)


def _join(pieces: list[Labelled]) -> Labelled:
    def put(name: str, dtype: type) -> npt.NDArray[Any]:
        return np.concatenate([np.empty(0, dtype), *(getattr(piece, name) for piece in pieces)])

    return Labelled(
        bad=put("bad", np.bool_),
        unknown=put("unknown", np.bool_),
        seen=put("seen", np.bool_),
        face=put("face", np.int64),
        group=put("group", np.int64),
        scores={
            column: np.concatenate([np.empty(0, np.float32), *(piece.scores[column] for piece in pieces)])
            for column in SCORE_DIRECTIONS
        },
    )


def _choose(labelled: Labelled, score: str, policy: Policy) -> float:
    scores = labelled.scores[score]
    turned = -1 if SCORE_DIRECTIONS[score] < 0 and policy.name == "value" else 1
    try:
        chosen = policy.choose(scores[~labelled.bad], scores[labelled.bad])
    except ValueError as error:
        raise Refusal(f"--threshold {policy}: {error}: label some images, or give value=X") from error
    return SCORE_DIRECTIONS[score] * chosen * turned


def _called(labelled: Labelled, column: str, threshold: float) -> npt.NDArray[np.bool_]:
    limit = np.float32(SCORE_DIRECTIONS[column] * threshold)
    return np.asarray((labelled.scores[column] >= limit) | labelled.unknown)


def _judge(labelled: Labelled, column: str, threshold: float) -> dict[str, Any]:
    """Judge one column at a threshold, and at its best."""
    confusion = Confusion.of(labelled.bad, _called(labelled, column, threshold))
    sweep = labelled.sweeps[column]
    best = sweep.best()
    return {
        "threshold": threshold,
        **_told(confusion),
        "f1_normal": confusion.f1_normal,
        "f1_best": best[1] if best else None,
        "threshold_best": SCORE_DIRECTIONS[column] * best[0] if best and np.isfinite(best[0]) else None,
        "auroc": sweep.auroc,
        "average_precision": sweep.average_precision,
    }


def _told(confusion: Confusion) -> dict[str, Any]:
    return {
        "tp": confusion.tp,
        "fp": confusion.fp,
        "fn": confusion.fn,
        "tn": confusion.tn,
        "precision": confusion.precision,
        "recall": confusion.recall,
        "f1": confusion.f1,
    }


def _unseen(labelled: Labelled, called: npt.NDArray[np.bool_]) -> float | None:
    return Confusion.of(labelled.bad[~labelled.seen], called[~labelled.seen]).f1


def _per_face(labelled: Labelled, called: npt.NDArray[np.bool_], bank: Bank) -> dict[str, Any]:
    told = {}
    for number, face in enumerate(bank.faces):
        own = labelled.face == number
        told[face.name] = {
            "images": int(own.sum()),
            **_told(Confusion.of(labelled.bad[own], called[own])),
        }
    return told


def _intervals(labelled: Labelled, called: npt.NDArray[np.bool_]) -> dict[str, Any]:
    bounds = intervals(labelled.bad, called, labelled.group, np.random.default_rng(0))
    given = all(bounds.values())
    why = f"fewer than {FEWEST_PARTS} runs of frames of good or of defective parts"
    return {**bounds, "level": 0.95, "over": "runs of consecutive frames", "note": None if given else why}
