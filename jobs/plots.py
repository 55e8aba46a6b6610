"""The lines of a report's plots, as paths of SVG: its style sheet colours them, so that no style is inline.

Plotting libraries write a style into every element, which the report's content-security policy forbids.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from dice_core.threshold import Sweep

Floats = npt.NDArray[np.floating]

WIDTH, HEIGHT = 640, 260
"""Of a plot's inside, in the units of its paths."""
LINE_WIDTH, LINE_HEIGHT = 180, 40
"""Of a line in a table."""

BINS = 60
"""Of a histogram, and of an archive's order."""
_LEAST = 1e-3
"""Scores that are lower are drawn here."""
_POINTS = 400
"""Most points of a curve: more do not show."""


@dataclass(frozen=True)
class Tick:
    """A mark on an axis: where, in the units of the paths, and what it says."""

    at: float
    text: str


@dataclass(frozen=True)
class Histogram:
    """How often scores are how high, on logarithmic axes.

    Attributes
    ----------
    outlines
        By the name of a class, the path around its bars.
    limit
        Where the threshold is across.
    across, up
        Marks on the axes.
    """

    outlines: dict[str, str]
    limit: float
    across: list[Tick]
    up: list[Tick]


@dataclass(frozen=True)
class Curve:
    """Precision over recall: the path, and where the threshold is on it."""

    path: str
    point: tuple[float, float] | None


@dataclass(frozen=True)
class Series:
    """Scores over an archive's order, in multiples of the threshold, on a logarithmic axis.

    Attributes
    ----------
    middle, high
        Paths of the median and of the highest score.
    limit
        Where the threshold is up.
    """

    middle: str
    high: str
    limit: float


def _path(x: Floats, y: Floats) -> str:
    return "M" + "L".join(f"{across:.1f} {up:.1f}" for across, up in zip(x, y, strict=True))


def histogram(
    classes: dict[str, Floats], limit: float, width: int = WIDTH, height: int = HEIGHT
) -> Histogram:
    """Count scores above 0 in bins of equal ratio; classes without any are left out."""
    classes = {
        name: np.maximum(scores, _LEAST, dtype=np.float64) for name, scores in classes.items() if len(scores)
    }
    limit = max(limit, _LEAST)
    everything = np.concatenate([np.array([limit * 0.9, limit * 1.1]), *classes.values()])
    low, high = np.log(everything.min()), np.log(everything.max()) + 1e-6
    edges = np.linspace(low, high, BINS + 1)
    counts = {name: np.histogram(np.log(scores), edges)[0] for name, scores in classes.items()}
    top = np.log1p(max((count.max() for count in counts.values()), default=1)) * 1.05

    def across(value: float) -> float:
        return float((np.log(value) - low) / (high - low) * width)

    def up(count: Floats) -> Floats:
        return np.asarray(height * (1 - np.log1p(count) / top))

    x = np.repeat(np.linspace(0, width, BINS + 1), 2)
    outlines = {}
    for name, count in counts.items():
        y = np.concatenate([[height], np.repeat(up(count), 2), [height]])
        outlines[name] = f"{_path(x, y)}Z"
    powers = 10.0 ** np.arange(np.floor(low / np.log(10)), np.ceil(high / np.log(10)) + 1)
    values = [value * step for value in powers for step in (1, 2, 5) if low <= np.log(value * step) <= high]
    tens = 10 ** np.arange(int(max(np.floor(top / np.log(10)), 0)) + 1)
    return Histogram(
        outlines,
        across(limit),
        [Tick(across(value), f"{value:g}") for value in values],
        [Tick(float(up(np.array(ten))), f"{ten:,}") for ten in tens if np.log1p(ten) <= top],
    )


def precision_recall(sweep: Sweep, limit: float) -> Curve | None:
    """Draw precision over recall; None without defective parts.

    Parameters
    ----------
    sweep
        Every threshold.
    limit
        The one that is in force, on the scale of the sweep.
    """
    if not sweep.bad or not len(sweep.values):
        return None
    recall, precision = sweep.tp / sweep.bad, sweep.tp / (sweep.tp + sweep.fp)
    x, y = recall * WIDTH, (1 - precision) * HEIGHT
    kept = np.unique(np.linspace(0, len(x) - 1, _POINTS).astype(int))
    # Where recall grows the curve bends, and there are seldom many such places.
    bends = np.flatnonzero(np.diff(sweep.tp, prepend=0))
    if len(bends) <= _POINTS:
        kept = np.union1d(kept, np.concatenate([bends, np.maximum(bends - 1, 0)]))
    called = np.count_nonzero(sweep.values >= limit)
    point = (float(x[called - 1]), float(y[called - 1])) if called else None
    return Curve(_path(x[kept], y[kept]), point)


def series(
    ratios: Sequence[Floats], span: tuple[float, float], width: int = LINE_WIDTH, height: int = LINE_HEIGHT
) -> Series | None:
    """Draw the median and the highest of scores, piece after piece of an archive's order.

    Parameters
    ----------
    ratios
        Scores over their threshold, in pieces; empty ones are left out.
    span
        Least and greatest value that is to fit.
    """
    places = np.array([at for at, piece in enumerate(ratios) if len(piece)])
    if not len(places):
        return None
    low, high = np.log(span[0]), np.log(span[1]) + 1e-6

    def up(values: Floats | float) -> Floats:
        return np.asarray(height * (1 - (np.log(np.clip(values, *span)) - low) / (high - low)))

    x = (places + 0.5) * width / len(ratios)
    if len(places) == 1:
        x, places = np.array([0.0, width]), places.repeat(2)
    middle = np.array([np.median(ratios[at]) for at in places])
    highest = np.array([ratios[at].max() for at in places])
    return Series(_path(x, up(middle)), _path(x, up(highest)), float(up(1.0)))
