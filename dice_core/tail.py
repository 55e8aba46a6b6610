"""The tail of good scores: how many good images reach a threshold, also where hardly any of a sample did.

Excesses over a high level are close to generalised Pareto, whatever the scores are (Pickands, Annals of
Statistics 3, 1975). Frames of one part stand or fall together, so bounds weigh the images by the independent
groups they come from.
"""

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
from scipy import stats

from dice_core.pareto import DOUBTED_SHAPE, HEAVIEST, STEEPEST, excess, fit_excesses, misfit, survival

Scores = npt.NDArray[np.floating]
Groups = npt.NDArray[np.integer]

TAIL_SHARE = 0.05
"""Share of the scores that the tail is fitted to."""
FEWEST_EXCESSES = 10
"""So many at least, even if that is more than the share, up to half of the scores."""
MOST_EXCESSES = 1000
"""And at most: beyond, more scores tell nothing of the tail but make it begin too early."""
LEVEL = 0.95

_FINEST = 2.0**-20
"""Least scale relative to the scores: about the steps in which single precision keeps them."""


def share_bounds(share: float, groups: int, level: float = LEVEL) -> tuple[float, float]:
    """Bound a share that was seen in so many independent groups, each side at a level, by default 95 %.

    The exact binomial bounds (Clopper and Pearson, Biometrika 26, 1934), for a number of groups that need
    not be whole (Korn and Graubard, Survey Methodology 24, 1998). Without groups nothing is known: 0 and 1.
    """
    hits = share * groups
    low = stats.beta.ppf(1 - level, hits, groups - hits + 1) if hits > 0 else 0.0
    high = stats.beta.ppf(level, hits + 1, groups - hits) if hits < groups else 1.0
    return float(low), float(high)


@dataclass(frozen=True, eq=False)
class Tail:
    """Good scores, the higher the worse, and how their highest go on.

    Attributes
    ----------
    falling
        The scores, falling, (N,).
    start
        Where the fitted tail begins, between two scores; just above them where all are equal.
    share
        Share of the scores above the start, over 0.
    scale, shape
        Of the generalised Pareto distribution of the excesses over the start, the scale in the scores' unit.
    groups
        How many independent groups the scores come from.
    tail_groups
        How many of these reach above the start.
    """

    falling: npt.NDArray[np.float64]
    start: float
    share: float
    scale: float
    shape: float
    groups: int
    tail_groups: int

    @classmethod
    def fit(cls, good: Scores, groups: Groups | None = None) -> "Tail":
        """Fit scores, (N,), the higher the worse.

        Parameters
        ----------
        good
            Scores of good images.
        groups
            Which independent group each belongs to, (N,); by default each is one.

        Raises
        ------
        ValueError
            Where there is no score, or one that is not finite.
        """
        if not len(good):
            raise ValueError("a tail needs scores of good images")
        if not np.isfinite(good).all():
            raise ValueError("a score is not finite")
        order = np.argsort(-good, kind="stable")
        falling = np.asarray(good, np.float64)[order]
        own = np.arange(len(good)) if groups is None else np.asarray(groups)[order]
        above = _cut(falling)
        scale, shape = 0.0, 0.0
        if above:
            # From the score beneath, not from the middle: the mean excess would come out low by half a gap.
            scale, shape = fit_excesses(falling[:above] - falling[above])
        finest = _FINEST * max(abs(float(falling[above])), float(np.finfo(np.float32).tiny))
        start = float(falling[above - 1] + falling[above]) / 2 if above else float(falling[0]) + finest
        return cls(
            falling,
            start,
            # Where all scores are equal the next may well be another.
            max(above, 1) / len(falling),
            max(scale, finest),
            shape,
            len(np.unique(own)),
            max(len(np.unique(own[:above])), 1),
        )

    def rate(self, threshold: float) -> float:
        """Estimate the share of good images, 0..1, at or above a threshold."""
        if threshold <= self.start:
            return max(self._counted(threshold), self.share)
        return self.share * survival(threshold - self.start, self.scale, self.shape)

    def threshold(self, rate: float) -> float:
        """Find the score that a share of good images, over 0 and up to 1, is at or above.

        It is never a score of the sample: within it, it lies in the middle of a gap, and calls no more than
        that share.

        Raises
        ------
        ValueError
            Where the rate is 0 or less: no threshold keeps every good image.
        """
        if not rate > 0:
            raise ValueError(f"no threshold lets a share of {rate} of good images be called")
        if rate < self.share:
            return self.start + excess(rate / self.share, self.scale, self.shape)
        return self.clear_of(rate)

    def clear_of(self, rate: float) -> float:
        """Find the lowest middle of a gap at or above which no more than a share of the sample lies."""
        may = math.floor(rate * len(self.falling) * (1 + 1e-12))
        if may >= len(self.falling):
            return float(self.falling[-1]) - self.scale
        # A tie is called as a whole or not at all.
        called = int(np.count_nonzero(self.falling > self.falling[may]))
        if not called:
            return float(self.falling[0]) + self.scale
        return float(self.falling[called - 1] + self.falling[called]) / 2

    def upper(self, threshold: float) -> float:
        """Bound the rate at a threshold from above, at 95 %."""
        counted = self._counted(threshold)
        exact = share_bounds(counted, self.groups)[1]
        if threshold <= self.start or self._region is None:
            return max(exact, self.rate(threshold))
        # Where the tail is but carried on, it may not promise less than what was counted.
        carried = max(self._extreme(threshold, highest=True), counted)
        return max(min(exact, carried), self.rate(threshold))

    def lower(self, threshold: float) -> float:
        """Bound the rate at a threshold from below, at 95 %."""
        exact = share_bounds(self._counted(threshold), self.groups)[0]
        if threshold <= self.start or self._region is None:
            return min(exact, self.rate(threshold))
        return min(self._extreme(threshold, highest=False), self.rate(threshold))

    def _counted(self, threshold: float) -> float:
        return float(np.searchsorted(-self.falling, -threshold, "right")) / len(self.falling)

    def _extreme(self, threshold: float, *, highest: bool) -> float:
        """Find the highest or lowest rate among all tails that the scores do not speak against."""
        region = self._region
        assert region is not None  # noqa: S101 - the caller has looked
        left = np.array(
            [
                survival(threshold - self.start, scale, shape)
                for scale, shape in zip(region.scale, region.shape, strict=True)
            ]
        )
        return float((left * region.highest).max() if highest else (left * region.lowest).min())

    @cached_property
    def _region(self) -> "_Region | None":
        above = int(np.count_nonzero(self.falling > self.start))
        if not above:
            return None
        excesses = self.falling[:above] - self.falling[above]
        return _Region.of(excesses, len(self.falling), self.tail_groups / len(excesses))


@dataclass(frozen=True, eq=False)
class _Region:
    """Tails within the slack of the likeliest: arrays of (R,), with the shares above the start they allow."""

    scale: npt.NDArray[np.float64]
    shape: npt.NDArray[np.float64]
    lowest: npt.NDArray[np.float64]
    highest: npt.NDArray[np.float64]

    @classmethod
    def of(cls, excesses: npt.NDArray[np.float64], count: int, weight: float) -> "_Region":
        """Search scales and shapes on a grid, each excess counting as `weight` of an independent one."""
        mean = float(excesses.mean())
        width = min(4.0, max(0.6, 5 / math.sqrt(weight * len(excesses))))
        shapes = np.linspace(STEEPEST, HEAVIEST, 41)
        scales = mean * np.exp(np.linspace(-width, width, 81))
        fits = -np.array([misfit(excesses, scales, shape, weight, DOUBTED_SHAPE) for shape in shapes])
        freedom = max(weight * len(excesses) - 1, 1.0)
        slack = fits - fits.max() + float(stats.t.ppf(LEVEL, freedom)) ** 2 / 2
        inside = slack >= 0
        shape, scale = np.meshgrid(shapes, scales, indexing="ij")
        low, high = _shares(len(excesses), count, weight, slack[inside])
        return cls(scale[inside], shape[inside], low, high)


def _shares(
    above: int, count: int, weight: float, slack: npt.NDArray[np.float64]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Bound the share above the start where so much slack is left, (R,), by the binomial likelihood."""
    best = above / count
    odds = np.linspace(-12, 12, 2001) + math.log(best / max(1 - best, 0.5 / count))
    shares = 1 / (1 + np.exp(-odds))
    fits = weight * (above * np.log(shares) + (count - above) * np.log1p(-shares))
    peak = int(fits.argmax())
    lost = fits[peak] - fits
    return (
        np.interp(slack, lost[peak::-1], shares[peak::-1]),
        np.interp(slack, lost[peak:], shares[peak:]),
    )


def _cut(falling: npt.NDArray[np.float64]) -> int:
    """Choose how many of the scores, falling, are the tail: the cut never divides a tie; 0 where all tie."""
    count = len(falling)
    wanted = min(max(round(TAIL_SHARE * count), min(FEWEST_EXCESSES, count // 2), 1), MOST_EXCESSES)
    cuts = np.flatnonzero(falling[:-1] > falling[1:]) + 1
    if not len(cuts):
        return 0
    return int(cuts[min(int(np.searchsorted(cuts, wanted)), len(cuts) - 1)])
