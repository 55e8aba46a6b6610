"""Policies: what a threshold is wanted for, read from a text and chosen from scores."""

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from dice_core.tail import Tail
from dice_core.threshold import Scores, Sweep

FORMS = "f1, recall=R, fpr=R, cost=miss:C,alarm:C, budget=ALARMS/IMAGES, quantile=Q or value=X"

EXPECTED_FPR = 0.001
"""Share of good images called where no defect is known to choose by."""

_SHARES = ("recall", "fpr", "quantile")
_FAINTER = 0.1
"""How far below known defects others are expected, as a share of their distance from the good."""
_STEPS = 2000
"""Thresholds that are tried where there is a least to be found."""
_HALVINGS = 100
"""Of an interval, until nothing is left of it."""


@dataclass(frozen=True)
class Policy:
    """What a threshold is wanted for.

    Attributes
    ----------
    name
        ``f1``: the highest F1; ``recall``: the least false alarms with at least this recall; ``fpr``: at most
        this share of the good called; ``cost``: the least cost of misses and false alarms together;
        ``budget``: at most so many alarms, right and wrong; ``quantile``: this quantile of the good;
        ``value``: this score.
    value
        The number that goes with the name: for ``cost`` what a miss costs, for ``budget`` the alarms.
    against
        For ``cost`` what a false alarm costs, for ``budget`` the images among which there may be so many.
    """

    name: str = "f1"
    value: float | None = None
    against: float | None = None

    @classmethod
    def parse(cls, text: str) -> "Policy":
        """Read what `FORMS` lists; ValueError names what is wrong."""
        name, _, numbers = text.partition("=")
        match name:
            case "f1" if not numbers and "=" not in text:
                return cls()
            case "cost" if numbers.startswith("miss:") and ",alarm:" in numbers:
                miss, _, alarm = numbers.removeprefix("miss:").partition(",alarm:")
                policy = cls(name, _number(text, miss), _number(text, alarm))
            case "budget" if "/" in numbers:
                alarms, _, images = numbers.partition("/")
                policy = cls(name, _number(text, alarms), _number(text, images))
            case "recall" | "fpr" | "quantile" | "value":
                policy = cls(name, _number(text, numbers))
            case _:
                raise ValueError(f"{text!r} is no threshold policy: give {FORMS}")
        policy._check(text)
        return policy

    def _check(self, text: str) -> None:
        value, against = self.value or 0.0, self.against or 0.0
        if self.name in _SHARES and not 0 <= value <= 1:
            raise ValueError(f"{text!r}: {value:g} is not between 0 and 1")
        if self.name == "cost" and not (value > 0 and against > 0):
            raise ValueError(f"{text!r}: a cost is over 0")
        if self.name == "budget" and not 0 < value < against:
            raise ValueError(f"{text!r}: the alarms are over 0 and fewer than the images")
        if self.name == "value" and abs(value) > float(np.finfo(np.float32).max):
            raise ValueError(f"{text!r}: {value:g} is beyond what a score in single precision can be")
        if (self.name, value) in (("fpr", 0), ("quantile", 1)):
            raise ValueError(f"{text!r}: no threshold rules out every false alarm: allow a small share")

    def __str__(self) -> str:
        """Write what `parse` reads as the same policy, to the last digit."""
        numbers = [
            repr(number).removesuffix(".0") for number in (self.value, self.against) if number is not None
        ]
        match self.name:
            case "cost":
                return f"cost=miss:{numbers[0]},alarm:{numbers[1]}"
            case "budget":
                return f"budget={numbers[0]}/{numbers[1]}"
        return "=".join([self.name, *numbers])

    @property
    def needs_prevalence(self) -> bool:
        """Whether there is nothing to choose by without the share of defective parts."""
        return self.name == "cost"

    @property
    def needs_defects(self) -> bool:
        """Whether it weighs good against defective parts; for want of these the good alone decide."""
        return self.name in ("f1", "recall", "cost")

    def choose(self, good: Scores, bad: Scores, prevalence: float | None = None) -> float:
        """Choose a threshold from the scores of good and defective images, the higher the worse.

        Parameters
        ----------
        good, bad
            Scores, (N,) and (M,). Without any defective ones ``f1``, ``recall`` and ``cost`` are taken from
            the tail of the good, at `EXPECTED_FPR`.
        prevalence
            Share of the parts to come that are defective, between 0 and 1. ``cost`` needs it; without it
            ``budget`` takes all parts for good.

        Raises
        ------
        ValueError
            Where there are no good images to choose from, or no prevalence where one is needed.
        """
        if self.name == "value":
            return float(self.value or 0.0)
        if self.needs_prevalence and prevalence is None:
            raise ValueError("costs cannot be weighed without the prevalence of defective parts")
        if not len(good):
            raise ValueError("a threshold needs scores of good images")
        if self.name in ("f1", "recall") and len(bad):
            return self._by_sweep(
                Sweep.of(np.concatenate([good, bad]), np.repeat([False, True], [len(good), len(bad)]))
            )
        return self._by_tail(Tail.fit(good), bad, prevalence or 0.0)

    def _by_sweep(self, sweep: Sweep) -> float:
        """Choose by counting, where there are anomalies."""
        if self.name == "f1":
            return sweep.middle(int(sweep.f1.argmax()))
        wanted = sweep.tp / sweep.bad >= (self.value or 0.0)
        return sweep.middle(int(np.argmax(wanted)))

    def _by_tail(self, tail: Tail, bad: Scores, prevalence: float) -> float:
        """Choose by how many good images a threshold will call."""
        value, against = self.value or 0.0, self.against or 1.0
        if self.name == "fpr":
            return _calling(tail, value)
        if self.name == "quantile":
            return tail.threshold(1 - value)
        if self.name == "budget":
            return _within_budget(tail, bad, value / against, prevalence)
        if self.name == "cost" and len(bad):
            return _least_cost(tail, bad, value / against, prevalence)
        return tail.threshold(EXPECTED_FPR)


def _number(text: str, number: str) -> float:
    try:
        value = float(number)
    except ValueError as error:
        raise ValueError(f"{text!r}: {number!r} is no number: give {FORMS}") from error
    if not math.isfinite(value):
        raise ValueError(f"{text!r}: {number} is no finite number")
    return value


def _calling(tail: Tail, rate: float) -> float:
    """Find the threshold that calls at most this share of good images, of those to come and of these.

    Where the share is less than one of these, they have no say: a single wild one would decide alone.
    """
    threshold = tail.threshold(rate)
    return max(threshold, tail.clear_of(rate)) if rate * len(tail.falling) >= 1 else threshold


def highest_f1(good: Scores, bad: Scores, prevalence: float) -> float:
    """Find the threshold whose F1 is the highest to expect of parts to come (Lewis, SIGIR 1995).

    By counting, any place in the gap between good and bad is the best, and where that gap lies hangs on
    single images. Here the tail of the good goes on into it, and so do defects fainter than those known.

    Parameters
    ----------
    good, bad
        Scores, (N,) and (M,), the higher the worse, at least one of each.
    prevalence
        Share of the parts to come that are defective, over 0 and up to 1.

    Returns
    -------
    float
        In the scores' unit.

    Raises
    ------
    ValueError
        Where there are no good images, or a score is not finite.
    """
    if not np.isfinite(bad).all():
        raise ValueError("a score is not finite")
    tail = Tail.fit(good)
    thresholds, missed, alarms = _foreseen(tail, bad)
    tp, fp = prevalence * (1 - missed), (1 - prevalence) * alarms
    return float(thresholds[(tp / (tp + fp + prevalence)).argmax()])


class _Missed:
    """The share of defective parts under a threshold, each known one standing for fainter ones too.

    A kernel estimate: below each known score others follow, ever fewer, at a mean distance of a tenth of
    that between the good and the bad. So a threshold never leans on the faintest defect that is known.
    """

    def __init__(self, good: Scores, bad: Scores) -> None:
        self._bad = np.sort(np.asarray(bad, np.float64))
        self.distance = max(float(np.median(self._bad) - np.median(good)) * _FAINTER, 0.0)

    def share(self, thresholds: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Give the share missed at each of some thresholds, (T,)."""
        under = np.searchsorted(self._bad, thresholds)
        if not self.distance:
            return under / len(self._bad)
        above = np.append(self._bad, np.inf)[under]
        with np.errstate(over="ignore"):  # so far below that none is expected
            faint = self._weights[under] * np.exp((thresholds - above) / self.distance)
        return np.asarray((under + faint) / len(self._bad))

    @cached_property
    def _weights(self) -> npt.NDArray[np.float64]:
        """How many known ones from each on stand for one that is missed just under it, (M + 1,)."""
        with np.errstate(over="ignore"):
            fall = np.exp(-np.diff(self._bad) / self.distance)
        weights = [0.0, 1.0]
        for step in fall[::-1]:
            weights.append(1 + weights[-1] * step)
        return np.array(weights[::-1])


def _least_cost(tail: Tail, bad: Scores, miss: float, prevalence: float) -> float:
    """Find the threshold of the least cost, a miss costing so many false alarms."""
    thresholds, missed, alarms = _foreseen(tail, bad)
    cost = prevalence * miss * missed + (1 - prevalence) * alarms
    return float(thresholds[cost.argmin()])


def _foreseen(tail: Tail, bad: Scores) -> tuple[npt.NDArray[np.float64], ...]:
    """Give thresholds to choose among, the share of defective parts each misses and of good ones it calls."""
    thresholds = _candidates(tail, bad)
    alarms = np.array([tail.rate(threshold) for threshold in thresholds])
    return thresholds, _Missed(tail.falling, bad).share(thresholds), alarms


def _candidates(tail: Tail, bad: Scores) -> npt.NDArray[np.float64]:
    """Thresholds from under the good to above the bad: in gaps between the good, then in even steps."""
    distinct = np.unique(tail.falling)
    gaps = (distinct[:-1] + distinct[1:]) / 2
    inside = gaps[:: max(len(gaps) // _STEPS, 1)]
    beyond = max(float(np.max(bad)), tail.threshold(1e-3 / len(tail.falling)))
    everything = tail.threshold(1.0)
    return np.concatenate([[everything], inside, np.linspace(tail.start, beyond + tail.scale, _STEPS)])


def _within_budget(tail: Tail, bad: Scores, alarms: float, prevalence: float) -> float:
    """Find the lowest threshold with at most this share of alarms, right and wrong.

    Where no defect is known, all of them are taken to be called.
    """
    if not prevalence:
        return _calling(tail, alarms)
    if not len(bad) and alarms <= prevalence:
        raise ValueError(
            "the defective parts alone exceed the budget, and none is known to tell which of them to let pass"
        )
    known = np.sort(np.asarray(bad, np.float64))

    def called(threshold: float) -> float:
        missed = np.searchsorted(known, threshold) / max(len(known), 1)
        return float(prevalence * (1 - missed) + (1 - prevalence) * tail.rate(threshold))

    low = tail.threshold(1.0)
    high = max(float(known[-1]) if len(known) else low, tail.threshold(alarms * 1e-3)) + tail.scale
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (low, middle) if called(middle) <= alarms else (middle, high)
    # Just above the score of an image, good or defective, the middle of the gap calls the same.
    if high <= tail.start:
        return tail.clear_of(tail.rate(high))
    above = int(np.searchsorted(known, high))
    if above and math.isclose(high, known[above - 1], rel_tol=1e-9):
        beyond = known[above] if above < len(known) else known[-1] + tail.scale
        return float(known[above - 1] + beyond) / 2
    return high
