"""Regions: where evidence against an image is, followed to its outline."""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from dice_core.compiled import compiled
from dice_core.gaussian import half_gaussian, smooth

OUTLINE = 1 / 128
"""Standard deviation of the Gaussian under which a region is followed, in shares of the longer side."""
REGION_SHARE = 0.3
"""A defect's region is where the residual is at least this share of that at the peak, and of its sign."""


class Defect(NamedTuple):
    """Where and how much images differ from their rebuilt templates; arrays of (N,), pixels of the map.

    Attributes
    ----------
    score
        Highest evidence, whatever its sign.
    peak_x, peak_y
        Where it is.
    x, y, width, height, area
        Box around all that was followed, and its pixels.
    regions
        Connected regions of one sign with evidence at the limit or beyond.
    dark, bright
        Pixels with evidence at the limit or beyond, where the image is too dark and where it is too bright.
    """

    score: npt.NDArray[np.float32]
    peak_x: npt.NDArray[np.int32]
    peak_y: npt.NDArray[np.int32]
    x: npt.NDArray[np.int32]
    y: npt.NDArray[np.int32]
    width: npt.NDArray[np.int32]
    height: npt.NDArray[np.int32]
    area: npt.NDArray[np.int32]
    regions: npt.NDArray[np.int32]
    dark: npt.NDArray[np.int32]
    bright: npt.NDArray[np.int32]


def locate(
    residual: npt.NDArray[np.float32],
    maps: npt.NDArray[np.float32],
    part: npt.NDArray[np.bool_],
    limit: float = np.inf,
) -> Defect:
    """Score each evidence map, and follow what it points at to its outline.

    The residual is followed from the peak, and from every region with evidence at the limit or beyond: over
    the pixels of one sign that have at least `REGION_SHARE` of what the strongest one of the region has.

    Parameters
    ----------
    residual
        What the evidence is of, (N, H, W): its outline is sharper.
    maps
        Evidence maps, (N, H, W).
    part
        Which pixels are the part, (H, W); the peak is sought inside.
    limit
        Evidence, over 0, from which on regions are counted.
    """
    found = np.empty((len(maps), 10), np.int32)
    highest = np.empty(len(maps), np.float32)
    outline = smooth(residual, half_gaussian(OUTLINE * max(residual.shape[1:])))
    _locate(outline, maps, part, REGION_SHARE, limit, highest, found)
    return Defect(highest, *found.T)


@compiled()
def _flood(
    values: Any, inside: Any, least: float, sign: float, seed: int, met: Any, mark: int, waiting: Any
) -> int:
    """Mark what is connected to a pixel by side, of its sign and at least so much; list it in `waiting`.

    Images are flat rows, so that a place is one number; returns how many pixels are listed.
    """
    height, width = values.shape
    waiting[0] = seed
    met[seed // width, seed % width] = mark
    at, held = 0, 1
    while at < held:
        y, x = waiting[at] // width, waiting[at] % width
        at += 1
        for dy, dx in ((-1, 0), (1, 0), (0, -1), (0, 1)):
            v, u = y + dy, x + dx
            if not (0 <= v < height and 0 <= u < width) or met[v, u] == mark:
                continue
            if inside[v, u] and sign * values[v, u] >= least:
                met[v, u] = mark
                waiting[held] = v * width + u
                held += 1
    return held


@compiled()
def _surround(waiting: Any, held: int, width: int, box: Any) -> None:
    """Widen a box, left, top, right and bottom, by the pixels that are listed."""
    for k in range(held):
        y, x = waiting[k] // width, waiting[k] % width
        box[0], box[1] = min(box[0], x), min(box[1], y)
        box[2], box[3] = max(box[2], x), max(box[3], y)


@compiled()
def _locate(outline: Any, maps: Any, part: Any, share: float, limit: float, highest: Any, found: Any) -> None:
    count, height, width = maps.shape
    waiting = np.empty(height * width, np.int64)
    followed = np.empty((height, width), np.bool_)
    counted = np.zeros((height, width), np.int64)
    met, marks = np.zeros((height, width), np.int64), np.zeros(1, np.int64)
    box = np.empty(4, np.int64)
    weight = part.astype(np.float32)
    for n in range(count):
        peak = _peak(maps[n], part, weight)
        most = abs(maps[n].flat[peak])
        highest[n] = most if part.flat[peak] else np.float32(0)
        found[n, 0], found[n, 1] = peak % width, peak // width
        box[0], box[1], box[2], box[3] = width, height, -1, -1
        followed[:] = False
        found[n, 6] = _follow(outline[n], part, share, peak, followed, (met, marks), waiting, box)
        found[n, 7:] = 0
        if most >= limit:
            for seed in range(height * width):
                if part.flat[seed] and abs(maps[n].flat[seed]) >= limit and counted.flat[seed] <= n:
                    sign = np.float32(-1 if maps[n].flat[seed] < 0 else 1)
                    held = _flood(maps[n], part, limit, sign, seed, counted, n + 1, waiting)
                    found[n, 7] += 1
                    found[n, 8 if sign < 0 else 9] += held
                    best = _strongest(outline[n], sign, waiting, held)
                    if not followed.flat[best]:
                        found[n, 6] += _follow(
                            outline[n], part, share, best, followed, (met, marks), waiting, box
                        )
        found[n, 2], found[n, 3] = box[0], box[1]
        found[n, 4], found[n, 5] = box[2] - box[0] + 1, box[3] - box[1] + 1


@compiled()
def _peak(evidence: Any, part: Any, weight: Any) -> int:
    """Find the first pixel of the part with the most evidence, its place as one number; 0 without a part."""
    most, best = np.float32(0), 0
    height, width = evidence.shape
    for y in range(height):
        highest = _highest(evidence[y], weight[y])
        if highest > most:
            most, best = highest, y
    for place in range(best * width, height * width):
        if part.flat[place] and abs(evidence.flat[place]) == most:
            return place
    return 0


@compiled(fastmath={"nnan", "nsz", "reassoc"})
def _highest(evidence: Any, weight: Any) -> Any:
    """Find the most evidence of a row where its weight is 1: in any order, so that the loop vectorises."""
    most = np.float32(0)
    for x in range(evidence.size):
        most = max(most, abs(evidence[x]) * weight[x])
    return most


@compiled()
def _strongest(outline: Any, sign: float, waiting: Any, held: int) -> int:
    """Find which of the listed pixels has most of a sign."""
    best = waiting[0]
    for k in range(held):
        if sign * outline.flat[waiting[k]] > sign * outline.flat[best]:
            best = waiting[k]
    return int(best)


@compiled()
def _follow(
    outline: Any, part: Any, share: float, seed: int, followed: Any, marked: Any, waiting: Any, box: Any
) -> int:
    """Follow the residual from a pixel, widen the box by it, and count the pixels that are new."""
    value = outline.flat[seed]
    sign = np.float32(-1 if value < 0 else 1)
    met, marks = marked
    marks[0] += 1
    held = _flood(outline, part, share * abs(value), sign, seed, met, marks[0], waiting)
    _surround(waiting, held, outline.shape[1], box)
    new = 0
    for k in range(held):
        new += not followed.flat[waiting[k]]
        followed.flat[waiting[k]] = True
    return new
