"""The reference: where the cross-fitted scores of good parts lie, by face, for lots to be compared with.

Scores spread by factors, so their logarithms are standardised: a unit is the spread of the face's good parts.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

QUANTILES = (0.25, 0.5, 0.75, 0.9)
"""Where lots are compared: with half of the parts bad the lower quartile stays, the upper ones move."""
ALLOWED_HIGHER = (1.0, 2.0)
"""Spreads that scores may be higher by, least and most: between them, as much as augmented copies are."""
FEWEST_OF_FACE = 20
"""Good images of a face under which it is compared with the good images of all."""
DEVIATIONS = 1.4826
"""Median absolute deviations in a standard deviation, of normal values."""

_LEAST_SCORE = 1e-6
_LEAST_SPREAD = 0.05
"""Spread of log scores under which a reference would make a drift of rounding errors."""
_OUTLIER = 4.0

Scores = npt.NDArray[np.floating]
Index = npt.NDArray[np.integer]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class FaceReference:
    """Good parts of one face: median and spread of the logarithm of their scores, and what these rest on.

    The spread is the median absolute deviation, scaled to be the standard deviation of normal values.
    """

    median: float
    spread: float
    independent: float


@dataclass(frozen=True)
class Reference:
    """Where the cross-fitted scores of good parts lie.

    Attributes
    ----------
    faces
        Of each face of the bank.
    quantiles
        Their standardised log scores at `QUANTILES`.
    allowed_higher
        How much higher a lot may score, in spreads: by as much as augmented copies of good parts do, which
        stand for another day.
    repeats
        Images that tell as much as one independent image: frames of one run resemble each other.
    """

    faces: Mapping[str, FaceReference]
    quantiles: tuple[float, ...]
    allowed_higher: float
    repeats: float

    @classmethod
    def of(
        cls,
        names: Sequence[str],
        good: Mapping[str, npt.NDArray[Any]],
        shifted: Mapping[str, npt.NDArray[Any]],
        runs: Index,
    ) -> "Reference | None":
        """Make a reference; None without a good image.

        Parameters
        ----------
        names
            The bank's faces, F of them.
        good
            Cross-fitted ``defect_score`` of good images and the ``face`` they were taken for, each (N,).
        shifted
            The same of augmented copies of them.
        runs
            Which run of frames each good image belongs to, (N,).
        """
        if not len(runs):
            return None
        number = {name: at for at, name in enumerate(names)}
        face, copied = (
            np.array([number[name] for name in columns["face"].tolist()], np.int64)
            for columns in (good, shifted)
        )
        logs = _logs(good["defect_score"])
        medians, spreads = np.full(len(names), np.median(logs)), np.full(len(names), _spread(logs))
        counts = np.bincount(face, minlength=len(names))
        for own in np.flatnonzero(counts >= FEWEST_OF_FACE):
            medians[own], spreads[own] = np.median(logs[face == own]), _spread(logs[face == own])
        z = (logs - medians[face]) / spreads[face]
        repeats = _repeats(z, runs)
        quantiles = np.quantile(z, QUANTILES)
        copies = (_logs(shifted["defect_score"]) - medians[copied]) / spreads[copied]
        moved = float(np.median(copies) - quantiles[1]) if len(copies) else 0.0
        faces = {
            name: FaceReference(float(medians[at]), float(spreads[at]), float(counts[at] / repeats))
            for name, at in number.items()
        }
        return cls(faces, tuple(quantiles.tolist()), float(np.clip(moved, *ALLOWED_HIGHER)), repeats)

    @property
    def spread(self) -> float:
        """The spread of log scores that is usual among the faces."""
        return float(np.median([face.spread for face in self.faces.values()]))

    def standardise(self, scores: Scores, face: Index) -> Floats:
        """Give log scores (N,) of faces, by their number, in spreads from their face's median, (N,)."""
        facts = list(self.faces.values())
        medians, spreads = (np.array([getattr(own, name) for own in facts]) for name in ("median", "spread"))
        return np.asarray((_logs(scores) - medians[face]) / spreads[face])

    def told(self) -> dict[str, Any]:
        """Give the facts as plain numbers, which `read` takes."""
        return {
            "faces": {name: [own.median, own.spread, own.independent] for name, own in self.faces.items()},
            "quantiles": list(self.quantiles),
            "allowed_higher": self.allowed_higher,
            "repeats": self.repeats,
        }

    @classmethod
    def read(cls, told: Mapping[str, Any], names: Sequence[str]) -> "Reference":
        """Read what `told` gave of a bank with these faces; ValueError where a number cannot be."""
        found = cls(
            {name: FaceReference(*map(float, told["faces"][name])) for name in names},
            tuple(map(float, told["quantiles"])),
            float(told["allowed_higher"]),
            float(told["repeats"]),
        )
        numbers = [number for own in found.faces.values() for number in (own.median, own.spread)]
        finite = np.isfinite([*numbers, *found.quantiles, found.allowed_higher, found.repeats]).all()
        possible = all(own.spread > 0 and 0 <= own.independent < math.inf for own in found.faces.values())
        rising = len(found.quantiles) == len(QUANTILES) and list(found.quantiles) == sorted(found.quantiles)
        if not (finite and possible and rising and found.repeats >= 1 and found.allowed_higher >= 0):
            raise ValueError("a reference that cannot be")
        return found


def _logs(scores: Scores) -> Floats:
    if np.isnan(scores).any():
        raise ValueError("a score is not a number")
    return np.log(np.maximum(scores.astype(np.float64), _LEAST_SCORE))


def _spread(logs: Floats) -> float:
    return max(float(np.median(np.abs(logs - np.median(logs)))) * DEVIATIONS, _LEAST_SPREAD)


def _repeats(z: Floats, runs: Index) -> float:
    """Estimate how many images tell as much as one: the design effect, from the correlation within runs.

    By the analysis of variance (Kish, "Survey Sampling", 1965, chapter 5), with outliers cut. Each run is
    compared with the next (von Neumann, Annals of Mathematical Statistics 12, 1941): that days differ is no
    reason to take the images of one lot for fewer.
    """
    _, run, sizes = np.unique(runs, return_inverse=True, return_counts=True)
    groups, count = len(sizes), len(z)
    size = float((sizes**2).sum() / count)
    if groups in (1, count):
        return max(size, 1.0)
    cut = np.clip(z, -_OUTLIER, _OUTLIER)
    means = np.bincount(run, cut) / sizes
    between = float((np.diff(means) ** 2 / (1 / sizes[1:] + 1 / sizes[:-1])).mean())
    within = float(((cut - means[run]) ** 2).sum()) / (count - groups)
    usual = (count - (sizes**2).sum() / count) / (groups - 1)
    correlation = (between - within) / max(between + (usual - 1) * within, 1e-12)
    return float(np.clip(1 + (size - 1) * correlation, 1.0, size))
