"""What a threshold costs in service: the false alarms to expect, and how far an alarm can be trusted."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, NamedTuple

import numpy as np

from dice_core.tail import Groups, Scores, Tail, share_bounds
from dice_core.threshold import Truth


class Estimate(NamedTuple):
    """A share, 0..1, between its lower and its upper bound, each at 95 %."""

    value: float
    least: float
    most: float


@dataclass(frozen=True)
class Expectation:
    """Shares of images called at a threshold, and how much they rest on.

    Attributes
    ----------
    good, good_groups
        Good images that were judged, and independent groups they come from, at least 1.
    alarms
        Share of good images called, by the tail of their scores.
    bad, bad_groups
        The same of defective images; 0 where none are known.
    recall
        Share of the defective ones called; None without any.
    """

    good: int
    good_groups: int
    alarms: Estimate
    bad: int
    bad_groups: int
    recall: Estimate | None

    @classmethod
    def of(
        cls,
        margins: Scores,
        unknown: Truth,
        good_groups: Groups,
        bad_called: Truth,
        bad_groups: Groups,
    ) -> "Expectation | None":
        """Expect from images judged by a bank that was not taught with them; None without a good one.

        Parameters
        ----------
        margins
            How far the score of each good image is beyond its face's threshold, (N,).
        unknown
            Which good images were taken for parts of unknown kind: called whatever they score, (N,).
        good_groups
            Independent group of each good image, (N,).
        bad_called
            Which defective images were called, (M,).
        bad_groups
            Independent group of each, (M,).
        """
        if not len(margins):
            return None
        groups = len(np.unique(good_groups))
        strange = float(unknown.mean())
        # Where none was taken for unknown none is expected: the floor lies far beneath what good parts reach.
        low, high = share_bounds(strange, groups) if strange else (0.0, 0.0)
        rate = least = most = 0.0
        if not unknown.all():
            tail = Tail.fit(margins[~unknown], good_groups[~unknown])
            rate, least, most = tail.rate(0.0), tail.lower(0.0), tail.upper(0.0)
        # Either way of being called adds to the other; so do their bounds, which errs on the safe side.
        alarms = Estimate(
            strange + (1 - strange) * rate, max(low, (1 - strange) * least), min(high + most, 1.0)
        )
        recall = None
        bad = len(np.unique(bad_groups))
        if len(bad_called):
            share = float(bad_called.mean())
            recall = Estimate(share, *share_bounds(share, bad))
        return cls(len(margins), groups, alarms, len(bad_called), bad, recall)

    @property
    def supported(self) -> float:
        """The lowest rate of false alarms the good images support: one in all independent groups."""
        return 1 / self.good_groups

    @property
    def extrapolated(self) -> bool:
        """Whether the rate of false alarms is carried on beyond what the good images support."""
        return self.alarms.value < self.supported

    def precision(self, prevalence: float) -> Estimate | None:
        """Share of alarms that are right where this share of the parts is defective, between 0 and 1.

        By Bayes' rule; the bounds put the worst recall and the most false alarms together, and the reverse.
        None where no defect is known.
        """
        if self.recall is None:
            return None

        def share(recall: float, alarms: float) -> float:
            right, wrong = prevalence * recall, (1 - prevalence) * alarms
            return right / (right + wrong) if right + wrong else 0.0

        return Estimate(
            share(self.recall.value, self.alarms.value),
            share(self.recall.least, self.alarms.most),
            share(self.recall.most, self.alarms.least),
        )

    def told(self) -> dict[str, Any]:
        """Give the facts as plain numbers and lists, which `read` takes."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    @classmethod
    def read(cls, told: Mapping[str, Any]) -> "Expectation":
        """Read what `told` gave; ValueError where a number cannot be."""
        recall = told["recall"]
        found = cls(
            int(told["good"]),
            int(told["good_groups"]),
            Estimate(*map(float, told["alarms"])),
            int(told["bad"]),
            int(told["bad_groups"]),
            None if recall is None else Estimate(*map(float, recall)),
        )
        shares = (*found.alarms, *(found.recall or ()))
        if found.good_groups < 1 or not all(math.isfinite(share) and 0 <= share <= 1 for share in shares):
            raise ValueError("an expectation that cannot be")
        return found
