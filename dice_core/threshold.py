"""Thresholds and what they are worth: confusion, precision, recall, F1 and ranking.

A ratio whose denominator is 0 (the precision where nothing was called an anomaly, the recall where there is
none) is undefined, and is None here, never 0 or 1: nothing was asked, so nothing was answered. F1 is
2 tp / (2 tp + fp + fn), undefined only where there is neither an anomaly nor a call.
"""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Scores = npt.NDArray[np.floating]
Truth = npt.NDArray[np.bool_]


def _ratio(numerator: float, denominator: float) -> float | None:
    return numerator / denominator if denominator else None


@dataclass(frozen=True)
class Confusion:
    """Counts of images by truth and call; an anomaly is the positive."""

    tp: int = 0
    fp: int = 0
    fn: int = 0
    tn: int = 0

    @classmethod
    def of(cls, bad: Truth, called: Truth) -> "Confusion":
        """Count arrays of (N,): which images are defective, which were called so."""
        return cls(
            tp=int(np.count_nonzero(bad & called)),
            fp=int(np.count_nonzero(~bad & called)),
            fn=int(np.count_nonzero(bad & ~called)),
            tn=int(np.count_nonzero(~bad & ~called)),
        )

    def __add__(self, other: "Confusion") -> "Confusion":
        return Confusion(self.tp + other.tp, self.fp + other.fp, self.fn + other.fn, self.tn + other.tn)

    @property
    def errors(self) -> int:
        """False alarms and misses."""
        return self.fp + self.fn

    @property
    def precision(self) -> float | None:
        """Share of the calls that are right."""
        return _ratio(self.tp, self.tp + self.fp)

    @property
    def recall(self) -> float | None:
        """Share of the anomalies that were called."""
        return _ratio(self.tp, self.tp + self.fn)

    @property
    def f1(self) -> float | None:
        """Harmonic mean of precision and recall, the anomaly being the positive."""
        return _ratio(2 * self.tp, 2 * self.tp + self.fp + self.fn)

    @property
    def f1_normal(self) -> float | None:
        """The same with the good part as the positive."""
        return _ratio(2 * self.tn, 2 * self.tn + self.fp + self.fn)


@dataclass(frozen=True)
class Sweep:
    """Every threshold that divides some scores, from the strictest call to the laxest.

    Attributes
    ----------
    values
        The distinct scores, falling, (M,): an image at or above a value is called.
    tp, fp
        Anomalies and good images called at each value, (M,).
    bad, good
        How many there are of either.
    """

    values: Scores
    tp: npt.NDArray[np.int64]
    fp: npt.NDArray[np.int64]
    bad: int
    good: int

    @classmethod
    def of(cls, scores: Scores, bad: Truth) -> "Sweep":
        """Sweep scores (N,), the higher the worse, of images that are defective where `bad`.

        Raises
        ------
        ValueError
            Where a score is not a number.
        """
        if np.isnan(scores).any():
            raise ValueError("a score is not a number")
        order = np.argsort(-scores, kind="stable")
        falling, truth = scores[order], bad[order]
        last = (
            np.flatnonzero(np.append(falling[1:] != falling[:-1], True)) if len(falling) else np.zeros(0, int)
        )
        tp, fp = np.cumsum(truth), np.cumsum(~truth)
        return cls(falling[last], tp[last], fp[last], int(bad.sum()), int((~bad).sum()))

    @property
    def f1(self) -> npt.NDArray[np.float64]:
        """F1 at each value, (M,); 0 where it is undefined, which is where there is no anomaly."""
        return np.asarray(2 * self.tp / np.maximum(self.tp + self.fp + self.bad, 1))

    @property
    def auroc(self) -> float | None:
        """Chance that an anomaly scores above a good image, a tie counting half (Hanley and McNeil, 1982)."""
        tp, fp = np.append(0, self.tp), np.append(0, self.fp)
        area = float(((fp[1:] - fp[:-1]) * (tp[1:] + tp[:-1]) / 2).sum())
        return _ratio(area, self.bad * self.good)

    @property
    def average_precision(self) -> float | None:
        """Precision averaged over the recall gained at each value, without interpolation."""
        if not self.bad:
            return None
        gained = np.diff(self.tp, prepend=0)
        return float((gained * self.tp / (self.tp + self.fp)).sum() / self.bad)

    def best(self) -> tuple[float, float] | None:
        """Find the threshold of the highest F1, amid the gap below, and that F1; None without anomalies."""
        if not self.bad:
            return None
        f1 = self.f1
        at = int(f1.argmax())
        return self.middle(at), float(f1[at])

    def middle(self, at: int) -> float:
        """Find the threshold that calls just what the value numbered `at` does, far from its neighbours.

        The middle is geometric where both neighbours are positive, since scores spread by factors.
        """
        above = float(self.values[at])
        if at + 1 == len(self.values):
            return above
        below = float(self.values[at + 1])
        if not math.isfinite(above):
            return math.nextafter(below, math.inf)
        middle = math.sqrt(above * below) if below > 0 else (above + below) / 2
        return middle if below < middle <= above else above
