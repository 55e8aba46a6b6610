"""Regions: where evidence against an image is, followed to its outline."""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from dice_core.compiled import compiled, index
from dice_core.gaussian import filter_rows, half_gaussian, room

OUTLINE = 1 / 128
"""Standard deviation of the Gaussian under which a region is followed, in shares of the longer side."""
REGION_SHARE = 0.3
"""A defect's region is where the residual is at least this share of that at the peak, and of its sign."""
_BAND = 8
"""Rows that are smoothed at a time."""


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

    @classmethod
    def room(cls, count: int) -> "Defect":
        """Make room for those of so many images."""
        return cls(np.empty(count, np.float32), *np.empty((len(cls._fields) - 1, count), np.int32))


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
    half = half_gaussian(OUTLINE * max(residual.shape[1:]))
    _locate(residual, half, maps, part, REGION_SHARE, limit, highest, found)
    return Defect(highest, *found.T)


@compiled()
def _flood(
    surface: Any, inside: Any, least: float, sign: float, seed: int, met: Any, mark: int, waiting: Any
) -> int:
    """Mark what is connected to a pixel by side, of its sign and at least so much; list it in `waiting`.

    Images are flat rows, so that a place is one number; returns how many pixels are listed.
    """
    values, drawn = surface[0], surface[1]
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
            if not drawn[v // _BAND]:
                _draw(surface, v)
            if inside[v, u] and sign * values[v, u] >= least:
                met[v, u] = mark
                waiting[held] = v * width + u
                held += 1
    return held


@compiled()
def _draw(surface: Any, y: int) -> None:
    """Smooth the residual about a row when it is first looked at: most regions are small."""
    values, drawn, residual, half, plane, lines = surface
    band = y // _BAND
    if not drawn[band]:
        first = band * _BAND
        filter_rows(residual, first, half, plane, lines, values[first : first + _BAND])
        drawn[band] = True


@compiled()
def _surround(waiting: Any, held: int, width: int, box: Any) -> None:
    """Widen a box, left, top, right and bottom, by the pixels that are listed."""
    for k in range(held):
        y, x = waiting[k] // width, waiting[k] % width
        box[0], box[1] = min(box[0], x), min(box[1], y)
        box[2], box[3] = max(box[2], x), max(box[3], y)


@compiled()
def _locate(
    residual: Any, half: Any, maps: Any, part: Any, share: float, limit: float, highest: Any, found: Any
) -> None:
    count, height, width = maps.shape
    waiting = np.empty(height * width, np.int64)
    followed = np.empty((height, width), np.bool_)
    counted = np.zeros((height, width), np.int32)
    met, marks = np.zeros((height, width), np.int32), np.zeros(1, np.int64)
    box = np.empty(4, np.int64)
    weight, columns = part.astype(np.float32), np.empty(width, np.float32)
    smoothed, drawn = np.empty((height, width), np.float32), np.empty(height // _BAND + 1, np.bool_)
    whole = np.ones(drawn.size, np.bool_)
    plane, lines = room(_BAND, width, half)
    for n in range(count):
        peak = _peak(maps[n], weight, columns)
        most = abs(maps[n].flat[peak])
        highest[n] = most if part.flat[peak] else np.float32(0)
        found[n, 0], found[n, 1] = peak % width, peak // width
        box[0], box[1], box[2], box[3] = width, height, -1, -1
        followed[:] = False
        drawn[:] = False
        outline = smoothed, drawn, residual[n], half, plane, lines
        found[n, 6] = _follow(outline, part, share, peak, followed, (met, marks), waiting, box)
        found[n, 7:] = 0
        if most >= limit:
            evidence = maps[n], whole, residual[n], half, plane, lines
            for seed in range(height * width):
                if part.flat[seed] and abs(maps[n].flat[seed]) >= limit and counted.flat[seed] <= n:
                    sign = np.float32(-1 if maps[n].flat[seed] < 0 else 1)
                    held = _flood(evidence, part, limit, sign, seed, counted, n + 1, waiting)
                    found[n, 7] += 1
                    found[n, 8 if sign < 0 else 9] += held
                    best = _strongest(outline, sign, waiting, held)
                    if not followed.flat[best]:
                        found[n, 6] += _follow(
                            outline, part, share, best, followed, (met, marks), waiting, box
                        )
        found[n, 2], found[n, 3] = box[0], box[1]
        found[n, 4], found[n, 5] = box[2] - box[0] + 1, box[3] - box[1] + 1


@compiled(fastmath={"nnan", "nsz"})
def _peak(evidence: Any, weight: Any, highest: Any) -> int:
    """Find the first pixel of the part with the most evidence, its place as one number; 0 without any."""
    height, width = evidence.shape
    highest[:] = 0
    # Column by column, so that the loop vectorises.
    for y in range(index(height)):
        for x in range(index(width)):
            highest[x] = max(highest[x], abs(evidence[y, x]) * weight[y, x])
    most = highest.max()
    first = 0 if most == 0 else height * width
    for x in range(width):
        if highest[x] == most:
            for y in range(first // width + 1):
                if abs(evidence[y, x]) * weight[y, x] == most:
                    first = min(first, y * width + x)
                    break
    return int(first)


@compiled()
def _strongest(outline: Any, sign: float, waiting: Any, held: int) -> int:
    """Find which of the listed pixels has most of a sign."""
    values = outline[0]
    best = waiting[0]
    for k in range(held):
        _draw(outline, waiting[k] // values.shape[1])
        if sign * values.flat[waiting[k]] > sign * values.flat[best]:
            best = waiting[k]
    return int(best)


@compiled()
def _follow(
    outline: Any, part: Any, share: float, seed: int, followed: Any, marked: Any, waiting: Any, box: Any
) -> int:
    """Follow the residual from a pixel, widen the box by it, and count the pixels that are new."""
    values = outline[0]
    _draw(outline, seed // values.shape[1])
    value = values.flat[seed]
    sign = np.float32(-1 if value < 0 else 1)
    met, marks = marked
    marks[0] += 1
    held = _flood(outline, part, share * abs(value), sign, seed, met, marks[0], waiting)
    _surround(waiting, held, values.shape[1], box)
    new = 0
    for k in range(held):
        new += not followed.flat[waiting[k]]
        followed.flat[waiting[k]] = True
    return new
