"""The compiled loops of maps of structural similarity, in double precision.

Variances are small differences of large squares. In single precision, even with the middle grey removed
first, maps of photographs are wrong by up to 1e-4.
"""

from typing import Any

import numpy as np

from dice_core.compiled import index
from dice_core.ssim_window import ROWS, SLAB, STRIDE, average, contracted, lay

_C1 = (0.01 * 255) ** 2
_C2 = (0.03 * 255) ** 2


@contracted
def _multiply(x: Any, y: Any, rows: int, power: Any, xy: Any) -> None:
    for at in range(rows * STRIDE):
        power[at] = x[at] * x[at] + y[at] * y[at]
        xy[at] = x[at] * y[at]


@contracted
def _close(filtered: Any, covariance: Any, top: int, left: int, rows: int, width: int, drawn: Any) -> None:
    u, v, power, joint = filtered
    for row in range(index(rows)):
        for column in range(index(width)):
            at = row * index(STRIDE) + column
            product, squares = u[at] * v[at], u[at] * u[at] + v[at] * v[at]
            both = np.float32(covariance * (power[at] - squares) + _C2)
            # The differences are taken; what is left to do loses nothing in float32.
            shared = np.float32(2 * product + _C1) * np.float32(2 * covariance * (joint[at] - product) + _C2)
            drawn[index(top) + row, index(left) + column] = shared / (np.float32(squares + _C1) * both)


@contracted
def maps(images: Any, references: Any, kernel: Any, planes: Any, drawn: Any) -> None:
    """Write the map of each image with its reference, where windows lie inside."""
    x, y, power, xy, between, u, v, p, uv = planes
    reach, (count, high, wide) = 2 * kernel[1], drawn.shape
    for number in range(count):
        for left in range(0, wide, STRIDE - reach):
            width = min(STRIDE - reach, wide - left)
            for begin in range(0, high, SLAB):
                end = min(begin + SLAB, high)
                lay(images[number], begin, end + reach, left, width + reach, x)
                lay(references[number], begin, end + reach, left, width + reach, y)
                _multiply(x, y, end + reach - begin, power, xy)
                for top in range(begin, end, ROWS):
                    average(x, top - begin, kernel, width, between, u)
                    average(y, top - begin, kernel, width, between, v)
                    average(power, top - begin, kernel, width, between, p)
                    average(xy, top - begin, kernel, width, between, uv)
                    rows = min(ROWS, end - top)
                    _close((u, v, p, uv), kernel[2], top, left, rows, width, drawn[number])
