"""Reduces images by means of squares of pixels."""

from typing import Any

import numpy as np
import numpy.typing as npt

from dice_core.compiled import compiled, index

PAIRS = 2
"""The factor most images are reduced by; loops that are told it as a constant are vectorised."""


def reduce(images: npt.NDArray[Any], factor: int) -> npt.NDArray[np.float32]:
    """Take means of squares of `factor` pixels, (N, H, W) to float32 (N, H / factor, W / factor), rounded up.

    Where the last squares reach beyond the image its outermost pixels go on.
    """
    if factor == 1:
        return images.astype(np.float32, copy=False)
    return _reduced(images, factor, np.float32, 0)


def shrink(images: npt.NDArray[np.uint8], factor: int) -> npt.NDArray[np.uint8]:
    """Reduce images, (N, H, W), as `reduce` does, rounded to whole grey levels."""
    return images if factor == 1 else _reduced(images, factor, np.uint8, 0.5)


def _reduced(images: npt.NDArray[Any], factor: int, kind: type[Any], rounding: float) -> npt.NDArray[Any]:
    beyond = [(0, -side % factor) for side in images.shape[1:]]
    filled = np.pad(images, [(0, 0), *beyond], mode="edge") if any(more for _, more in beyond) else images
    reduced = np.empty((len(images), *(side // factor for side in filled.shape[1:])), kind)
    _reduce(np.ascontiguousarray(filled), factor, np.float32(rounding), reduced)
    return reduced


@compiled()
def _reduce(images: Any, factor: int, rounding: Any, reduced: Any) -> None:
    sums = np.empty(factor * reduced.shape[2], np.float32)
    for n in range(len(images)):
        reduce_image(images[n], factor, rounding, sums, reduced[n])


@compiled(fastmath={"contract"})
def reduce_image(image: Any, factor: int, rounding: Any, sums: Any, reduced: Any) -> None:
    """Write one reduced image, for callers that are compiled themselves; beyond the image there are zeros.

    The sums are room for a row of `factor` times the reduced width. A half is added where bytes are to be
    written, which cut what is behind the point.
    """
    height, width = image.shape
    share = np.float32(1 / factor**2)
    step = index(factor)
    for row in range(len(reduced)):
        line = reduced[row]
        if factor == PAIRS and PAIRS * row + 1 < height and sums.size == width:
            _add_pair(image, index(PAIRS * row), sums)
        else:
            sums[:] = 0
            for y in range(factor * row, min(factor * (row + 1), height)):
                for x in range(min(width, sums.size)):
                    sums[x] += image[y, x]
        if factor == PAIRS:  # a stride that the compiler knows is vectorised
            for x in range(index(line.size)):
                line[x] = (sums[index(2) * x] + sums[index(2) * x + index(1)]) * share + rounding
        else:
            for x in range(index(line.size)):
                total = sums[step * x]
                for beside in range(index(1), step):
                    total += sums[step * x + beside]
                line[x] = total * share + rounding


@compiled()
def _add_pair(image: Any, row: Any, sums: Any) -> None:
    """Add two rows that are whole, in one pass where others take three."""
    for x in range(index(sums.size)):
        sums[x] = np.float32(image[row, x]) + np.float32(image[row + index(1), x])
