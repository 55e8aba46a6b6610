"""Residual: what of an image its own rebuilt template does not explain, in units of the good images' spread.

The rebuilt template is the face's mean plus the image's projection on the face's variation templates, its
principal components (Turk and Pentland, "Eigenfaces for recognition", 1991). A defect is not among the
variations of good parts, so it stays in the difference.
"""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import ndimage

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
    centred = (images - centre).reshape(len(images), -1)
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
    inside = np.where(part, maps, np.float32(0))
    found = np.empty((len(maps), 5), np.int32)
    for evidence, box in zip(inside, found, strict=True):
        at = np.unravel_index(evidence.argmax(), evidence.shape)
        labels, _ = ndimage.label(evidence >= REGION_SHARE * evidence[at])
        rows, columns = np.nonzero(labels == labels[at])
        box[:] = (
            columns.min(),
            rows.min(),
            columns.max() - columns.min() + 1,
            rows.max() - rows.min() + 1,
            rows.size,
        )
    return Defect(peak(maps, part), *found.T)


@compiled(fastmath={"contract"})
def _smooth_squares(residual: Any, per_dark: Any, per_bright: Any, kernel: Any, maps: Any) -> None:
    count, height, width = residual.shape
    radius = kernel.size // 2
    # Zeros around the image: nothing is known there, so nothing is held against it.
    padded = np.zeros((height + 2 * radius, width + 2 * radius), np.float32)
    rows = np.empty(width + 2 * radius, np.float32)
    for n in range(count):
        for y in range(height):
            for x in range(width):
                value = residual[n, y, x]
                value *= per_dark[y, x] if value < 0 else per_bright[y, x]
                padded[y + radius, x + radius] = value * value
        for y in range(height):
            rows[:] = 0
            for k in range(kernel.size):
                rows += kernel[k] * padded[y + k]
            maps[n, y] = 0
            for k in range(kernel.size):
                maps[n, y] += kernel[k] * rows[k : k + width]
