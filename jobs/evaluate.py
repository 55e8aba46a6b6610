"""The job ``evaluate``: what the rows of a job folder are worth, from the Parquet alone; writes nothing."""

from collections.abc import Iterable
from dataclasses import asdict
from io import BytesIO
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.dataset as ds

from dice_core.bank import Bank
from dice_core.duplicates import join_shared
from dice_core.interval import COVERAGE, FEWEST_PARTS, Groups, Over, independent, intervals
from dice_core.policy import Policy
from dice_core.rows import SCHEMA, SCORE_DIRECTIONS, Status
from dice_core.threshold import Confusion, Truth
from jobs import corrections, decisions, faces, folder, parquet, planlist, storage
from jobs.arrowfiles import files_of
from jobs.coverage import cover
from jobs.errors import Refusal
from jobs.expected import check, foresee
from jobs.labelled import Labelled, count_duplicates, read_labelled
from jobs.limits import Limits
from jobs.lots import Lots, correct, judge_lots

DEFAULT_SCORE = "defect_score"


def evaluate(
    out: str,
    score: str = DEFAULT_SCORE,
    policy: Policy | None = None,
    *,
    prevalence: float | None = None,
    per_face: bool = False,
    correct_lots: bool = False,
    decided: bool = False,
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

    decided
        Whether to judge by the thresholds of the decision in force, rather than by the model's.

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
    if decided and (policy is not None or score != DEFAULT_SCORE):
        raise Refusal("--decided: judges defect_score as it was decided: leave out --threshold and --score")
    bank = read_model(out)
    prevalence = bank.prevalence if prevalence is None else prevalence
    check(policy, prevalence)
    # One listing for both: what is told of as complete is what is read.
    names = storage.list_names(out)
    covered, rows, corrected = cover(out, names), open_rows(out, names), corrections.read(out, bank)
    decision = decisions.read(out)
    try:
        counts = _count(rows)
        duplicates = count_duplicates(rows, counts["images"])
        labelled = read_labelled(rows, bank, corrected)
        lots = Lots.of(judge_lots(rows, bank), bank)
    except (OSError, pa.ArrowException) as error:
        raise Refusal(f"{out}: {error}: verify names the parts that are damaged") from error
    known = {column: Limits.of_model(bank, column) for column in SCORE_DIRECTIONS}
    limits = known[score]
    in_force = decision if decided else None
    if in_force is not None:
        limits = in_force.limits(bank)
    if policy is not None:
        limits = Limits.chosen(labelled, score, policy, prevalence, len(bank.faces), per_face=per_face)
    called = limits.called(labelled)
    group, over = independent(labelled.bad, join_shared(labelled.lot, labelled.content), labelled.group)
    ranked = {column: _rank(labelled, column) for column in SCORE_DIRECTIONS}
    unseen = faces.counted(labelled, called, group, ~labelled.seen)
    return {
        **counts,
        "unlabelled": counts["images"] - counts["rejected"] - len(labelled.bad),
        "complete": covered.complete,
        "missing": covered.told(),
        "score": score,
        **_judge(labelled, limits),
        **ranked[score],
        "prevalence": float(labelled.bad.mean()) if len(labelled.bad) else None,
        "independent_parts": len(np.unique(group)),
        "review": corrected.number,
        "decision": 0 if in_force is None else in_force.number,
        "seen": int(labelled.seen.sum()),
        "f1_unseen": unseen["f1"],
        "unseen": unseen,
        "duplicates": {
            **asdict(duplicates),
            "evaluated": len(labelled.content) - len(np.unique(labelled.content)),
        },
        "expected": foresee(
            beyond=limits.beyond(labelled),
            labelled=labelled,
            stored=bank.expected.get(score) if policy is None and in_force is None else None,
            prevalence=prevalence,
        ),
        "per_face": faces.per_face(labelled, called, group, bank, limits),
        "face_confusion": faces.face_confusion(labelled, bank),
        "wrong_face": faces.wrong_face(labelled, called),
        "intervals": _intervals(labelled, called, group, over),
        "comparison": {column: {**_judge(labelled, own), **ranked[column]} for column, own in known.items()},
        "lots": lots.told,
        "corrected": {
            "lots": len(lots.corrections),
            **faces.told(correct(labelled, limits.faces, lots.corrections)),
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


def open_rows(out: str, names: Iterable[str] | None = None) -> ds.Dataset:
    """Open the rows of a job folder, whatever parts of those names there are, as one dataset."""
    job = folder.read_job(out)
    compacted = job is not None and folder.is_compacted(job)
    names = storage.list_names(out) if names is None else names
    found = [name for name in names if folder.is_part(name, compacted=compacted)]
    try:
        files = [storage.join(storage.absolute(out), name) for name in planlist.live(out, found)]
    except ValueError as error:
        raise Refusal(f"{out}: {error}: the same score command writes it anew") from error
    if not files:
        return ds.dataset(SCHEMA.empty_table())
    return ds.dataset(files, schema=SCHEMA, format="parquet", filesystem=files_of(out))


def _count(rows: ds.Dataset) -> dict[str, int]:
    def count(status: Status) -> int:
        return int(rows.count_rows(filter=ds.field("status") == status.value))

    ok, rejected = count(Status.OK), count(Status.REJECTED)
    return {"images": ok + rejected, "rejected": rejected, "ignored": count(Status.IGNORED)}


def _judge(labelled: Labelled, limits: Limits) -> dict[str, Any]:
    """Judge one column at its thresholds."""
    confusion = Confusion.of(labelled.bad, limits.called(labelled))
    return {"threshold": limits.threshold, **faces.told(confusion), "f1_normal": confusion.f1_normal}


def _rank(labelled: Labelled, column: str) -> dict[str, Any]:
    """Judge one column over all thresholds."""
    sweep = labelled.sweep(column)
    best = sweep.best()
    return {
        "f1_best": best[1] if best else None,
        "threshold_best": SCORE_DIRECTIONS[column] * best[0] if best and np.isfinite(best[0]) else None,
        "auroc": sweep.auroc,
        "average_precision": sweep.average_precision,
    }


def _intervals(labelled: Labelled, called: Truth, group: Groups, over: Over) -> dict[str, Any]:
    bounds = intervals(labelled.bad, called, group, np.random.default_rng(0))
    note = None
    if bounds["recall"] is None:
        note = f"fewer than {FEWEST_PARTS} {over} with good or with defective parts"
    elif not all(bounds.values()):
        note = "nothing was called, so precision is undefined"
    return {**bounds, "level": COVERAGE, "over": over.value, "note": note}
