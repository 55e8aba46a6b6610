"""Evens the light of a photograph: one gain to a reference level, and a ceiling that cuts highlights.

A reflection is brighter than anything the part itself shows, moves with the light and says nothing about
the part. Cut at the level of the part's own brightest surface it is gone, while everything darker than that
surface, which is where dirt, scratches and missing print show, stays as it was.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from dice_core.compiled import compiled

LEVEL_QUANTILE = 0.8
"""Quantile of the part's pixels that the gain is taken from: bright, and yet under most reflections."""
CONTRAST_KEPT = 0.99
"""Share of the template's variance that the ceiling must leave."""
HEADROOM = 1.02
"""The ceiling over the level so found: room for noise."""
LEAST_CEILING = 200.0
"""Grey level under which nothing is taken for a reflection: on a dark part a bright spot is a defect."""

GAIN_LIMIT = 2.0
"""Largest gain, and its inverse the smallest: what is darker or brighter still is not evened away."""

_MOST_ROWS = 255


@dataclass(frozen=True)
class Exposure:
    """How one face is evened.

    Attributes
    ----------
    level
        Grey level (0..255) that the `LEVEL_QUANTILE` of the part's pixels is brought to.
    ceiling
        Grey level (0..255), after the gain, above which everything is cut.
    """

    level: float
    ceiling: float

    @classmethod
    def of(cls, mean: npt.NDArray[np.float32], part: npt.NDArray[np.bool_]) -> "Exposure":
        """Derive level and ceiling from a mean template.

        The ceiling is the lowest level that keeps `CONTRAST_KEPT` of the template's variance inside the
        part, so that a part whose bright features carry its pattern keeps them.

        Parameters
        ----------
        mean
            Mean template, (H, W), grey levels 0..255.
        part
            Which pixels are the part, (H, W).
        """
        values = mean[part].astype(np.float64)
        level = float(np.quantile(values, LEVEL_QUANTILE))
        wanted = CONTRAST_KEPT * values.var()
        kept = (
            ceiling
            for ceiling in np.linspace(level, values.max(), 32)
            if np.minimum(values, ceiling).var() >= wanted
        )
        ceiling = HEADROOM * float(next(kept, values.max()))
        return cls(level=level, ceiling=max(ceiling, LEAST_CEILING))


def even(
    images: npt.NDArray[np.uint8], part: npt.NDArray[np.bool_], exposure: Exposure
) -> npt.NDArray[np.float32]:
    """Bring images to the reference level and cut their highlights.

    Parameters
    ----------
    images
        Photographs, (N, H, W).
    part
        Which pixels are the part, (H, W).
    exposure
        The face's level and ceiling.

    Returns
    -------
    ndarray
        float32 (N, H, W), grey levels 0..``exposure.ceiling``.
    """
    evened = np.empty(images.shape, np.float32)
    _even(images, part.view(np.uint8), LEVEL_QUANTILE, exposure.level, exposure.ceiling, evened)
    return evened


def gains(
    images: npt.NDArray[np.uint8], evened: npt.NDArray[np.float32], exposure: Exposure
) -> npt.NDArray[np.float64]:
    """Tell what the light of each image was multiplied by, (N,): 1 where none of it is below the ceiling."""
    kept = (evened < exposure.ceiling) & (images > 0)
    before, after = (
        np.where(kept, shown, 0).sum(axis=(1, 2), dtype=np.float64) for shown in (images, evened)
    )
    return np.asarray(np.divide(after, before, out=np.ones(len(images)), where=before > 0))


@compiled()
def _even(images: Any, part: Any, quantile: float, level: float, ceiling: float, evened: Any) -> None:
    count, height, width = images.shape
    pixels = 0
    for inside in part.flat:
        pixels += inside
    counts = np.empty(width, np.uint8)
    for n in range(count):
        own = _grey_at(images[n], part, quantile, pixels, counts)
        gain = np.float32(min(max(level / max(own, 1.0), 1.0 / GAIN_LIMIT), GAIN_LIMIT))
        most = np.float32(ceiling)
        for y in range(height):
            for x in range(width):
                evened[n, y, x] = min(np.float32(images[n, y, x]) * gain, most)


@compiled()
def _grey_at(image: Any, part: Any, quantile: float, pixels: int, counts: Any) -> float:
    """Find a quantile of the part's pixels.

    Interpolated within the grey level, so that the gain does not jump by whole levels.
    """
    rank = quantile * pixels
    grey, below, up_to = 0, 0, pixels
    # The highest level with fewer pixels under it, bit by bit: quicker than a histogram.
    for bit in (128, 64, 32, 16, 8, 4, 2, 1):
        under = _count_under(image, part, grey + bit, counts)
        if under < rank:
            grey, below = grey + bit, under
        else:
            up_to = under
    return grey - 0.5 + (rank - below) / max(up_to - below, 1)


@compiled()
def _count_under(image: Any, part: Any, grey: int, counts: Any) -> int:
    """Count the part's pixels that are darker than a grey level."""
    limit = np.uint8(grey)
    total = 0
    # Bytes are counted in bytes, which hold so many rows.
    for first in range(0, image.shape[0], _MOST_ROWS):
        counts[:] = 0
        for y in range(first, min(first + _MOST_ROWS, image.shape[0])):
            for x in range(image.shape[1]):
                counts[x] += (image[y, x] < limit) & part[y, x]
        for x in range(counts.size):
            total += counts[x]
    return total
