"""The job ``evaluate``: what the rows of a job folder are worth, from the Parquet alone; writes nothing."""

from dataclasses import dataclass
from io import BytesIO
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.dataset as ds

from dice_core.bank import Bank
from dice_core.crossfit import FEWEST_PER_FACE
from dice_core.interval import FEWEST_PARTS, independent, intervals
from dice_core.policy import Policy
from dice_core.rows import SCHEMA, SCORE_DIRECTIONS, Status
from dice_core.threshold import Confusion
from jobs import folder, parquet, parts, storage
from jobs.errors import Refusal
from jobs.expected import check, foresee
from jobs.labelled import Labelled, read_labelled
from jobs.lots import Lots, correct, judge_lots

DEFAULT_SCORE = "defect_score"


@dataclass(frozen=True)
class Limits:
    """The threshold of a score column: in general, and for each face, (F,), in the order of the bank's."""

    threshold: float
    faces: npt.NDArray[np.float64]


def evaluate(
    out: str,
    score: str = DEFAULT_SCORE,
    policy: Policy | None = None,
    *,
    prevalence: float | None = None,
    per_face: bool = False,
    correct_lots: bool = False,
) -> dict[str, Any]:
    """Evaluate the rows of a job folder.

    Parameters
    ----------
    out
        The job folder.
    score
        The score column that the top level tells of.
    policy
        What to choose that column's threshold for from these rows; by default the model's own threshold.
    prevalence
        Share of the parts to come that are defective; by default what the model was fitted for, if anything.
    per_face
        Whether the policy is to choose for each face with enough labelled good rows on its own.
    correct_lots
        Whether to tell as well what correcting the thresholds of lots that drifted would change.

    Returns
    -------
    dict
        The keys that the README lists; undefined ratios are None.

    Raises
    ------
    Refusal
        Where there is no job in the folder, a part of it is damaged, there is no such column, or the policy
        cannot be kept.
    """
    if score not in SCORE_DIRECTIONS:
        raise Refusal(f"--score {score}: no score column: give one of {', '.join(SCORE_DIRECTIONS)}")
    if per_face and policy is None:
        raise Refusal("--per-face: says how a what-if is chosen: give --threshold too")
    if correct_lots and score != DEFAULT_SCORE:
        raise Refusal(f"--correct-lots: corrects {DEFAULT_SCORE} alone: leave out --score {score}")
    bank = read_model(out)
    prevalence = bank.prevalence if prevalence is None else prevalence
    check(policy, prevalence)
    rows = open_rows(out)
    try:
        counts, labelled = _count(rows), read_labelled(rows, bank)
        lots = Lots.of(judge_lots(rows, bank), bank)
    except (OSError, pa.ArrowException) as error:
        raise Refusal(f"{out}: {error}: verify names the parts that are damaged") from error
    known = {
        column: Limits(
            float(np.float32(bank.thresholds[column])), bank.limits(column).astype(np.float32).astype(float)
        )
        for column in SCORE_DIRECTIONS
    }
    limits = known[score]
    if policy is not None:
        limits = _choose(labelled, score, policy, prevalence, len(bank.faces), per_face=per_face)
    comparison = {column: _judge(labelled, column, known[column]) for column in SCORE_DIRECTIONS}
    chosen = _judge(labelled, score, limits)
    called = _called(labelled, score, limits)
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
        "expected": foresee(
            beyond=_beyond(labelled, score, limits),
            labelled=labelled,
            stored=bank.expected.get(score) if policy is None else None,
            prevalence=prevalence,
        ),
        "per_face": _per_face(labelled, called, bank, limits),
        "intervals": _intervals(labelled, called),
        "comparison": comparison,
        "lots": lots.told,
        "corrected": {
            "lots": len(lots.corrections),
            **_told(correct(labelled, limits.faces, lots.corrections)),
        }
        if correct_lots
        else None,
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


def _choose(
    labelled: Labelled, score: str, policy: Policy, prevalence: float | None, faces: int, *, per_face: bool
) -> Limits:
    scores, direction = labelled.scores[score], SCORE_DIRECTIONS[score]
    if policy.name == "value":
        value = policy.value or 0.0
        return Limits(value, np.full(faces, value))
    good, bad = ~labelled.bad, labelled.bad
    try:
        chosen = policy.choose(scores[good], scores[bad], prevalence)
        own = np.full(faces, chosen)
        for face in range(faces) if per_face else ():
            mine = labelled.face == face
            if np.count_nonzero(good & mine) >= FEWEST_PER_FACE:
                # As fit does: a face without a known defect borrows those of all.
                known = scores[bad & mine] if (bad & mine).any() else scores[bad]
                own[face] = policy.choose(scores[good & mine], known, prevalence)
    except ValueError as error:
        raise Refusal(f"--threshold {policy}: {error}: label some images, or give value=X") from error
    return Limits(direction * chosen, direction * own)


def _beyond(labelled: Labelled, column: str, limits: Limits) -> npt.NDArray[np.float32]:
    """How far each score is beyond its face's threshold, (N,): from 0 up it is called."""
    own = (SCORE_DIRECTIONS[column] * limits.faces).astype(np.float32)
    return np.asarray(labelled.scores[column] - own[labelled.face])


def _called(labelled: Labelled, column: str, limits: Limits) -> npt.NDArray[np.bool_]:
    return np.asarray((_beyond(labelled, column, limits) >= 0) | labelled.unknown)


def _judge(labelled: Labelled, column: str, limits: Limits) -> dict[str, Any]:
    """Judge one column at its thresholds, and at its best."""
    confusion = Confusion.of(labelled.bad, _called(labelled, column, limits))
    sweep = labelled.sweeps[column]
    best = sweep.best()
    return {
        "threshold": limits.threshold,
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


def _per_face(
    labelled: Labelled, called: npt.NDArray[np.bool_], bank: Bank, limits: Limits
) -> dict[str, Any]:
    told = {}
    for number, face in enumerate(bank.faces):
        own = labelled.face == number
        told[face.name] = {
            "images": int(own.sum()),
            "threshold": float(limits.faces[number]),
            **_told(Confusion.of(labelled.bad[own], called[own])),
        }
    return told


def _intervals(labelled: Labelled, called: npt.NDArray[np.bool_]) -> dict[str, Any]:
    group, over = independent(labelled.bad, labelled.lot, labelled.group)
    bounds = intervals(labelled.bad, called, group, np.random.default_rng(0))
    why = f"fewer than {FEWEST_PARTS} {over} with good or with defective parts"
    return {**bounds, "level": 0.95, "over": over.value, "note": None if all(bounds.values()) else why}
