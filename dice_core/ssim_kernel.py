"""The compiled loops of mean structural similarity, in the precision of the moments they are given.

Variances are small differences of large squares. Single precision bears that in a mean over many windows:
grey values are centred, and plain areas, where errors would not cancel, are filtered without any. Of single
windows it is wrong by up to 1e-4, which is why maps have loops of their own.

Of what the formula calls (co)variances half is held: it saves the loops a product.
"""

from typing import Any

import numpy as np

from dice_core.compiled import compiled
from dice_core.ssim_window import ROWS, SLAB, STRIDE, average, contracted, index, lay

_C1 = np.float32((0.01 * 255) ** 2 / 2)
_C2 = np.float32((0.03 * 255) ** 2 / 2)
_HALF = np.float32(0.5)


@compiled()
def _times(one: Any, other: Any) -> Any:
    """Round the product, as that of pixels was before it was filtered: over plain areas the two are equal."""
    return one * other


@contracted
def centre(images: Any, centred: Any, middle: Any) -> None:
    """Subtract the middle of each image's range, as a whole number: squares of uint8 stay exact."""
    for at in range(len(images)):
        image = images[at]
        least, most = image[0].copy(), image[0].copy()
        for row in range(1, len(image)):
            pixels = image[row]
            for column in range(len(pixels)):
                least[column] = min(least[column], pixels[column])
                most[column] = max(most[column], pixels[column])
        middle[at] = np.rint((np.float64(least.min()) + np.float64(most.max())) / 2)
        for row in range(len(image)):
            pixels, moved = image[row], centred[at, row]
            for column in range(len(moved)):
                moved[column] = pixels[column] - middle[at]


@contracted
def _square(x: Any, rows: int, xx: Any) -> None:
    for at in range(rows * STRIDE):
        xx[at] = x[at] * x[at]


@contracted
def _multiply(one: Any, other: Any, top: int, bottom: int, left: int, width: int, plane: Any) -> None:
    first, begin = index(top), index(left)
    for row in range(first, index(bottom)):
        line = (row - first) * index(STRIDE)
        for column in range(index(width)):
            plane[line + column] = one[row, begin + column] * other[row, begin + column]


@contracted
def _close_moments(
    x: Any, xx: Any, covariance: Any, top: int, left: int, rows: int, width: int, mean: Any, spread: Any
) -> None:
    half = covariance * _HALF
    for row in range(index(rows)):
        for column in range(index(width)):
            at, down, right = row * index(STRIDE) + column, index(top) + row, index(left) + column
            mean[down, right] = x[at]
            # Half of the constant here, half from the other image.
            spread[down, right] = half * (xx[at] - _times(x[at], x[at])) + _HALF * _C2


@contracted
def _measure(centred: Any, kernel: Any, planes: Any, mean: Any, spread: Any) -> None:
    x, xx, between, u, uu = planes
    reach, (high, wide) = 2 * kernel[1], mean.shape
    for left in range(0, wide, STRIDE - reach):
        width = min(STRIDE - reach, wide - left)
        for begin in range(0, high, SLAB):
            end = min(begin + SLAB, high)
            lay(centred, begin, end + reach, left, width + reach, x)
            _square(x, end + reach - begin, xx)
            for top in range(begin, end, ROWS):
                average(x, top - begin, kernel, width, between, u)
                average(xx, top - begin, kernel, width, between, uu)
                rows = min(ROWS, end - top)
                _close_moments(u, uu, kernel[2], top, left, rows, width, mean, spread)


@contracted
def _add_up(
    xy: Any, one: Any, other: Any, covariance: Any, top: int, left: int, rows: int, width: int, sums: Any
) -> None:
    _, mean, spread, middle = one
    _, beside, apart, other_middle = other
    for row in range(index(rows)):
        for column in range(index(width)):
            down, right = index(top) + row, index(left) + column
            m, n = mean[down, right], beside[down, right]
            mn = _times(m, n)
            joint = covariance * (xy[row * index(STRIDE) + column] - mn) + _C2
            product = (m + middle) * (n + other_middle) + _C1
            away = (m - n) + (middle - other_middle)
            power = product + _HALF * away * away
            sums[column] += product * joint / (power * (spread[down, right] + apart[down, right]))


@contracted
def _compare(one: Any, other: Any, kernel: Any, planes: Any, sums: Any) -> Any:
    """Average the similarity of images whose moments are known: only their product is left to be filtered."""
    xy, _, between, uv, _ = planes
    reach, (high, wide) = 2 * kernel[1], one[1].shape
    total = 0.0
    for left in range(0, wide, STRIDE - reach):
        width = min(STRIDE - reach, wide - left)
        for begin in range(0, high, SLAB):
            end = min(begin + SLAB, high)
            _multiply(one[0], other[0], begin, end + reach, left, width + reach, xy)
            sums[:] = 0
            for top in range(begin, end, ROWS):
                average(xy, top - begin, kernel, width, between, uv)
                _add_up(uv, one, other, kernel[2], top, left, min(ROWS, end - top), width, sums)
            for column in range(width):
                total += sums[column]
    return total / (high * wide)


@contracted
def measure(moments: Any, kernel: Any, planes: Any) -> None:
    """Write the windowed means of centred images, and half their variances with half of a constant."""
    centred, mean, spread, _ = moments
    for at in range(len(centred)):
        _measure(centred[at], kernel, planes, mean[at], spread[at])


@contracted
def compare(moments: Any, references: Any, which: Any, kernel: Any, planes: Any, result: Any) -> None:
    """Write the mean similarity of image i with each of its references, those that ``which[i]`` lists."""
    centred, mean, spread, middle = moments
    others, means, spreads, middles = references
    sums = np.empty(STRIDE, spread.dtype)
    for number in range(which.shape[1]):
        for at in range(len(which)):
            own = which[at, number]
            one = centred[at], mean[at], spread[at], middle[at]
            other = others[own], means[own], spreads[own], middles[own]
            result[at, number] = _compare(one, other, kernel, planes, sums)
