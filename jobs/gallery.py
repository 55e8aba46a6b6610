"""The gallery: which images of a job are worth a look, and in which order."""

from collections.abc import Mapping
from enum import StrEnum

import numpy as np
import numpy.typing as npt

from jobs.scanned import BAD, GOOD, Scanned

_LEAST = 1e-4
"""Thresholds and ratios are taken for no less, so that logarithms exist."""

Numbers = npt.NDArray[np.int64]


class Why(StrEnum):
    """Why an image is looked at, the gravest first."""

    MISS = "miss"
    """Labelled defective, and found good."""
    FALSE_ALARM = "false alarm"
    """Labelled good, and called."""
    JUST_CALLED = "just called"
    """Nearest to the threshold of those beyond it."""
    JUST_GOOD = "just good"
    """Nearest to it of those below."""
    WORST = "worst"
    """Of the highest scores."""
    UNKNOWN_PART = "unknown part"


def called(scanned: Scanned, limits: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
    """Tell which rows are called by thresholds of faces, (F,): beyond, or of unknown kind, (N,)."""
    return np.asarray((scanned.score >= limits.astype(np.float32)[scanned.face]) | scanned.unknown)


def ratios(scanned: Scanned, limits: npt.NDArray[np.float64]) -> npt.NDArray[np.float32]:
    """Tell how many times its face's threshold each row scores, (N,), positive."""
    own = np.maximum(limits, _LEAST).astype(np.float32)[scanned.face]
    return np.asarray(np.maximum(scanned.score / own, np.float32(_LEAST)))


def choose(
    scanned: Scanned, is_called: npt.NDArray[np.bool_], ratio: npt.NDArray[np.float32], each: int
) -> Mapping[int, list[Why]]:
    """Choose at most so many rows for each reason.

    Returns
    -------
    mapping
        Numbers of rows, in the order to look at them, with all reasons of each.
    """
    known = ~scanned.unknown
    wanted = {
        Why.MISS: ((scanned.truth == BAD) & ~is_called, ratio),
        Why.FALSE_ALARM: ((scanned.truth == GOOD) & is_called, -ratio),
        Why.JUST_CALLED: (known & is_called, ratio),
        Why.JUST_GOOD: (known & ~is_called, -ratio),
        Why.WORST: (known & is_called, -ratio),
        Why.UNKNOWN_PART: (scanned.unknown, -ratio),
    }
    chosen: dict[int, list[Why]] = {}
    for why, (which, key) in wanted.items():
        for at in _first(np.flatnonzero(which), key, each):
            chosen.setdefault(int(at), []).append(why)
    return chosen


def _first(among: Numbers, key: npt.NDArray[np.float32], count: int) -> Numbers:
    """Give those of the lowest keys, falling back on their order."""
    if len(among) > count > 0:
        among = among[key[among] <= np.partition(key[among], count - 1)[count - 1]]
    return among[np.argsort(key[among], kind="stable")][:count]
