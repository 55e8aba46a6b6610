"""Reduces images by means of squares of pixels."""

from typing import Any

import numpy as np
import numpy.typing as npt

from dice_core.compiled import compiled

_index = np.uintp  # Without a sign: numba would look for negative indices in every turn of a loop.
_PAIRS = 2


def reduce(images: npt.NDArray[Any], factor: int) -> npt.NDArray[np.float32]:
    """Take means of squares of `factor` pixels, (N, H, W) to float32 (N, H / factor, W / factor), rounded up.

    Where the last squares reach beyond the image its outermost pixels go on.
    """
    if factor == 1:
        return images.astype(np.float32, copy=False)
    images = _filled_up(images, factor)
    reduced = np.empty((len(images), *(side // factor for side in images.shape[1:])), np.float32)
    _reduce(images, factor, reduced)
    return reduced


def shrink(images: npt.NDArray[np.uint8], factor: int) -> npt.NDArray[np.uint8]:
    """Reduce images as `reduce` does, to whole grey levels."""
    if factor == 1:
        return images
    images = _filled_up(images, factor)
    small = np.empty((len(images), *(side // factor for side in images.shape[1:])), np.uint8)
    _shrink(images, factor, small)
    return small


def _filled_up(images: npt.NDArray[Any], factor: int) -> npt.NDArray[Any]:
    beyond = [(0, -side % factor) for side in images.shape[1:]]
    filled = np.pad(images, [(0, 0), *beyond], mode="edge") if any(more for _, more in beyond) else images
    return np.ascontiguousarray(filled)


@compiled()
def _shrink(images: Any, factor: int, small: Any) -> None:
    step, area = _index(factor), np.uint32(factor**2)
    columns = _index(small.shape[2])
    sums = np.empty(factor * small.shape[2], np.uint32)
    for n in range(_index(len(images))):
        for row in range(_index(small.shape[1])):
            sums[:] = 0
            for y in range(step * row, step * (row + _index(1))):
                for x in range(_index(sums.size)):
                    sums[x] += images[n, y, x]
            if factor == _PAIRS:  # a stride that the compiler knows is vectorised
                for x in range(columns):
                    at = _index(2) * x
                    small[n, row, x] = (sums[at] + sums[at + _index(1)] + np.uint32(2)) >> np.uint32(2)
            else:
                for x in range(columns):
                    total = area >> np.uint32(1)
                    for beside in range(step):
                        total += sums[step * x + beside]
                    small[n, row, x] = total // area


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
