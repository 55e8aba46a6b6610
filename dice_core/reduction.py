"""Reduces images by means of squares of pixels."""

from typing import Any

import numpy as np
import numpy.typing as npt

from dice_core.compiled import compiled

_index = np.uintp  # Without a sign: numba would look for negative indices in every turn of a loop.
_PAIRS = 2


def reduce(images: npt.NDArray[Any], factor: int) -> npt.NDArray[np.float32]:
    """Take means of squares of `factor` pixels, (N, H, W) to (N, H // factor, W // factor)."""
    if factor == 1:
        return images
    reduced = np.empty((len(images), *(side // factor for side in images.shape[1:])), np.float32)
    _reduce(images, factor, reduced)
    return reduced


@compiled()
def _reduce(images: Any, factor: int, reduced: Any) -> None:
    sums = np.empty(factor * reduced.shape[2], np.float32)
    for n in range(len(images)):
        reduce_image(images[n], factor, sums, reduced[n])


@compiled(fastmath={"contract"})
def reduce_image(image: Any, factor: int, sums: Any, reduced: Any) -> None:
    """Write one reduced image, for callers that are compiled themselves; beyond the image there are zeros.

    The sums are room for a row of `factor` times the reduced width.
    """
    height, width = image.shape
    share = np.float32(1 / factor**2)
    step = _index(factor)
    for row in range(len(reduced)):
        line = reduced[row]
        sums[:] = 0
        for y in range(factor * row, min(factor * (row + 1), height)):
            for x in range(min(width, sums.size)):
                sums[x] += image[y, x]
        if factor == _PAIRS:  # a stride that the compiler knows is vectorised
            for x in range(_index(line.size)):
                line[x] = (sums[_index(2) * x] + sums[_index(2) * x + _index(1)]) * share
        else:
            for x in range(_index(line.size)):
                total = sums[step * x]
                for beside in range(_index(1), step):
                    total += sums[step * x + beside]
                line[x] = total * share
