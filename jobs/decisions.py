"""Decisions: which thresholds are in force for the rows of a job, chosen after they were scored."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from dice_core.bank import Bank
from jobs import folder, records, storage
from jobs.errors import Refusal
from jobs.limits import Limits
from jobs.records import Kind

COLUMN = "defect_score"
"""The score that verdicts go by."""


@dataclass(frozen=True)
class Decision:
    """What was decided, and on which grounds.

    Attributes
    ----------
    number
        Counts decisions, from 1.
    time
        When, as ISO 8601 has it.
    policy
        What the thresholds are for.
    prevalence
        Share of defective parts they were chosen for; None where none was told.
    threshold, faces
        The one that holds in general, and that of each face.
    model
        Hash of the model that scored.
    review
        Number of the review in force then; 0 without.
    note
        The reviewer's.
    outcome
        What the verdicts came to on these rows.
    """

    number: int
    time: str
    policy: str
    prevalence: float | None
    threshold: float
    faces: Mapping[str, float]
    model: str
    review: int
    note: str | None
    outcome: Mapping[str, Any]

    def limits(self, bank: Bank) -> Limits:
        """Give its thresholds."""
        own = np.array([self.faces.get(face.name, self.threshold) for face in bank.faces])
        return Limits(COLUMN, self.threshold, own)


def read(out: str) -> Decision | None:
    """Read the one in force; None where there is none since the rows were scored by another model.

    Raises
    ------
    Refusal
        Where the file is no decision.
    """
    found = records.listed(out, Kind.DECISION)
    if not found:
        return None
    number, url = found[-1]
    try:
        told = json.loads(storage.read(url))
        decision = Decision(**{**told, "number": number})
        floats = [decision.threshold, *decision.faces.values()]
        known = isinstance(decision.model, str) and all(isinstance(value, float | int) for value in floats)
    except (ValueError, TypeError, AttributeError, RecursionError):
        known = False
    if not known:
        raise Refusal(f"{url}: not a decision: remove it, and decide once more")
    return decision if decision.model == model_hash(out) else None


def model_hash(out: str) -> str:
    """Tell which model scored the rows; Refusal where the folder is no job's."""
    job = folder.read_job(out)
    if job is None:
        raise Refusal(f"{out}: not a job folder: name the one that score wrote with --out")
    return str(job["decides"]["model"])


def next_number(out: str) -> int:
    """Give the number that the next decision has."""
    found = records.listed(out, Kind.DECISION)
    return found[-1].number + 1 if found else 1


def write(out: str, decision: Decision) -> str:
    """Write a decision under its number; give the name of the file."""
    text = json.dumps(asdict(decision), indent=2, ensure_ascii=False, allow_nan=False)
    return records.add(out, Kind.DECISION, decision.number, f"{text}\n".encode())


def limits_of(decision: Decision | None, bank: Bank) -> Limits:
    """Give the thresholds of a decision, or else the model's."""
    return Limits.of_model(bank, COLUMN) if decision is None else decision.limits(bank)


def limits_in_force(out: str, bank: Bank) -> Limits:
    """Give the thresholds that count now: those decided last, or else the model's."""
    return limits_of(read(out), bank)
