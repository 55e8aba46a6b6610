"""Weighted means in square windows, a few rows at a time: compiled loops for maps of structural similarity.

A plane holds rows of one strip of an image, `STRIDE` values apart. Windows lie inside the image everywhere,
so that what is filtered is smaller than it by the window's diameter less one.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from dice_core.compiled import compiled, index

STRIDE = 144  # columns filtered at a time; constant, or the loops over taps would not vectorise
ROWS = 4  # filtered at a time, so that a value once loaded serves four
SLAB = 32  # rows of a plane whose means are taken before it is laid anew: it stays in the nearest cache
WIDEST = 11  # diameter of the wider window

# Of fast math only the fused multiply-add: nothing is assumed finite, no sum reordered.
contracted = compiled(fastmath={"contract"})


Planes = tuple[NDArray[Any], ...]
Kernel = tuple[tuple[Any, ...], int, Any]
"""A window, as the loops need it: weights from the centre outwards, the radius, and what makes the window's
covariance the sample's, or 1. A plain tuple, because numba's cache holds types, whose classes may move."""


def make_planes(count: int) -> Planes:
    """Make room for planes to filter, and for as many results of `ROWS` lines and one in between."""
    large = [np.zeros((SLAB + WIDEST + ROWS) * STRIDE) for _ in range(count)]
    return *large, *(np.empty(ROWS * STRIDE) for _ in range(count + 1))


def _gaussian(sigma: float = 1.5) -> tuple[float, ...]:
    half = np.exp(-0.5 * np.square(np.arange(WIDEST // 2 + 1) / sigma))
    return tuple(half / (2 * half.sum() - half[0]))


WINDOWS: dict[str, Kernel] = {
    "gaussian": (_gaussian(), 5, 1.0),
    "uniform": ((1 / 7,) * 4 + (0.0, 0.0), 3, 49 / 48),
}
BORDER = {name: radius for name, (_, radius, _) in WINDOWS.items()}
"""Pixels along an image's edge where no window lies inside."""


@contracted
def lay(image: Any, top: int, bottom: int, left: int, width: int, plane: Any) -> None:
    """Lay an image's rows from top to bottom."""
    first, begin = index(top), index(left)
    for row in range(first, index(bottom)):
        line = (row - first) * index(STRIDE)
        for column in range(index(width)):
            plane[line + column] = image[row, begin + column]


@contracted
def _blend(
    w: Any,
    a: Any,
    b: Any,
    c: Any,
    d: Any,
    e: Any,
    m: Any,
    f: Any,
    g: Any,
    h: Any,
    i: Any,
    j: Any,
) -> Any:
    return w[0] * m + w[1] * (e + f) + w[2] * (d + g) + w[3] * (c + h) + w[4] * (b + i) + w[5] * (a + j)


@contracted
def _gauss_down(plane: Any, w: Any, width: int, filtered: Any) -> None:
    s = STRIDE
    for at in range(width):
        a, b, c, d = plane[at], plane[at + s], plane[at + 2 * s], plane[at + 3 * s]
        e, f, g = plane[at + 4 * s], plane[at + 5 * s], plane[at + 6 * s]
        h, i, j = plane[at + 7 * s], plane[at + 8 * s], plane[at + 9 * s]
        k, m, n, o = plane[at + 10 * s], plane[at + 11 * s], plane[at + 12 * s], plane[at + 13 * s]
        filtered[at] = _blend(w, a, b, c, d, e, f, g, h, i, j, k)
        filtered[at + s] = _blend(w, b, c, d, e, f, g, h, i, j, k, m)
        filtered[at + 2 * s] = _blend(w, c, d, e, f, g, h, i, j, k, m, n)
        filtered[at + 3 * s] = _blend(w, d, e, f, g, h, i, j, k, m, n, o)


@contracted
def _gauss_across(lines: Any, w: Any, width: int, filtered: Any) -> None:
    for row in range(index(ROWS)):
        for column in range(index(width)):
            at = row * index(STRIDE) + column
            a, b, c, d = lines[at], lines[at + index(1)], lines[at + index(2)], lines[at + index(3)]
            e, f, g = lines[at + index(4)], lines[at + index(5)], lines[at + index(6)]
            h, i, j = lines[at + index(7)], lines[at + index(8)], lines[at + index(9)]
            k = lines[at + index(10)]
            filtered[at] = _blend(w, a, b, c, d, e, f, g, h, i, j, k)


@contracted
def _box_down(plane: Any, weight: Any, width: int, filtered: Any) -> None:
    s = STRIDE
    for at in range(width):
        m = plane[at + 5 * s]
        a, b, c = plane[at] - m, plane[at + s] - m, plane[at + 2 * s] - m
        h, i, j = plane[at + 7 * s] - m, plane[at + 8 * s] - m, plane[at + 9 * s] - m
        shared = (plane[at + 3 * s] - m) + (plane[at + 4 * s] - m) + (plane[at + 6 * s] - m)
        above, below = shared + (b + c), shared + (h + i)
        filtered[at] = m + weight * (above + a)
        filtered[at + s] = m + weight * (above + h)
        filtered[at + 2 * s] = m + weight * (below + c)
        filtered[at + 3 * s] = m + weight * (below + j)


@contracted
def _box_across(lines: Any, weight: Any, width: int, filtered: Any) -> None:
    for row in range(index(ROWS)):
        for column in range(index(width)):
            at = row * index(STRIDE) + column
            m = lines[at + index(3)]
            near = (lines[at + index(2)] - m) + (lines[at + index(4)] - m)
            left = (lines[at] - m) + (lines[at + index(1)] - m)
            right = (lines[at + index(5)] - m) + (lines[at + index(6)] - m)
            filtered[at] = m + weight * (near + left + right)


@contracted
def average(plane: Any, row: int, kernel: Any, width: int, between: Any, filtered: Any) -> None:
    """Filter the plane from a row on to `ROWS` lines of `width`."""
    w, radius, _ = kernel
    below = plane[row * STRIDE :]
    if radius == WIDEST // 2:
        _gauss_down(below, w, width + 2 * radius, between)
        _gauss_across(between, w, width, filtered)
    else:
        _box_down(below, w[0], width + 2 * radius, between)
        _box_across(between, w[0], width, filtered)
