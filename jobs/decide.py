"""The job ``decide``: chooses thresholds for rows that are scored and puts them in force; no part changes."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from dice_core.policy import Policy
from dice_core.threshold import Confusion
from jobs import corrections, decisions, faces, gallery
from jobs.coverage import cover
from jobs.decisions import COLUMN, Decision
from jobs.errors import Refusal
from jobs.evaluate import open_rows, read_model
from jobs.expected import check
from jobs.labelled import read_labelled
from jobs.limits import Limits
from jobs.scanned import BAD, UNLABELLED, Scanned, scan
from jobs.text import utc


@dataclass(frozen=True)
class Decided:
    """A decision that was just made: the name of its file, and what was in force before."""

    decision: Decision
    name: str
    before: dict[str, Any]
    missing: dict[str, Any] | None


def decide(
    out: str,
    policy: Policy,
    now: float,
    *,
    prevalence: float | None = None,
    per_face: bool = False,
    note: str | None = None,
) -> Decided:
    """Choose thresholds of ``defect_score`` for the labelled rows of a job, and put them in force.

    Parameters
    ----------
    out
        The job folder.
    policy
        What to choose them for.
    now
        Seconds since 1970.
    prevalence
        Share of the parts to come that are defective; by default what the model was fitted for, if anything.
    per_face
        Whether each face with enough labelled good rows gets its own.
    note
        Kept with the decision.

    Raises
    ------
    Refusal
        Where there is no job in the folder, the policy cannot be kept, or the record cannot be written.
    """
    bank = read_model(out)
    prevalence = bank.prevalence if prevalence is None else prevalence
    check(policy, prevalence)
    rows, corrected = open_rows(out), corrections.read(out, bank)
    before, number = decisions.limits_in_force(out, bank), decisions.next_number(out)
    try:
        labelled, scanned = read_labelled(rows, bank, corrected), scan(rows, bank, corrected)
    except (OSError, pa.ArrowException) as error:
        raise Refusal(f"{out}: {error}: verify names the parts that are damaged") from error
    limits = Limits.chosen(labelled, COLUMN, policy, prevalence, len(bank.faces), per_face=per_face)
    decision = Decision(
        number=number,
        time=utc(now),
        policy=str(policy),
        prevalence=prevalence,
        threshold=limits.threshold,
        faces=dict(zip((face.name for face in bank.faces), limits.faces.tolist(), strict=True)),
        model=decisions.model_hash(out),
        review=corrected.number,
        note=note,
        outcome=_outcome(scanned, limits),
    )
    return Decided(decision, decisions.write(out, decision), _outcome(scanned, before), cover(out).told())


def _outcome(scanned: Scanned, limits: Limits) -> dict[str, Any]:
    """Count what thresholds make of the rows."""
    called = gallery.called(scanned, limits.faces)
    labelled = scanned.truth != UNLABELLED
    confusion = Confusion.of(scanned.truth[labelled] == BAD, called[labelled])
    return {
        "images": len(called),
        "anomalies": int(np.count_nonzero(called & ~scanned.unknown)),
        "unknown_parts": int(np.count_nonzero(scanned.unknown)),
        **faces.told(confusion),
    }
