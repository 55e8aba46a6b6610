"""Weighted means of products of images in square windows: compiled loops for mean structural similarity.

Images are cut into strips whose rows are `STRIDE` values apart. Windows lie inside the image everywhere, so
that what is filtered is smaller than it by the window's diameter less one.
"""

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dice_core.compiled import compiled, index
from dice_core.ssim_window import WIDEST, WINDOWS, contracted

STRIDE = 144  # constant, or the loops over taps would not vectorise
LINE = 16  # values of single precision in a cache line, with one of which each row of a strip begins
COLUMNS = STRIDE - LINE  # of a strip that are filtered; the rest is the next strip's too
ROWS = 8  # filtered at a time, so that a difference once taken serves them all
# Where the rows under a place are: told as literals, each would be compiled by itself.
_DOWN = tuple(index(row * STRIDE) for row in range(ROWS + WIDEST - 1))

Tools = tuple[tuple[Any, ...], tuple[NDArray[Any], ...]]
"""A window, as the loops need it: weights from next to the centre outwards, and the sums of each and those
beyond; the radius; what makes the window's covariance the sample's, or 1. With room for the lines that it
filters: in between, and two results."""


def make_tools(window: str, precision: type[np.floating[Any]]) -> Tools:
    """Make the window ready for strips of this precision."""
    between, one, other = make_room([(ROWS * STRIDE,)] * 3, precision)
    between[:] = 0  # Up to a line of it is read before it is written, for places that have no weight.
    return _weights(window, np.dtype(precision)), (between, one, other)


@lru_cache
def _weights(window: str, precision: np.dtype[np.floating[Any]]) -> tuple[Any, ...]:
    (_, *weights), radius, covariance = WINDOWS[window]
    beyond = np.cumsum(weights[::-1])[::-1]
    told, sums = (tuple(precision.type(weight) for weight in each) for each in (weights, beyond))
    return told, sums, radius, precision.type(covariance)


def make_room(shapes: Sequence[tuple[int, ...]], precision: type[np.floating[Any]]) -> list[NDArray[Any]]:
    """Make arrays that begin with a cache line if those before end with one.

    They are in one piece: pieces of this size the system would take back, and give again page by page.
    """
    sizes, line = [math.prod(shape) for shape in shapes], LINE * np.dtype(np.float32).itemsize
    room = np.empty(sum(sizes) + LINE, precision)
    start = -room.ctypes.data % line // room.itemsize
    pieces = []
    for size, shape in zip(sizes, shapes, strict=True):
        pieces.append(room[start : start + size].reshape(shape))
        start += size
    return pieces


@compiled(fastmath={"contract", "reassoc"})
def sum_of(values: Any) -> Any:
    """Add up one or more values, in lanes rather than in order."""
    added = values[0] - values[0]
    for value in values:
        added += value
    return added


@compiled()
def whole_lines(width: int) -> int:
    """Fill up the last cache line: loops that end with one have no remainder."""
    return width + -width % LINE


# What is filtered are products of pixels: the middle one, and differences from it. Over plain areas there are
# none, and those pass unchanged to the last bit, as they must in single precision. Down, the differences are
# of neighbours: each serves all windows that hold it, weighted by the sum of all weights beyond it.


@contracted
def _gauss(p: Any, d: Any, w: Any) -> Any:
    near = w[0] * (d[5] - d[4]) + w[1] * (d[6] - d[3])
    return (p + near) + (w[2] * (d[7] - d[2]) + (w[3] * (d[8] - d[1]) + w[4] * (d[9] - d[0])))


@contracted
def _box(p: Any, d: Any, w: Any) -> Any:
    return (p + w[0] * (d[3] - d[2])) + (w[1] * (d[4] - d[1]) + w[2] * (d[5] - d[0]))


@compiled()
def _times(x: Any, i: Any, y: Any, j: Any, down: Any) -> Any:
    """Multiply and round: contracted, equal products would differ; without a second strip nothing is."""
    return x[i + down] if y is None else x[i + down] * y[j + down]


@contracted
def _gauss_down(x: Any, first: Any, y: Any, second: Any, w: Any, width: int, filtered: Any) -> None:
    r = _DOWN
    for column in range(index(width)):
        u, v = first + column, second + column
        a, b, c = _times(x, u, y, v, r[0]), _times(x, u, y, v, r[1]), _times(x, u, y, v, r[2])
        d, e, f = _times(x, u, y, v, r[3]), _times(x, u, y, v, r[4]), _times(x, u, y, v, r[5])
        g, h, i = _times(x, u, y, v, r[6]), _times(x, u, y, v, r[7]), _times(x, u, y, v, r[8])
        j, k, m = _times(x, u, y, v, r[9]), _times(x, u, y, v, r[10]), _times(x, u, y, v, r[11])
        n, o, p = _times(x, u, y, v, r[12]), _times(x, u, y, v, r[13]), _times(x, u, y, v, r[14])
        q, s, t = _times(x, u, y, v, r[15]), _times(x, u, y, v, r[16]), _times(x, u, y, v, r[17])
        steps = (
            *(b - a, c - b, d - c, e - d, f - e, g - f, h - g, i - h, j - i),
            *(k - j, m - k, n - m, o - n, p - o, q - p, s - q, t - s),
        )
        filtered[column] = _gauss(f, steps[:10], w)
        filtered[column + r[1]] = _gauss(g, steps[1:11], w)
        filtered[column + r[2]] = _gauss(h, steps[2:12], w)
        filtered[column + r[3]] = _gauss(i, steps[3:13], w)
        filtered[column + r[4]] = _gauss(j, steps[4:14], w)
        filtered[column + r[5]] = _gauss(k, steps[5:15], w)
        filtered[column + r[6]] = _gauss(m, steps[6:16], w)
        filtered[column + r[7]] = _gauss(n, steps[7:], w)


@contracted
def _box_down(x: Any, first: Any, y: Any, second: Any, w: Any, width: int, filtered: Any) -> None:
    r = _DOWN
    for column in range(index(width)):
        u, v = first + column, second + column
        a, b, c = _times(x, u, y, v, r[0]), _times(x, u, y, v, r[1]), _times(x, u, y, v, r[2])
        d, e, f = _times(x, u, y, v, r[3]), _times(x, u, y, v, r[4]), _times(x, u, y, v, r[5])
        g, h, i = _times(x, u, y, v, r[6]), _times(x, u, y, v, r[7]), _times(x, u, y, v, r[8])
        j, k, m = _times(x, u, y, v, r[9]), _times(x, u, y, v, r[10]), _times(x, u, y, v, r[11])
        n, o = _times(x, u, y, v, r[12]), _times(x, u, y, v, r[13])
        steps = (
            *(b - a, c - b, d - c, e - d, f - e, g - f, h - g),
            *(i - h, j - i, k - j, m - k, n - m, o - n),
        )
        filtered[column] = _box(d, steps[:6], w)
        filtered[column + r[1]] = _box(e, steps[1:7], w)
        filtered[column + r[2]] = _box(f, steps[2:8], w)
        filtered[column + r[3]] = _box(g, steps[3:9], w)
        filtered[column + r[4]] = _box(h, steps[4:10], w)
        filtered[column + r[5]] = _box(i, steps[5:11], w)
        filtered[column + r[6]] = _box(j, steps[6:12], w)
        filtered[column + r[7]] = _box(k, steps[7:], w)


@contracted
def _gauss_across(lines: Any, w: Any, width: int, filtered: Any) -> None:
    for row in range(index(ROWS)):
        for column in range(index(width)):
            at = row * index(STRIDE) + column
            m = lines[at + index(5)]
            twice = m + m
            a = (lines[at + index(4)] + lines[at + index(6)]) - twice
            b = (lines[at + index(3)] + lines[at + index(7)]) - twice
            c = (lines[at + index(2)] + lines[at + index(8)]) - twice
            d = (lines[at + index(1)] + lines[at + index(9)]) - twice
            e = (lines[at] + lines[at + index(10)]) - twice
            filtered[at] = (m + w[0] * a) + (w[1] * b + (w[2] * c + (w[3] * d + w[4] * e)))


@contracted
def _box_across(lines: Any, w: Any, width: int, filtered: Any) -> None:
    for row in range(index(ROWS)):
        for column in range(index(width)):
            at = row * index(STRIDE) + column
            m = lines[at + index(3)]
            twice = m + m
            a = (lines[at + index(2)] + lines[at + index(4)]) - twice
            b = (lines[at + index(1)] + lines[at + index(5)]) - twice
            c = (lines[at] + lines[at + index(6)]) - twice
            filtered[at] = m + w[0] * (a + (b + c))


@contracted
def average(
    x: Any, first: Any, y: Any, second: Any, kernel: Any, width: int, between: Any, filtered: Any
) -> None:
    """Filter the product of two strips, each from a place on, to `ROWS` lines; or the first one by itself.

    What a line holds beyond the width is finite and tells nothing.
    """
    weights, beyond, radius, _ = kernel
    seen = whole_lines(width + 2 * radius)
    width = whole_lines(width)
    if radius == WIDEST // 2:
        _gauss_down(x, index(first), y, index(second), beyond, seen, between)
        _gauss_across(between, weights, width, filtered)
    else:
        _box_down(x, index(first), y, index(second), beyond, seen, between)
        _box_across(between, weights, width, filtered)
