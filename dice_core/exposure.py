"""Evens the light of a photograph: one gain to a reference level, and a ceiling that cuts highlights.

A reflection is brighter than anything the part itself shows, moves with the light and says nothing about
the part. Cut at the level of the part's own brightest surface it is gone, while everything darker than that
surface, which is where dirt, scratches and missing print show, stays as it was.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from dice_core.compiled import compiled, index
from dice_core.reduction import PAIRS, shrink

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


class Evened(NamedTuple):
    """Images of one face in its own light.

    Attributes
    ----------
    squares
        Means of squares at every pixel, grey levels 0..ceiling, as `dice_core.affine.lay` takes them.
    gain
        What the light was multiplied by, (N,).
    """

    squares: npt.NDArray[np.float32]
    gain: npt.NDArray[np.float32]

    @property
    def reduced(self) -> npt.NDArray[np.float32]:
        """The images on their grid, unmoved: (N, H, W)."""
        return np.ascontiguousarray(self.squares[:, 0, :: self.squares.shape[1]])


def even(
    images: npt.NDArray[np.uint8],
    part: npt.NDArray[np.bool_],
    exposure: Exposure,
    small: npt.NDArray[np.uint8] | None = None,
) -> Evened:
    """Bring images to the reference level and cut their highlights.

    Parameters
    ----------
    images
        Photographs, (N, H, W).
    part
        Which places of the images' grid are the part.
    exposure
        The face's level and ceiling.
    small
        The images on their grid, as `dice_core.reduction.shrink` makes them, where they are at hand.

    Raises
    ------
    ValueError
        Where the part is of a grid that is not theirs.
    """
    _, height, width = images.shape
    rows, columns = part.shape
    factor = -(-height // rows)
    if -(-height // factor) != rows or -(-width // factor) != columns:
        raise ValueError(f"a part of {rows}x{columns} places is not of images of {height}x{width}")
    squares = np.empty((len(images), factor, factor * (rows - 1) + 1, columns), np.float32)
    gain = np.empty(len(images), np.float32)
    small = shrink(images, factor) if small is None else small
    own = (part.view(np.uint8), LEVEL_QUANTILE, exposure.level, exposure.ceiling)
    _even(images, small, own, squares, gain)
    return Evened(squares, gain)


@compiled()
def _even(images: Any, small: Any, own: Any, squares: Any, gains: Any) -> None:
    part, quantile, level, ceiling = own
    columns = part.shape[1]
    pixels = 0
    for inside in part.flat:
        pixels += inside
    factor = squares.shape[1]
    counts, sums = np.empty(columns, np.uint8), np.empty(factor * (columns + 1), np.float32)
    for n in range(len(images)):
        bright = _grey_at(small[n], part, quantile, pixels, counts)
        gains[n] = min(max(level / max(bright, 1.0), 1.0 / GAIN_LIMIT), GAIN_LIMIT)
        _light(images[n], gains[n], np.float32(ceiling), sums, squares[n])


@compiled(fastmath={"contract"})
def _light(image: Any, gain: Any, ceiling: Any, sums: Any, squares: Any) -> None:
    """Multiply, cut, and take means of the squares that begin at each pixel; the sums are room for a row."""
    width, factor = index(image.shape[1]), len(squares)
    share = np.float32(1 / factor**2)
    gain, most = gain * share, ceiling * share
    for top in range(index(squares.shape[1])):
        if factor == PAIRS:
            _add_pairs(image, top, gain, most, sums)
        else:
            sums[:] = 0
            for y in range(top, top + index(factor)):
                under = min(y, index(image.shape[0] - 1))
                for x in range(width):
                    sums[x] += min(np.float32(image[under, x]) * gain, most)
        for x in range(width, index(sums.size)):
            sums[x] = sums[width - index(1)]
        _close_squares(sums, top, squares)


@compiled(fastmath={"contract"})
def _add_pairs(image: Any, top: Any, gain: Any, most: Any, sums: Any) -> None:
    """Add two rows, as most images need: a factor that the compiler knows is vectorised."""
    under = min(top + index(1), index(image.shape[0] - 1))
    for x in range(index(image.shape[1])):
        sums[x] = min(np.float32(image[top, x]) * gain, most) + min(np.float32(image[under, x]) * gain, most)


@compiled()
def _close_squares(sums: Any, top: Any, squares: Any) -> None:
    """Add up the columns of squares that begin in one row."""
    factor, columns = index(squares.shape[0]), index(squares.shape[2])
    if len(squares) == PAIRS:
        for x in range(columns):
            at = index(2) * x
            squares[0, top, x] = sums[at] + sums[at + index(1)]
            squares[1, top, x] = sums[at + index(1)] + sums[at + index(2)]
        return
    for phase in range(factor):
        for x in range(columns):
            total = np.float32(0)
            for beside in range(factor):
                total += sums[factor * x + phase + beside]
            squares[phase, top, x] = total


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
    height, width = index(image.shape[0]), index(image.shape[1])
    # Bytes are counted in bytes, which hold so many rows.
    for first in range(index(0), height, index(_MOST_ROWS)):
        counts[:] = 0
        for y in range(first, min(first + index(_MOST_ROWS), height)):
            for x in range(width):
                counts[x] += (image[y, x] < limit) & part[y, x]
        for x in range(width):
            total += counts[x]
    return total
