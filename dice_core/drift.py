"""Drift: whether the scores of a lot lie where those of good parts lay when the model was taught.

No label is needed: a lot is told by counts of its scores, standardised by the reference, and counts merge.
Its quantiles are compared by how many of its scores are beyond the reference's: an exact binomial test, which
needs neither a normal distribution nor a large lot (Conover, "Practical Nonparametric Statistics", 1999,
chapter 3.2).
"""

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import special

from dice_core.reference import DEVIATIONS, QUANTILES, Floats, Index, Reference, Scores

ALLOWED_LOWER = 1.5
"""Spreads that scores may be lower by: real photographs blurred by a pixel or two are about that."""
ALLOWED_WIDER = 1.5
"""How many times as wide as the reference they may be spread; the copies are about 1.4 times."""
RARE = 0.01
"""How rarely a lot at the edge of what is allowed may be taken for one beyond; within, it is far rarer."""
FEWEST = 7
"""Independent images under which nothing is told: even a lot wholly beyond the edge is no rarer by chance."""

CALLED_AT_MOST = 0.25
"""Share of anomalies that no prevalence explains."""
HALF = 0.5
"""Share called that is an alarm however few the images are, if there are enough to tell anything."""
TIMES_EXPECTED = 10
"""How many times the expected share may be called, where the prevalence is known."""
LEAST_CALLED = 0.01
"""And at least this share, for the expectation is that of the training images."""

ALIKE = 1.0
"""Spreads by which the shifts of the quartiles may differ where a whole lot has moved."""
CORRECTED_SHIFT = 3.0
"""Spreads that another day was seen to move good parts by, at most: what moved farther is not corrected."""
CORRECTED_CALLED = 0.05
"""Share called up to which a lot that moved as a whole may have its threshold corrected."""
LARGEST_CORRECTION = 1.25
"""Most that a threshold may be multiplied by; the least is 1: a lot never makes a judgement stricter."""

_LEAST_INDEPENDENT = 0.5
_BIN = 1 / 16
_FIRST, _LAST = -16.0, 48.0
_BINS = round((_LAST - _FIRST) / _BIN)


class Alarm(StrEnum):
    """Why a lot is one to look at, the gravest first."""

    MANY_ANOMALIES = "many_anomalies"
    """More of its parts are called than what is expected explains."""
    PARTLY_HIGHER = "partly_higher"
    """Its upper scores are higher, its lower ones are not as much: as if part of its parts were bad."""
    ALL_HIGHER = "all_higher"
    """All its scores are higher: another light or pose, or the same faint defect in every part."""
    WIDER = "wider"
    """Its scores are spread more widely."""
    ALL_LOWER = "all_lower"
    """Its scores are lower: out of focus, say, and then a defect may be missed."""


class Counts:
    """What is to be known of a lot: how its standardised scores lie, its faces, and how many were called.

    Counts form a commutative monoid: ``Counts.zero(F)`` is zero, ``+`` merges.
    """

    def __init__(self, bins: Index, faces: Index, images: int, called: int) -> None:
        self._bins = bins
        self.faces = faces
        self.images = images
        self.called = called

    @classmethod
    def zero(cls, faces: int) -> "Counts":
        """Count nothing, of a bank with so many faces."""
        return cls(np.zeros(_BINS, np.int64), np.zeros(faces, np.int64), 0, 0)

    @classmethod
    def of(
        cls,
        reference: Reference | None,
        faces: int,
        scores: Scores,
        face: Index,
        called: npt.NDArray[np.bool_],
        fit: npt.NDArray[np.bool_],
    ) -> "Counts":
        """Count images of a bank with so many faces.

        Parameters
        ----------
        scores, face
            Score of each image, and number of its face, (N,).
        called
            Which were called anomalies, parts of unknown kind included, (N,).
        fit
            Whose scores may be compared, (N,): of parts of known kind that did not teach the model.
        """
        bins = np.zeros(_BINS, np.int64)
        if reference is not None:
            place = np.floor((reference.standardise(scores[fit], face[fit]) - _FIRST) / _BIN)
            bins += np.bincount(np.clip(place, 0, _BINS - 1).astype(np.int64), minlength=_BINS)
        own = np.bincount(face[fit], minlength=faces)
        return cls(bins, own, len(scores), int(np.count_nonzero(called)))

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(
            self._bins + other._bins,
            self.faces + other.faces,
            self.images + other.images,
            self.called + other.called,
        )

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Counts) and self._plain() == other._plain()

    def __hash__(self) -> int:
        return hash(repr(self._plain()))

    def _plain(self) -> tuple[Any, ...]:
        return self._bins.tolist(), self.faces.tolist(), self.images, self.called

    @property
    def share_called(self) -> float | None:
        """Share of the images that were called; None without images."""
        return self.called / self.images if self.images else None

    def above(self, value: float) -> float:
        """Share of the scores above a value, to a fraction of a bin; there is at least one."""
        total = np.append(0, np.cumsum(self._bins))
        return 1 - float(np.interp((value - _FIRST) / _BIN, np.arange(_BINS + 1), total)) / int(total[-1])

    def quantile(self, share: float) -> float:
        """Find the value that a share of the scores is below, to a fraction of a bin."""
        total = np.cumsum(self._bins)
        wanted = share * total[-1]
        at = int(np.searchsorted(total, wanted))
        before = total[at] - self._bins[at]
        return _FIRST + _BIN * float(at + (wanted - before) / self._bins[at])

    def deviation(self) -> float:
        """Find the median absolute deviation of the scores, to a bin."""
        middles = np.abs(_FIRST + _BIN * (np.arange(_BINS) + 0.5) - self.quantile(0.5))
        order = np.argsort(middles, kind="stable")
        total = np.cumsum(self._bins[order])
        return float(middles[order[np.searchsorted(total, total[-1] / 2)]])


@dataclass(frozen=True)
class Drift:
    """What is told of a lot.

    Attributes
    ----------
    images
        Images that were judged, parts of unknown kind included.
    share_called
        Share of them called; None without images.
    shift
        Median of the scores that may be compared, in spreads above the reference's; None without any.
    spread_ratio
        Their spread over the reference's.
    enough
        Whether there are images enough, here and behind the reference, to tell a drift.
    alarm
        Why the lot is one to look at; None where it is not.
    correction
        What its thresholds may be multiplied by, 1..`LARGEST_CORRECTION`.
    """

    images: int
    share_called: float | None
    shift: float | None
    spread_ratio: float | None
    enough: bool
    alarm: Alarm | None
    correction: float

    @classmethod
    def of(cls, counts: Counts, reference: Reference | None, may_be_called: float) -> "Drift":
        """Judge a lot.

        Parameters
        ----------
        counts
            The lot's.
        reference
            Where good parts lie; None where the model knows not, and then only the share called is judged.
        may_be_called
            Share of anomalies that is no alarm, as `most_called` gives it.
        """
        images, called = counts.images, counts.share_called
        repeats = 1.0 if reference is None else reference.repeats
        independent = images / repeats
        many = (
            called is not None
            and independent >= FEWEST
            and (called >= HALF or _rarer(called, independent, may_be_called))
        )
        if reference is None or not counts.faces.sum():
            alarm = Alarm.MANY_ANOMALIES if many else None
            return cls(images, called, None, None, independent >= FEWEST, alarm, 1.0)
        supported = _supported(counts, reference)
        enough = many or supported >= FEWEST
        moved = np.array([counts.quantile(share) for share in QUANTILES]) - reference.quantiles
        ratio = counts.deviation() * DEVIATIONS
        alarm = Alarm.MANY_ANOMALIES if many else None
        if alarm is None and enough:
            alarm = _alarm(counts, reference, supported, moved)
        correction = 1.0
        as_days_do = alarm is Alarm.ALL_HIGHER and max(moved[:3]) <= CORRECTED_SHIFT
        if as_days_do and called is not None and called <= CORRECTED_CALLED:
            correction = float(np.clip(math.exp(reference.spread * min(moved[:3])), 1.0, LARGEST_CORRECTION))
        return cls(images, called, float(moved[1]), ratio, enough, alarm, correction)


def most_called(alarms: float | None, prevalence: float | None) -> float:
    """Give the share of a lot's images that may be called before that is an alarm, 0..1.

    Parameters
    ----------
    alarms
        Share of good images that are expected to be called, at most; None where nobody knows.
    prevalence
        Share of the parts that are defective; None where nobody knows.
    """
    if prevalence is None or alarms is None:
        return CALLED_AT_MOST
    return float(np.clip(TIMES_EXPECTED * (prevalence + alarms), LEAST_CALLED, CALLED_AT_MOST))


def _alarm(counts: Counts, reference: Reference, independent: float, moved: Floats) -> Alarm | None:
    """Compare quantile by quantile: an alarm is what chance does not explain at the edge of the allowed."""
    edges = np.array(reference.quantiles)
    higher = any(
        _rarer(counts.above(edge + reference.allowed_higher), independent, 1 - share)
        for share, edge in zip(QUANTILES, edges, strict=True)
    )
    median, apart = counts.quantile(0.5), ALLOWED_WIDER / DEVIATIONS
    outside = counts.above(median + apart) + 1 - counts.above(median - apart)
    wider = _rarer(outside, independent, 0.5)
    if higher:
        alike = np.ptp(moved[:3]) <= ALIKE and not wider
        return Alarm.ALL_HIGHER if alike else Alarm.PARTLY_HIGHER
    if wider:
        return Alarm.WIDER
    lower = any(
        _rarer(1 - counts.above(edges[at] - ALLOWED_LOWER), independent, QUANTILES[at]) for at in (1, 2)
    )
    return Alarm.ALL_LOWER if lower else None


def _rarer(share: float, independent: float, expected: float) -> bool:
    """Tell whether so high a share of so many independent images is rarer than `RARE` where one is expected.

    The binomial tail, as the incomplete beta function, which takes numbers that are not whole.
    """
    hits = share * independent
    return share > expected and bool(special.betainc(hits, independent - hits + 1, expected) < RARE)


def _supported(counts: Counts, reference: Reference) -> float:
    """Count the independent images that a comparison rests on, here and behind the reference of each face."""
    own = np.array([face.independent for face in reference.faces.values()])
    shares = counts.faces / counts.faces.sum()
    # A face without a reference of its own is worth nothing, but a stray image of it spoils no lot.
    doubt = reference.repeats / counts.faces.sum() + (shares**2 / np.maximum(own, _LEAST_INDEPENDENT)).sum()
    return float(1 / doubt)
