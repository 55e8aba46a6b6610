"""The outcome of a case: errors of either kind, and the row that sets the figure beside its target."""

from typing import Any

import numpy as np

from dice_core.rows import SCORE_DIRECTIONS
from dice_core.score import Columns
from dice_core.threshold import Confusion, Sweep
from tests.bench.quality.material import Flags

Row = dict[str, Any]


def row(case: str, target: str, reached: Any, *, met: bool | None, confusion: Confusion | None = None) -> Row:
    """One row of the table; `met` is None where nothing is asked."""
    return {
        "case": case,
        "target": target,
        "reached": f"{reached:.4f}" if isinstance(reached, float) else str(reached),
        "met": {True: "yes", False: "NO", None: ""}[met],
        "false alarms": confusion.fp if confusion else None,
        "misses": confusion.fn if confusion else None,
    }


def at_most(case: str, limit: int, confusion: Confusion) -> Row:
    """A case that may have so many errors."""
    errors = confusion.errors
    return row(case, f"at most {limit} errors", errors, met=errors <= limit, confusion=confusion)


def f1_at_least(case: str, least: float, confusion: Confusion) -> Row:
    """A case that needs such an F1."""
    reached = confusion.f1 or 0.0
    return row(case, f"F1 {least:.2f}", reached, met=reached >= least, confusion=confusion)


def auroc(columns: Columns, bad: Flags, unknown: Flags | None = None, column: str = "defect_score") -> float:
    """Chance that a defective image scores worse than a good one; a part of unknown kind is the worst."""
    scores = SCORE_DIRECTIONS.get(column, 1) * columns[column].astype(np.float64)
    if unknown is not None:
        scores = np.where(unknown, np.inf, scores)
    return Sweep.of(scores, bad).auroc or 0.0


def f1_over_seeds(case: str, least: float | None, confusions: list[Confusion]) -> Row:
    """A case that is drawn several times: its mean F1 is asked for, the errors are the worst draw's."""
    found = [confusion.f1 or 0.0 for confusion in confusions]
    mean, lowest = sum(found) / len(found), min(found)
    return row(
        case,
        "" if least is None else f"F1 {least:.2f}",
        f"{mean:.4f}, worst of {len(found)} draws {lowest:.4f}",
        met=None if least is None else mean >= least,
        confusion=confusions[found.index(lowest)],
    )
