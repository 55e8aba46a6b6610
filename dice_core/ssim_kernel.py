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
def _centre(image: Any, centred: Any) -> Any:
    """Subtract the middle of an image's range, as a whole number: squares of uint8 stay exact."""
    least, most = image[0].copy(), image[0].copy()
    for row in range(1, len(image)):
        pixels = image[row]
        for column in range(len(pixels)):
            value = pixels[column]
            least[column] = min(least[column], value)
            most[column] = max(most[column], value)
    middle = np.float32(np.rint((np.float64(least.min()) + np.float64(most.max())) / 2))
    for row in range(len(image)):
        pixels, moved = image[row], centred[row]
        for column in range(len(moved)):
            moved[column] = np.float32(pixels[column]) - middle
    return middle


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
def _measure(image: Any, kernel: Any, planes: Any, centred: Any, mean: Any, spread: Any) -> Any:
    middle = _centre(image, centred)
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
    return middle


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
def measure(images: Any, kernel: Any, planes: Any, moments: Any) -> None:
    """Write the moments of images: centred, windowed means, half the variances, and middles."""
    centred, mean, spread, middle = moments
    for at in range(len(images)):
        middle[at] = _measure(images[at], kernel, planes, centred[at], mean[at], spread[at])


@contracted
def every(images: Any, references: Any, kernel: Any, planes: Any, few: Any, result: Any) -> None:
    """Write the mean similarity of every image with every reference, a few images at a time."""
    others, means, spreads, middles = references
    centred, mean, spread, middle = few
    sums = np.empty(STRIDE, np.float32)
    for start in range(0, len(images), len(centred)):
        part = images[start : start + len(centred)]
        measure(part, kernel, planes, few)
        for which in range(len(others)):
            other = others[which], means[which], spreads[which], middles[which]
            for at in range(len(part)):
                one = centred[at], mean[at], spread[at], middle[at]
                result[start + at, which] = _compare(one, other, kernel, planes, sums)


@contracted
def assigned(
    images: Any, references: Any, which: Any, kernel: Any, planes: Any, few: Any, result: Any
) -> None:
    """Write the mean similarity of every image with its own reference."""
    others, means, spreads, middles = references
    centred, mean, spread, middle = few
    sums = np.empty(STRIDE, np.float32)
    for at in range(len(images)):
        own = which[at]
        measure(images[at : at + 1], kernel, planes, few)
        one = centred[0], mean[0], spread[0], middle[0]
        other = others[own], means[own], spreads[own], middles[own]
        result[at] = _compare(one, other, kernel, planes, sums)
