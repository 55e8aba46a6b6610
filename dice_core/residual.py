"""Residual: what of an image its own rebuilt template does not explain, in units of the good images' spread.

The rebuilt template is the face's mean plus the image's projection on the face's variation templates, its
principal components (Turk and Pentland, "Eigenfaces for recognition", 1991). A defect is not among the
variations of good parts, so it stays in the difference.
"""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from dice_core.compiled import compiled

SMOOTHING = 1.5 / 128
"""Standard deviation of the Gaussian that gathers a defect's evidence, in shares of the longer side."""

REGION_SHARE = 0.5
"""A defect's region is where the smoothed square is at least this share of its peak."""


class Defect(NamedTuple):
    """Where and how much images differ from their rebuilt templates; arrays of (N,), pixels of the map."""

    score: npt.NDArray[np.float32]
    x: npt.NDArray[np.int32]
    y: npt.NDArray[np.int32]
    width: npt.NDArray[np.int32]
    height: npt.NDArray[np.int32]
    area: npt.NDArray[np.int32]


def rebuild(
    images: npt.NDArray[np.float32], centre: npt.NDArray[np.float32], components: npt.NDArray[np.float32]
) -> npt.NDArray[np.float32]:
    """Rebuild each image's own template from a face's mean and variation templates.

    Parameters
    ----------
    images
        Evened images, (N, H, W).
    centre
        The face's mean of evened images, (H, W).
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


def smooth_squares(
    residual: npt.NDArray[np.float32],
    spread_dark: npt.NDArray[np.float32],
    spread_bright: npt.NDArray[np.float32],
) -> npt.NDArray[np.float32]:
    """Square the residual in units of spread and smooth it: the evidence map.

    Parameters
    ----------
    residual
        Evened image minus rebuilt template, (N, H, W); negative where the image is too dark.
    spread_dark, spread_bright
        Root mean square of good images' negative and positive residuals, (H, W), same units, positive.

    Returns
    -------
    ndarray
        float32 (N, H, W), no unit, not negative; 1 is what good images show on average.
    """
    maps = np.empty_like(residual)
    kernel = gaussian_kernel(SMOOTHING * max(residual.shape[1:]))
    _smooth_squares(residual, 1 / spread_dark, 1 / spread_bright, kernel, maps)
    return maps


def gaussian_kernel(sigma: float) -> npt.NDArray[np.float32]:
    """Sample a Gaussian of standard deviation `sigma` pixels out to 3 sigma; its sum is 1."""
    radius = max(1, round(3 * sigma))
    weights = np.exp(-0.5 * (np.arange(-radius, radius + 1) / sigma) ** 2)
    return np.asarray(weights / weights.sum(), np.float32)


def peak(maps: npt.NDArray[np.float32], part: npt.NDArray[np.bool_]) -> npt.NDArray[np.float32]:
    """Take the root of each evidence map's highest value inside the part, (N,): the defect score."""
    return np.asarray(np.sqrt(maps[:, part].max(axis=1, initial=0)))


def locate(maps: npt.NDArray[np.float32], part: npt.NDArray[np.bool_]) -> Defect:
    """Score each evidence map and box the connected region around its peak.

    Parameters
    ----------
    maps
        Evidence maps, (N, H, W).
    part
        Which pixels are the part, (H, W); the peak is sought inside.

    Returns
    -------
    Defect
        Score, box and area of the region that holds the peak.
    """
    found = np.empty((len(maps), 5), np.int32)
    _locate(maps, part, REGION_SHARE, found)
    return Defect(peak(maps, part), *found.T)


@compiled()
def _locate(maps: Any, part: Any, share: float, found: Any) -> None:
    count, height, width = maps.shape
    met = np.full((height, width), -1, np.int64)
    waiting = np.empty((height * width, 2), np.int64)
    for n in range(count):
        evidence = maps[n]
        highest, top, left = np.float32(-1), 0, 0
        for y in range(height):
            for x in range(width):
                if part[y, x] and evidence[y, x] > highest:
                    highest, top, left = evidence[y, x], y, x
        # Flood from the peak over neighbours by side inside the part.
        least = share * highest
        waiting[0, 0], waiting[0, 1] = top, left
        met[top, left] = n
        held, area = 1, 0
        first_y, last_y, first_x, last_x = top, top, left, left
        while held:
            held -= 1
            area += 1
            y, x = waiting[held, 0], waiting[held, 1]
            first_y, last_y = min(first_y, y), max(last_y, y)
            first_x, last_x = min(first_x, x), max(last_x, x)
            for dy, dx in ((-1, 0), (1, 0), (0, -1), (0, 1)):
                v, u = y + dy, x + dx
                if 0 <= v < height and 0 <= u < width and met[v, u] != n:
                    met[v, u] = n
                    if part[v, u] and evidence[v, u] >= least:
                        waiting[held, 0], waiting[held, 1] = v, u
                        held += 1
        found[n, 0], found[n, 1] = first_x, first_y
        found[n, 2], found[n, 3] = last_x - first_x + 1, last_y - first_y + 1
        found[n, 4] = area


@compiled(fastmath={"contract"})
def _smooth_squares(residual: Any, per_dark: Any, per_bright: Any, kernel: Any, maps: Any) -> None:
    count, height, width = residual.shape
    radius = kernel.size // 2
    # Zeros around the image: nothing is known there, so nothing is held against it.
    squares = np.zeros((height + 2 * radius, width), np.float32)
    row = np.zeros(width + 2 * radius, np.float32)
    inner = row[radius : radius + width]
    for n in range(count):
        for y in range(height):
            values, dark, bright, square = residual[n, y], per_dark[y], per_bright[y], squares[y + radius]
            for x in range(width):
                value = values[x] * (dark[x] if values[x] < 0 else bright[x])
                square[x] = value * value
        for y in range(height):
            _weigh(squares[y:], kernel, inner)
            for x in range(width):
                maps[n, y, x] = 0
            for k in range(kernel.size):
                _add(row[k:], kernel[k], maps[n, y])


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
