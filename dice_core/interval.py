"""Confidence intervals by bootstrap over independent parts, never over images.

Frames of one part stand or fall together, so they are drawn together (Efron and Tibshirani, "An Introduction
to the Bootstrap", 1993, chapter 8, on resampling units rather than observations). Draws of parts without an
error have none either, as if that were certain; there the exact binomial bound stands, over as many parts
(Clopper and Pearson, Biometrika 26, 1934; Hanley and Lippman-Hand, "If nothing goes wrong, is everything all
right?", JAMA 249, 1983).
"""

from enum import StrEnum

import numpy as np
import numpy.typing as npt

from dice_core.tail import share_bounds
from dice_core.threshold import Confusion, Truth

Groups = npt.NDArray[np.int64]

DRAWS = 1000
FEWEST_PARTS = 10
"""Independent parts, of the good and of the defective each, under which no interval is given."""

COVERAGE = 0.95
_TAIL = (1 - COVERAGE) / 2


class Over(StrEnum):
    """What is drawn as one."""

    LOTS = "lots"
    RUNS = "runs of consecutive frames"


def independent(bad: Truth, lot: Groups, run: Groups) -> tuple[Groups, Over]:
    """Choose what to draw: lots where enough hold good and enough hold defective parts, or else runs.

    Parts of one lot share pose and light, so lots are what is independent; but few of them bound nothing.

    Parameters
    ----------
    bad
        Which images are defective, (N,).
    lot, run
        Which lot and which run of frames an image belongs to, (N,).
    """
    fewest = min(len(np.unique(lot[bad])), len(np.unique(lot[~bad])))
    return (lot, Over.LOTS) if fewest >= FEWEST_PARTS else (run, Over.RUNS)


def group_confusions(bad: Truth, called: Truth, group: Groups) -> npt.NDArray[np.int64]:
    """Count tp, fp, fn and tn per group: arrays of (N,) to (G, 4)."""
    kind = np.where(bad, np.where(called, 0, 2), np.where(called, 1, 3))
    _, dense = np.unique(group, return_inverse=True)
    groups = int(dense.max()) + 1 if len(dense) else 0
    return np.bincount(dense * 4 + kind, minlength=groups * 4).reshape(groups, 4)


def intervals(
    bad: Truth, called: Truth, group: Groups, rng: np.random.Generator
) -> dict[str, tuple[float, float] | None]:
    """Bound precision, recall and F1 at 95 %.

    Parameters
    ----------
    bad, called
        Which images are defective and which were called so, (N,).
    group
        Which independent part or run of frames an image belongs to, (N,).
    rng
        The source of chance.

    Returns
    -------
    dict
        ``precision``, ``recall`` and ``f1``, each the lower and the upper bound, or None where there are
        fewer than `FEWEST_PARTS` groups of good or of defective images, or where it is undefined in every
        draw, as the precision is where nothing was called. A precision or recall of 1 has the exact lower
        bound, one of 0 the exact upper bound, over the parts with a call or a defective image; F1 then
        reaches as far as both together do (Bonferroni).
    """
    names = ("precision", "recall", "f1")
    counts = group_confusions(bad, called, group)
    some_bad = np.count_nonzero(counts[:, 0] + counts[:, 2])
    some_good = np.count_nonzero(counts[:, 1] + counts[:, 3])
    if min(some_bad, some_good) < FEWEST_PARTS:
        return dict.fromkeys(names)
    # Groups with equal counts are alike, so how many of each kind are drawn is all there is to draw.
    kinds, times = np.unique(counts, axis=0, return_counts=True)
    draws = rng.multinomial(len(counts), times / len(counts), DRAWS) @ kinds
    drawn = [Confusion(*draw) for draw in draws.tolist()]
    bounds: dict[str, tuple[float, float] | None] = {}
    for name in names:
        values = [value for confusion in drawn if (value := getattr(confusion, name)) is not None]
        if not values:
            bounds[name] = None
            continue
        low, high = np.quantile(values, [_TAIL, 1 - _TAIL])
        bounds[name] = (float(low), float(high))
    return _without_error(bounds, counts)


def _without_error(
    bounds: dict[str, tuple[float, float] | None], counts: npt.NDArray[np.int64]
) -> dict[str, tuple[float, float] | None]:
    """Put exact bounds in place of those of shares that are 0 or 1, whose draws are all alike."""
    widest: dict[str, tuple[float, float]] = {}
    exact = {}
    for name, wrong in (("precision", counts[:, 1]), ("recall", counts[:, 2])):
        drawn = bounds[name]
        hits, errors = int(counts[:, 0].sum()), int(wrong.sum())
        if drawn is None or (hits and errors):
            widest[name] = drawn or (0.0, 1.0)
            continue
        share, parts = float(hits > 0), int(np.count_nonzero(counts[:, 0] + wrong))
        exact[name] = share_bounds(share, parts, COVERAGE)
        widest[name] = share_bounds(share, parts, 1 - _TAIL)
    drawn = bounds["f1"]
    if not exact or drawn is None:
        return {**bounds, **exact}
    low, high = map(_harmonic, widest["precision"], widest["recall"])
    return {**bounds, **exact, "f1": (min(low, drawn[0]), max(high, drawn[1]))}


def _harmonic(precision: float, recall: float) -> float:
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0
