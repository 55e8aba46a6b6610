"""The generalised Pareto distribution of excesses over a high level, fitted with a belief about its shape.

Coles, "An Introduction to Statistical Modeling of Extreme Values", 2001, chapter 4. The shape is drawn
towards 0, the exponential tail, as in Coles and Dixon (Extremes 2, 1999): without that a few hundred images
would promise anything.
"""

import math
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import optimize

FEWEST_FOR_SHAPE = 20
"""Excesses under which the tail is taken for exponential."""

SHAPE_SPREAD = 0.2
"""Standard deviation of the shape, as far as it is believed before a score is seen."""
LIKELIEST_SHAPE, DOUBTED_SHAPE = 0.0, 0.1
"""Its mean for estimates and for bounds: these lean to the heavier tail, or they would promise too much."""
STEEPEST, HEAVIEST = -0.5, 0.5
"""Shapes that are considered: below, likelihood has no maximum; above, there is no variance."""

_EXPONENTIAL = 1e-6
"""Shapes nearer to 0 than this are 0, or rounding would decide."""


def fit_excesses(excesses: npt.NDArray[np.float64]) -> tuple[float, float]:
    """Find the likeliest scale and shape of positive excesses, (N,); the shape is 0 where they are few."""
    mean = float(excesses.mean())
    if len(excesses) < FEWEST_FOR_SHAPE:
        return mean, 0.0
    found: Any = optimize.minimize(
        lambda at: misfit(excesses, mean * np.exp(at[:1]), at[1], 1.0, LIKELIEST_SHAPE)[0],
        (0.0, 0.0),
        method="Nelder-Mead",
        bounds=((-3, 3), (STEEPEST, HEAVIEST)),
        options={"xatol": 1e-5, "fatol": 1e-7},
    )
    return mean * math.exp(found.x[0]), float(found.x[1])


def misfit(
    excesses: npt.NDArray[np.float64],
    scale: npt.NDArray[np.float64],
    shape: float,
    weight: float,
    believed: float,
) -> npt.NDArray[np.float64]:
    """Give the negative log likelihoods of generalised Pareto tails, with what is believed of their shape.

    One for each of some scales; infinite where an excess is beyond the tail's end.
    """
    penalty = ((shape - believed) / SHAPE_SPREAD) ** 2 / 2
    relative = excesses / scale[..., None]
    if abs(shape) < _EXPONENTIAL:
        lost = relative.sum(axis=-1)
    else:
        inner = 1 + shape * relative
        lost = (1 + 1 / shape) * np.log(np.maximum(inner, np.finfo(float).tiny)).sum(axis=-1)
        lost = np.where(inner.min(axis=-1) > 0, lost, np.inf)
    return np.asarray(weight * (len(excesses) * np.log(scale) + lost) + penalty)


def survival(excess: float, scale: float, shape: float) -> float:
    """Give the share, 0..1, of excesses beyond one."""
    if abs(shape) < _EXPONENTIAL:
        return math.exp(-excess / scale)
    inner = 1 + shape * excess / scale
    return inner ** (-1 / shape) if inner > 0 else 0.0


def excess(share: float, scale: float, shape: float) -> float:
    """Give the excess beyond which a share of them, over 0 and up to 1, lies: `survival` turned round."""
    if abs(shape) < _EXPONENTIAL:
        return -scale * math.log(share)
    return scale * math.expm1(-shape * math.log(share)) / shape
