"""The alarms to expect, as ``evaluate`` tells them: from rows the model has not seen, or as ``fit`` found."""

from typing import Any

import numpy as np
import numpy.typing as npt

from dice_core.expectation import Estimate, Expectation
from dice_core.policy import Policy
from dice_core.tail import LEVEL
from jobs.errors import Refusal
from jobs.labelled import Labelled

MILLION = 1_000_000


def check(policy: Policy | None, prevalence: float | None) -> None:
    """Refuse a prevalence that is none, and a policy that needs one where there is none."""
    if prevalence is not None and not 0 < prevalence < 1:
        raise Refusal(f"--prevalence {prevalence:g}: give a share between 0 and 1, such as 0.0005")
    if policy is not None and policy.needs_prevalence and prevalence is None:
        raise Refusal(
            f"--threshold {policy}: needs the share of defective parts: give --prevalence, such as 0.0005"
        )


def foresee(
    beyond: npt.NDArray[np.floating], labelled: Labelled, stored: Expectation | None, prevalence: float | None
) -> dict[str, Any] | None:
    """Tell what alarms to expect, as JSON does.

    Good rows that taught the model would promise too much, so without others the model's own figure stands.
    Defective rows teach no template: where all have been seen, they are taken nevertheless.

    Parameters
    ----------
    beyond
        How far the score of each row is beyond its face's threshold, (N,).
    labelled
        The rows.
    stored
        What `fit` found of these thresholds; None where they are others.
    prevalence
        Share of defective parts at which precision is told; None leaves it out.

    Returns
    -------
    dict or None
        None where neither rows nor model tell.
    """
    good = ~labelled.bad & ~labelled.seen
    bad = labelled.bad & ~labelled.seen
    bad = bad if bad.any() else labelled.bad
    found = Expectation.of(
        beyond[good].astype(np.float64),
        labelled.unknown[good],
        labelled.group[good],
        (beyond[bad] >= 0) | labelled.unknown[bad],
        labelled.group[bad],
    )
    if found is not None:
        return told(found, "rows", prevalence)
    return None if stored is None else told(stored, "model", prevalence)


def told(found: Expectation, origin: str, prevalence: float | None) -> dict[str, Any]:
    """Tell an expectation as JSON does.

    Parameters
    ----------
    found
        What is expected.
    origin
        Where it was measured: ``rows``, ``model`` or, while that is made, ``fit``.
    prevalence
        Share of defective parts at which precision is told; None leaves it out.
    """
    precision = None if prevalence is None else found.precision(prevalence)
    return {
        "from": origin,
        "good": found.good,
        "good_parts": found.good_groups,
        "alarms_per_million": found.alarms.value * MILLION,
        "alarms_per_million_bounds": [found.alarms.least * MILLION, found.alarms.most * MILLION],
        "supported_per_million": found.supported * MILLION,
        "extrapolated": found.extrapolated,
        "bad": found.bad,
        "bad_parts": found.bad_groups,
        "recall": found.recall.value if found.recall else None,
        "recall_bounds": _bounds(found.recall),
        "prevalence": prevalence,
        "precision": precision.value if precision else None,
        "precision_bounds": _bounds(precision),
        "level": LEVEL,
    }


def _bounds(estimate: Estimate | None) -> list[float] | None:
    return None if estimate is None else [estimate.least, estimate.most]
