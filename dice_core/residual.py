"""Residual: what of an image its own rebuilt template does not explain, in units of the good images' spread.

The rebuilt template is the face's mean plus the image's projection on the face's variation templates, its
principal components (Turk and Pentland, "Eigenfaces for recognition", 1991). A defect is not among the
variations of good parts, so it stays in the difference.
"""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from dice_core.compiled import compiled

SMOOTHING = 1.75 / 128
"""Standard deviation of the Gaussian that gathers a defect's evidence, in shares of the longer side."""
SURROUND = 6 / 128
"""That of the surroundings which it is compared with: what changes more slowly than this is light."""
OUTLINE = 1 / 128
"""That of the Gaussian under which a defect's region is followed."""

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


def rebuild(
    images: npt.NDArray[np.float32], centre: npt.NDArray[np.float32], components: npt.NDArray[np.float32]
) -> npt.NDArray[np.float32]:
    """Rebuild each image's own template from a face's mean and variation templates.

    Parameters
    ----------
    images
        Evened and aligned images, (N, H, W).
    centre
        The face's mean of such images, (H, W).
    components
        Orthonormal variation templates, (K, H * W).

    Returns
    -------
    ndarray
        float32 (N, H, W), in the units of `images`.
    """
    centred = (images - centre).reshape(len(images), centre.size)
    explained = np.asarray(centred @ components.T @ components, np.float32)
    return explained.reshape(images.shape) + centre


def band_pass(residual: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Smooth the residual, less its surroundings: a difference of Gaussians, (N, H, W), grey levels.

    What is as wide as a light's gradient goes, what is as small as a grain is averaged away, and an edge that
    lies a little beside its place, dark on one side and bright on the other, cancels (Marr and Hildreth,
    Proc. Royal Society B 207, 1980). Where only the surroundings differ the pixel itself does not, and has
    nothing. Beyond the image the residual is 0.
    """
    side = max(residual.shape[1:])
    passed = np.empty_like(residual)
    _band_pass(residual, gaussian_kernel(SMOOTHING * side), gaussian_kernel(SURROUND * side), passed)
    return passed


def evidence(
    residual: npt.NDArray[np.float32],
    spread_dark: npt.NDArray[np.float32],
    spread_bright: npt.NDArray[np.float32],
) -> npt.NDArray[np.float32]:
    """Give the band-passed residual in units of what good images show at that place.

    Parameters
    ----------
    residual
        Aligned image minus rebuilt template, (N, H, W); negative where the image is too dark.
    spread_dark, spread_bright
        Root mean square of good images' negative and positive band-passed residuals, (H, W), same units,
        positive.

    Returns
    -------
    ndarray
        float32 (N, H, W), no unit; negative where the image is too dark.
    """
    passed = band_pass(residual)
    return np.asarray(passed * np.where(passed < 0, 1 / spread_dark, 1 / spread_bright), np.float32)


def gaussian_kernel(sigma: float) -> npt.NDArray[np.float32]:
    """Sample a Gaussian of standard deviation `sigma` pixels out to 3 sigma; its sum is 1."""
    radius = max(1, round(3 * sigma))
    weights = np.exp(-0.5 * (np.arange(-radius, radius + 1) / sigma) ** 2)
    return np.asarray(weights / weights.sum(), np.float32)


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
    outline = np.empty_like(residual)
    _smooth(residual, gaussian_kernel(OUTLINE * max(residual.shape[1:])), outline)
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
    met = np.zeros((height, width), np.int64)
    box = np.empty(4, np.int64)
    for n in range(count):
        peak = _peak(maps[n], part)
        most = abs(maps[n].flat[peak])
        highest[n] = most if part.flat[peak] else np.float32(0)
        found[n, 0], found[n, 1] = peak % width, peak // width
        box[0], box[1], box[2], box[3] = width, height, -1, -1
        followed[:] = False
        found[n, 6] = _follow(outline[n], part, share, peak, followed, met, waiting, box)
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
                        found[n, 6] += _follow(outline[n], part, share, best, followed, met, waiting, box)
        found[n, 2], found[n, 3] = box[0], box[1]
        found[n, 4], found[n, 5] = box[2] - box[0] + 1, box[3] - box[1] + 1


@compiled()
def _peak(evidence: Any, part: Any) -> int:
    """Find the pixel of the part with the most evidence, its place as one number; 0 without a part."""
    most, peak = np.float32(-1), 0
    height, width = evidence.shape
    for y in range(height):
        for x in range(width):
            if part[y, x] and abs(evidence[y, x]) > most:
                most, peak = abs(evidence[y, x]), y * width + x
    return peak


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
    outline: Any, part: Any, share: float, seed: int, followed: Any, met: Any, waiting: Any, box: Any
) -> int:
    """Follow the residual from a pixel, widen the box by it, and count the pixels that are new."""
    value = outline.flat[seed]
    sign = np.float32(-1 if value < 0 else 1)
    mark = met.max() + 1
    held = _flood(outline, part, share * abs(value), sign, seed, met, mark, waiting)
    _surround(waiting, held, outline.shape[1], box)
    new = 0
    for k in range(held):
        new += not followed.flat[waiting[k]]
        followed.flat[waiting[k]] = True
    return new


@compiled(fastmath={"contract"})
def _smooth(images: Any, kernel: Any, smooth: Any) -> None:
    count, height, width = images.shape
    radius = kernel.size // 2
    # Zeros around the image: nothing is known there, so nothing is held against it.
    framed = np.zeros((height + 2 * radius, width), np.float32)
    row = np.zeros(width + 2 * radius, np.float32)
    inner = row[radius : radius + width]
    for n in range(count):
        framed[radius : radius + height] = images[n]
        for y in range(height):
            _weigh(framed[y:], kernel, inner)
            for x in range(width):
                smooth[n, y, x] = 0
            for k in range(kernel.size):
                _add(row[k:], kernel[k], smooth[n, y])


@compiled(fastmath={"contract"})
def _band_pass(images: Any, narrow: Any, wide: Any, passed: Any) -> None:
    surroundings = np.empty((1, *images.shape[1:]), np.float32)
    for n in range(len(images)):
        _smooth(images[n : n + 1], narrow, passed[n : n + 1])
        _smooth(images[n : n + 1], wide, surroundings)
        for y in range(images.shape[1]):
            for x in range(images.shape[2]):
                own = passed[n, y, x]
                less = own - surroundings[0, y, x]
                if own < 0:
                    passed[n, y, x] = min(max(less, own), np.float32(0))
                else:
                    passed[n, y, x] = max(min(less, own), np.float32(0))


@compiled(fastmath={"contract"})
def _weigh(rows: Any, kernel: Any, result: Any) -> None:
    for x in range(result.size):
        result[x] = 0
    for k in range(kernel.size):
        _add(rows[k], kernel[k], result)


@compiled(fastmath={"contract"})
def _add(values: Any, weight: Any, result: Any) -> None:
    # A loop of its own, over what begins at zero, is one the compiler vectorises.
    for x in range(result.size):
        result[x] += weight * values[x]
