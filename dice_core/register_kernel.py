"""The compiled loops of registration: robust least squares over the edge pixels of a target."""

from typing import Any

import numpy as np

from dice_core.affine import look_up
from dice_core.compiled import compiled

MOST_SPREAD, LEAST_SPREAD = 1.5, 0.3
"""Contrast of an image over that of the target, at most and at least."""

_AFFINE = 6
"""Unknowns of a pose: of an affine transform; a similarity has 4."""
_STILL_LINEAR = 1 / 40
"""Of a still shift, in pixels, what a change of the linear part has to be under to move no pixel further."""


@compiled()
def follow(images: Any, edges: Any, prior: Any, level: Any, found: Any, light: Any) -> None:
    """Improve each image's transform and light, iteratively, and keep those of the least misfit.

    The level is the noise in grey levels, the iterations, and the change of pose in pixels that is not worth
    another.
    """
    noise, iterations, still = level
    offsets, basis, products = edges
    values = basis[-2]
    unknowns = len(basis) - 2
    weights, weighted = np.empty(len(values), np.float32), np.empty(len(values), np.float32)
    sums, right = np.empty(len(products), np.float32), np.empty(len(basis), np.float32)
    normal, change = np.empty((len(basis), len(basis))), np.empty(len(basis))
    for n in range(len(images)):
        own, gain, offset = found[n].copy(), light[n, 0], light[n, 1]
        least = np.float32(np.inf)
        settled = False
        for step in range(iterations + 1):
            shown = np.float32(gain), np.float32(offset)
            misfit = _hold_against(images[n], offsets, values, own, shown, noise, weights, weighted)
            if misfit < least:
                least = misfit
                for row in range(len(own)):
                    for column in range(own.shape[1]):
                        found[n, row, column] = own[row, column]
                light[n, 0], light[n, 1] = gain, offset
            if settled or step == iterations:
                break
            _sum_up(products, weights, sums)
            _sum_up(basis, weighted, right)
            _complete(sums, right, gain, unknowns, normal, change)
            _pull_back(normal, change, prior, own, unknowns)
            _solve(normal, change)
            settled = _is_small(change, unknowns, still)
            _compose(own, change, unknowns)
            gain = min(max(gain + change[unknowns], LEAST_SPREAD), MOST_SPREAD)
            offset += change[unknowns + 1]


@compiled(fastmath={"contract"})
def _hold_against(
    image: Any, offsets: Any, values: Any, own: Any, shown: Any, noise: float, weights: Any, weighted: Any
) -> Any:
    """Weigh the differences between image and target by Tukey's biweight; returns their misfit."""
    height, width = image.shape
    flat = image.ravel()
    gain, offset = shown
    x, y = np.float32((width - 1) / 2) + own[0, 2], np.float32((height - 1) / 2) + own[1, 2]
    misfit, one = np.float32(0), np.float32(1)
    scale = np.float32(1 / noise)
    for k in range(len(values)):
        dy, dx = offsets[0, k], offsets[1, k]
        at_y, at_x = own[1, 0] * dx + own[1, 1] * dy + y, own[0, 0] * dx + own[0, 1] * dy + x
        seen = look_up(flat, height, width, at_y, at_x)
        difference = seen - gain * values[k] - offset
        left = max(one - (difference * scale) ** 2, np.float32(0))
        misfit += one - left * left * left
        weights[k] = left * left
        weighted[k] = weights[k] * difference
    return misfit


@compiled(fastmath={"contract", "reassoc", "nsz"})
def _sum_up(rows: Any, weights: Any, sums: Any) -> None:
    """Sum each row by the weights, in whatever order is quickest."""
    for at in range(len(rows)):
        row = rows[at]
        total = np.float32(0)
        for k in range(len(weights)):
            total += row[k] * weights[k]
        sums[at] = total


@compiled()
def _complete(sums: Any, right: Any, gain: float, unknowns: int, normal: Any, change: Any) -> None:
    """Lay the sums out as normal equations: a pixel answers to a pose by its slope times the gain."""
    at = 0
    for i in range(unknowns + 2):
        own = gain if i < unknowns else 1.0
        change[i] = own * right[i]
        for j in range(i + 1):
            normal[i, j] = normal[j, i] = own * (gain if j < unknowns else 1.0) * sums[at]
            at += 1
        normal[i, i] = normal[i, i] * 1.0001 + 1e-3  # solvable also where every pixel is left out


@compiled()
def _pull_back(normal: Any, change: Any, prior: Any, own: Any, unknowns: int) -> None:
    """Pull towards the pose of the target."""
    for i in range(unknowns):
        normal[i, i] += prior[i]
    change[0] += prior[0] * own[0, 2]
    change[1] += prior[1] * own[1, 2]
    if unknowns == _AFFINE:
        change[2] += prior[2] * (own[0, 0] - 1)
        change[3] += prior[3] * own[0, 1]
        change[4] += prior[4] * own[1, 0]
        change[5] += prior[5] * (own[1, 1] - 1)
    else:
        change[2] += prior[2] * ((own[0, 0] + own[1, 1]) / 2 - 1)
        change[3] += prior[3] * (own[1, 0] - own[0, 1]) / 2


@compiled()
def _solve(matrix: Any, right: Any) -> None:
    """Solve a few positive definite equations in place, by Cholesky: a library's call takes far longer."""
    count = len(right)
    for j in range(count):
        for k in range(j):
            matrix[j, j] -= matrix[j, k] ** 2
        matrix[j, j] = np.sqrt(max(matrix[j, j], 1e-12))
        for i in range(j + 1, count):
            for k in range(j):
                matrix[i, j] -= matrix[i, k] * matrix[j, k]
            matrix[i, j] /= matrix[j, j]
    for i in range(count):
        for k in range(i):
            right[i] -= matrix[i, k] * right[k]
        right[i] /= matrix[i, i]
    for i in range(count - 1, -1, -1):
        for k in range(i + 1, count):
            right[i] -= matrix[k, i] * right[k]
        right[i] /= matrix[i, i]


@compiled()
def _is_small(change: Any, unknowns: int, still: float) -> bool:
    for i in range(unknowns):  # noqa: SIM110 - the compiler knows no generators
        if abs(change[i]) > (still if i < 2 else still * _STILL_LINEAR):  # noqa: PLR2004 - the shift comes first
            return False
    return True


@compiled()
def _compose(own: Any, change: Any, unknowns: int) -> None:
    """Let the inverse of a small change go before a transform."""
    if unknowns == _AFFINE:
        a, b, c, d = 1 + change[2], change[3], change[4], 1 + change[5]
    else:
        a, b, c, d = 1 + change[2], -change[3], change[3], 1 + change[2]
    size = a * d - b * c
    if abs(size) < 0.1:  # noqa: PLR2004 - no small change
        return
    a, b, c, d = d / size, -b / size, -c / size, a / size
    e, f = -(a * change[0] + b * change[1]), -(c * change[0] + d * change[1])
    for i in range(2):
        one, two = own[i, 0], own[i, 1]
        own[i, 0], own[i, 1] = one * a + two * c, one * b + two * d
        own[i, 2] += one * e + two * f
