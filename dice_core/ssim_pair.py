"""The compiled loops of structural similarity within pairs, in the precision of the strips they are given.

With s the sum and d the difference of two images the formula's right factor is
``1 - 2 var(d) / (var(s) + var(d) + 2 C2)``. Variances are small differences of large squares, of which single
precision loses some; here those of the sum, the largest, only stand under the fraction, and low similarity is
right to 5e-5. There are four filters rather than five.
"""

from typing import Any

import numpy as np

from dice_core.compiled import compiled, index
from dice_core.ssim_product import COLUMNS, LINE, ROWS, STRIDE, average, sum_of, whole_lines
from dice_core.ssim_window import WIDEST, contracted

SLAB = 16  # rows of windows: few enough for sums and differences to stay in the nearest cache
STRIP = (SLAB + WIDEST - 1) * STRIDE
"""Values of the sums, or of the differences, that are filtered before the next are laid."""

_C1 = np.float32((0.01 * 255) ** 2)
_C2 = np.float32(2 * (0.03 * 255) ** 2)
_HALF, _TWO = np.float32(0.5), np.float32(2)


@compiled(fastmath={"contract", "reassoc"})
def _level_of(image: Any) -> Any:
    """Take the mean, as a whole number: most of an image lies near it, and has small squares."""
    total = np.float32(0)
    for row in range(len(image)):
        line = image[row]
        for column in range(len(line)):
            total += line[column]
    return np.rint(total / np.float32(image.size))


@contracted
def _lay(one: Any, other: Any, top: int, left: int, broad: int, middles: Any, total: Any, less: Any) -> None:
    """Write sums and differences of the centred pixels, filled up with zeros."""
    first, second = middles
    for row in range(SLAB + WIDEST - 1):
        at, down = index(row * STRIDE), index(top + row)
        width = min(broad, one.shape[1] - left) if top + row < len(one) else 0
        for column in range(index(width)):
            x = one[down, index(left) + column] - first
            y = other[down, index(left) + column] - second
            total[at + column] = x + y
            less[at + column] = x - y
        for column in range(index(width), index(broad)):
            total[at + column] = less[at + column] = 0


@contracted
def _close(
    filtered: Any, middles: Any, covariance: Any, top: int, left: int, rows: int, width: int, drawn: Any
) -> None:
    s, d, ss, dd = filtered
    first, second = middles
    for row in range(index(rows)):
        line = drawn[index(top) + row]
        for column in range(index(width)):
            at = row * index(STRIDE) + column
            apart = covariance * (dd[at] - d[at] * d[at])
            both = covariance * (ss[at] - s[at] * s[at]) + apart + _C2
            m, n = _HALF * (s[at] + d[at]) + first, _HALF * (s[at] - d[at]) + second
            light = (_TWO * (m * n) + _C1) * (both - _TWO * apart)
            line[index(left) + column] = light / ((m * m + n * n + _C1) * both)


@contracted
def draw(images: Any, others: Any, tools: Any, strips: Any, drawn: Any, means: Any) -> None:
    """Write the map of each image with its other, where windows lie inside, and its mean.

    Parameters
    ----------
    images, others : float32 (N, H, W)
    tools
        As `make_tools` makes them, in the precision of the strips.
    strips
        Two of `STRIP` for sums and differences, two of `ROWS` times `STRIDE` for what they are filtered to.
    drawn : (N, H - 2r, W - 2r)
        With r the window's radius.
    means : float32 (N,)
    """
    kernel, (between, mean, square) = tools
    total, less, apart, square_apart = strips
    count, high, wide = drawn.shape
    for number in range(count):
        one, other = images[number], others[number]
        middles = _level_of(one), _level_of(other)
        for left in range(0, wide, COLUMNS):
            width = min(COLUMNS, wide - left)
            broad = whole_lines(width)
            for begin in range(0, high, SLAB):
                _lay(one, other, begin, left, min(broad + 2 * LINE, STRIDE), middles, total, less)
                for top in range(begin, min(begin + SLAB, high), ROWS):
                    at = (top - begin) * STRIDE
                    average(total, at, None, 0, kernel, width, between, mean)
                    average(total, at, total, at, kernel, width, between, square)
                    average(less, at, None, 0, kernel, width, between, apart)
                    average(less, at, less, at, kernel, width, between, square_apart)
                    filtered, rows = (mean, apart, square, square_apart), min(ROWS, high - top)
                    _close(filtered, middles, kernel[3], top, left, rows, width, drawn[number])
        whole = 0.0
        for row in range(high):
            whole += sum_of(drawn[number, row])
        means[number] = whole / (high * wide)
