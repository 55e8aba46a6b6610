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
    FALSE_ALARM = "false alarm"
    NEAREST_ABOVE = "nearest above"
    NEAREST_BELOW = "nearest below"
    WORST = "worst"
    UNKNOWN_PART = "unknown part"


MEANINGS = {
    Why.MISS: "labelled defective, found good",
    Why.FALSE_ALARM: "labelled good, called",
    Why.NEAREST_ABOVE: "anomalies whose scores are the nearest to the threshold",
    Why.NEAREST_BELOW: "images found good whose scores are the nearest to it",
    Why.WORST: "anomalies of the highest scores",
    Why.UNKNOWN_PART: "like no face that the model knows",
}


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
    chosen: dict[int, list[Why]] = {}
    for why, which in candidates(scanned, is_called).items():
        key = ratio if why in _LOWEST_FIRST else -ratio
        for at in _first(np.flatnonzero(which), key, each):
            chosen.setdefault(int(at), []).append(why)
    return chosen


_LOWEST_FIRST = (Why.MISS, Why.NEAREST_ABOVE)


def candidates(scanned: Scanned, is_called: npt.NDArray[np.bool_]) -> Mapping[Why, npt.NDArray[np.bool_]]:
    """Tell for each reason among which rows it chooses, (N,)."""
    known = ~scanned.unknown
    return {
        Why.MISS: (scanned.truth == BAD) & ~is_called,
        Why.FALSE_ALARM: (scanned.truth == GOOD) & is_called,
        Why.NEAREST_ABOVE: known & is_called,
        Why.NEAREST_BELOW: known & ~is_called,
        Why.WORST: known & is_called,
        Why.UNKNOWN_PART: scanned.unknown,
    }


def _first(among: Numbers, key: npt.NDArray[np.float32], count: int) -> Numbers:
    """Give those of the lowest keys, falling back on their order."""
    if len(among) > count > 0:
        among = among[key[among] <= np.partition(key[among], count - 1)[count - 1]]
    return among[np.argsort(key[among], kind="stable")][:count]
