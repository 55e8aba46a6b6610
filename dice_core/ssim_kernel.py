"""The compiled loops of mean structural similarity, in the precision of the slabs they are given.

Variances are small differences of large squares. Single precision bears that in a mean over many windows:
grey values are centred, and plain areas, where errors would not cancel, are filtered without any. Of single
windows it is wrong by up to 1e-4, which is why maps have loops of their own.

Of what the formula calls (co)variances half is held: it saves the loops a product.

Images are cut into slabs of a few rows of a strip, with all that is known of them, one after the other: the
pixels; what a window at each place sees of them, that is their mean; and half their variance, infinite where
no window lies inside, which leaves such places no weight.
"""

from typing import Any

import numpy as np

from dice_core.compiled import compiled, index
from dice_core.ssim_product import COLUMNS, LINE, ROWS, STRIDE, average, sum_of, whole_lines
from dice_core.ssim_window import WIDEST, contracted

SLAB = 16  # rows of windows: few enough for slabs of `FEW` images to stay in the second cache
FEW = 32  # images that pass while a reference image's slab, which comes from afar, stays in the first
MEAN = (SLAB + WIDEST - 1) * STRIDE  # places in a slab
SPREAD = MEAN + SLAB * STRIDE
SIZE = SPREAD + SLAB * STRIDE

_C1 = np.float32((0.01 * 255) ** 2 / 2)
_C2 = np.float32((0.03 * 255) ** 2 / 2)
_HALF = np.float32(0.5)


@compiled()
def _times(one: Any, other: Any) -> Any:
    """Round the product, as that of pixels was before it was filtered: over plain areas the two are equal."""
    return one * other


@contracted
def _middle_of(image: Any) -> Any:
    """Take the middle of the image's range, as a whole number: squares of uint8 less that are exact."""
    least, most = image[0].copy(), image[0].copy()
    for row in range(1, len(image)):
        pixels = image[row]
        for column in range(len(pixels)):
            least[column] = min(least[column], pixels[column])
            most[column] = max(most[column], pixels[column])
    return np.rint((np.float64(least.min()) + np.float64(most.max())) / 2)


@contracted
def _lay(image: Any, middle: Any, top: int, left: int, broad: int, slab: Any, first: int) -> None:
    """Centre the pixels of a slab and fill it up with zeros."""
    for row in range(SLAB + WIDEST - 1):
        at, down = index(first + row * STRIDE), index(top + row)
        width = min(broad, image.shape[1] - left) if top + row < len(image) else 0
        for column in range(index(width)):
            slab[at + column] = image[down, index(left) + column] - middle
        for column in range(index(width), index(broad)):
            slab[at + column] = 0


@contracted
def _close(x: Any, xx: Any, covariance: Any, width: int, slab: Any, first: Any) -> None:
    half = covariance * _HALF
    for row in range(index(ROWS)):
        for column in range(index(width)):
            at = row * index(STRIDE) + column
            slab[first + index(MEAN) + at] = x[at]
            # Half of the constant here, half from the other image.
            slab[first + index(SPREAD) + at] = half * (xx[at] - _times(x[at], x[at])) + _HALF * _C2


@contracted
def _fill(image: Any, middle: Any, top: int, left: int, tools: Any, slab: Any, first: int) -> None:
    """Write the slab of an image whose first window is so far from the top and the left."""
    kernel, (between, x, xx) = tools
    high, wide = image.shape[0] - 2 * kernel[2] - top, image.shape[1] - 2 * kernel[2] - left
    wide = min(COLUMNS, wide)
    broad = whole_lines(wide)
    _lay(image, middle, top, left, min(broad + 2 * LINE, STRIDE), slab, first)
    for row in range(0, min(SLAB, high), ROWS):
        at = first + row * STRIDE
        average(slab, at, None, 0, kernel, wide, between, x)
        average(slab, at, slab, at, kernel, wide, between, xx)
        _close(x, xx, kernel[3], broad, slab, index(at))
    for row in range(SLAB):
        line = index(first + SPREAD + row * STRIDE)
        for column in range(index(wide if row < high else 0), index(broad)):
            slab[line + column] = np.inf


@contracted
def _add_up(
    xy: Any,
    one: Any,
    first: Any,
    middle: Any,
    other: Any,
    second: Any,
    beside: Any,
    covariance: Any,
    width: int,
    sums: Any,
) -> None:
    for row in range(index(ROWS)):
        for column in range(index(width)):
            at = row * index(STRIDE) + column
            m, n = one[first + index(MEAN) + at], other[second + index(MEAN) + at]
            spread = one[first + index(SPREAD) + at] + other[second + index(SPREAD) + at]
            joint = covariance * (xy[at] - _times(m, n)) + _C2
            m, n = m + middle, n + beside
            power = _HALF * (m * m + n * n) + _C1
            sums[column] += (m * n + _C1) * joint / (power * spread)


@contracted
def measure(images: Any, tools: Any, slabs: Any, middles: Any) -> None:
    """Write the slabs, (N, slabs down, slabs across, `SIZE`), and the middles, (N,), of images (N, H, W)."""
    for at in range(len(images)):
        middles[at] = _middle_of(images[at])
        for down in range(slabs.shape[1]):
            for across in range(slabs.shape[2]):
                slab = slabs[at, down, across]
                _fill(images[at], middles[at], down * SLAB, across * COLUMNS, tools, slab, 0)


@contracted
def compare(
    images: Any, references: Any, middles: Any, which: Any, tools: Any, room: Any, result: Any
) -> None:
    """Write the mean similarity of image i with each of its references, those that ``which[i]`` lists.

    Only the product of images whose slabs are known is left to be filtered.

    Parameters
    ----------
    images : (N, H, W)
    references, middles
        The slabs and middles of reference images, as `measure` writes them.
    which : integers (N, M)
    tools
        As `make_tools` makes them, in the precision of the slabs.
    room : (as many as are to be compared at a time, `SIZE`)
        For slabs of images.
    result : (N, M)
    """
    kernel, (between, xy, _) = tools
    _, tall, broad, _ = references.shape
    own, others = room.reshape(-1), references.reshape(-1)
    high, wide = images.shape[1] - 2 * kernel[2], images.shape[2] - 2 * kernel[2]
    sums, middle = np.empty(COLUMNS, room.dtype), np.empty(len(room), room.dtype)
    totals = np.empty((len(room), which.shape[1]))
    for begin in range(0, len(images), len(room)):
        count = min(len(room), len(images) - begin)
        totals[:] = 0
        for at in range(count):
            middle[at] = _middle_of(images[begin + at])
        for place in range(tall * broad):
            top, left = place // broad * SLAB, place % broad * COLUMNS
            rows, width = min(SLAB, high - top), min(COLUMNS, wide - left)
            for at in range(count):
                _fill(images[begin + at], middle[at], top, left, tools, own, at * SIZE)
            for number in range(which.shape[1]):
                for at in range(count):
                    other = which[begin + at, number]
                    one, two = at * SIZE, (other * tall * broad + place) * SIZE
                    sums[:] = 0
                    for row in range(0, rows * STRIDE, ROWS * STRIDE):
                        first, second = index(one + row), index(two + row)
                        average(own, first, others, second, kernel, width, between, xy)
                        _add_up(
                            xy,
                            own,
                            first,
                            middle[at],
                            others,
                            second,
                            middles[other],
                            kernel[3],
                            whole_lines(width),
                            sums,
                        )
                    totals[at, number] += sum_of(sums)
        for at in range(count):
            for number in range(which.shape[1]):
                result[begin + at, number] = totals[at, number] / (high * wide)
