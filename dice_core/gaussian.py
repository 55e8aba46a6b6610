"""Gaussian filters of stacks of images, as fast as the vector units allow."""

from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from dice_core.compiled import compiled, index

_GROUP = 5
"""Pairs of taps in one pass: as many as the compiler keeps in registers."""


@lru_cache
def half_gaussian(sigma: float) -> npt.NDArray[np.float32]:
    """Sample a Gaussian of standard deviation `sigma` pixels out to 3 sigma, so that all taps sum to 1.

    Returns
    -------
    ndarray
        float32 (R + 1,): the weights from the centre outwards, R a multiple of 5; beyond 3 sigma they are 0.
    """
    radius = max(1, round(3 * sigma))
    weights = np.zeros(-(-radius // _GROUP) * _GROUP + 1)
    weights[: radius + 1] = np.exp(-0.5 * (np.arange(radius + 1) / sigma) ** 2)
    return np.asarray(weights / (2 * weights.sum() - weights[0]), np.float32)


def smooth(
    images: npt.NDArray[np.float32], half: npt.NDArray[np.float32], *, mirror: bool = False
) -> npt.NDArray[np.float32]:
    """Filter images, float32 (N, H, W), along both axes.

    Parameters
    ----------
    images
        Any values.
    half
        Weights, as `half_gaussian` gives them.
    mirror
        What is beyond the image: the image mirrored at its edge, or by default 0.
    """
    filtered = np.empty(images.shape, np.float32)
    _smooth(images, half, mirror, filtered)
    return filtered


@compiled()
def _smooth(images: Any, half: Any, mirror: bool, filtered: Any) -> None:  # noqa: FBT001
    plane, lines = room(images.shape[1], images.shape[2], half)
    for n in range(len(images)):
        filter_image(images[n], half, mirror, plane, lines, filtered[n])


@compiled()
def room(height: int, width: int, half: Any) -> Any:
    """Make what `filter_image` works in, for any number of images of one size."""
    reach = 2 * (half.size - 1)
    return np.zeros((height + reach, width), np.float32), np.zeros((height, width + reach), np.float32)


@compiled()
def filter_image(image: Any, half: Any, mirror: bool, plane: Any, lines: Any, filtered: Any) -> None:  # noqa: FBT001
    """Write one filtered image, (H, W), for callers that are compiled themselves."""
    height, width = image.shape
    radius = half.size - 1
    for y in range(index(height)):
        _copy_row(image, y, plane, index(radius) + y)
    if mirror:
        for beyond in range(radius):
            _copy_row(image, index(_mirrored(-1 - beyond, height)), plane, index(radius - 1 - beyond))
            _copy_row(
                image, index(_mirrored(height + beyond, height)), plane, index(radius + height + beyond)
            )
    _filter_down(plane, half, lines)
    if mirror:
        for beyond in range(radius):
            left, right = radius + _mirrored(-1 - beyond, width), radius + _mirrored(width + beyond, width)
            for y in range(index(height)):
                lines[y, index(radius - 1 - beyond)] = lines[y, index(left)]
                lines[y, index(radius + width + beyond)] = lines[y, index(right)]
    _filter_across(lines, half, filtered)


@compiled()
def filter_rows(image: Any, first: int, half: Any, plane: Any, lines: Any, filtered: Any) -> None:
    """Write rows, (R, W), of a filtered image with zeros beyond it, in the `room` of at least as many."""
    start = first - (half.size - 1)
    taken = plane[: len(filtered) + 2 * (half.size - 1)]
    for row in range(len(taken)):
        if 0 <= start + row < len(image):
            _copy_row(image, index(start + row), taken, index(row))
        else:
            taken[row] = 0
    _filter_down(taken, half, lines[: len(filtered)])
    _filter_across(lines, half, filtered)


@compiled()
def _copy_row(image: Any, row: Any, plane: Any, place: Any) -> None:
    for x in range(index(image.shape[1])):
        plane[place, x] = image[row, x]


@compiled()
def _mirrored(at: int, length: int) -> int:
    """Find the pixel inside that one beyond the edge mirrors, however far beyond."""
    at %= 2 * length
    return at if at < length else 2 * length - 1 - at


@compiled()
def _filter_down(plane: Any, half: Any, lines: Any) -> None:
    """Weigh the rows about each that is at least a radius from the edge."""
    _weigh_down(plane, half, lines)
    for k in range(_GROUP, half.size - 1, _GROUP):
        _add_down(plane, half, k, lines)


@compiled()
def _filter_across(lines: Any, half: Any, filtered: Any) -> None:
    """Weigh the columns about each that is at least a radius from the edge."""
    _weigh_across(lines, half, filtered)
    for k in range(_GROUP, half.size - 1, _GROUP):
        _add_across(lines, half, k, filtered)


@compiled(fastmath={"contract"})
def _weigh_down(plane: Any, half: Any, lines: Any) -> None:
    m = index(half.size - 1)
    w0, w1, w2, w3, w4, w5 = half[0], half[1], half[2], half[3], half[4], half[5]
    for y in range(m, m + index(lines.shape[0])):
        for x in range(index(plane.shape[1])):
            lines[y - m, x + m] = (
                w0 * plane[y, x]
                + w1 * (plane[y - index(1), x] + plane[y + index(1), x])
                + w2 * (plane[y - index(2), x] + plane[y + index(2), x])
                + w3 * (plane[y - index(3), x] + plane[y + index(3), x])
                + w4 * (plane[y - index(4), x] + plane[y + index(4), x])
                + w5 * (plane[y - index(5), x] + plane[y + index(5), x])
            )


@compiled(fastmath={"contract"})
def _add_down(plane: Any, half: Any, group: int, lines: Any) -> None:
    m, k = index(half.size - 1), index(group)
    w1, w2, w3, w4, w5 = (
        half[k + index(1)],
        half[k + index(2)],
        half[k + index(3)],
        half[k + index(4)],
        half[k + index(5)],
    )
    for y in range(m, m + index(lines.shape[0])):
        above, under = y - k, y + k
        for x in range(index(plane.shape[1])):
            lines[y - m, x + m] += (
                w1 * (plane[above - index(1), x] + plane[under + index(1), x])
                + w2 * (plane[above - index(2), x] + plane[under + index(2), x])
                + w3 * (plane[above - index(3), x] + plane[under + index(3), x])
                + w4 * (plane[above - index(4), x] + plane[under + index(4), x])
                + w5 * (plane[above - index(5), x] + plane[under + index(5), x])
            )


@compiled(fastmath={"contract"})
def _weigh_across(lines: Any, half: Any, sums: Any) -> None:
    m = index(half.size - 1)
    w0, w1, w2, w3, w4, w5 = half[0], half[1], half[2], half[3], half[4], half[5]
    for y in range(index(sums.shape[0])):
        for x in range(index(sums.shape[1])):
            at = x + m
            sums[y, x] = (
                w0 * lines[y, at]
                + w1 * (lines[y, at - index(1)] + lines[y, at + index(1)])
                + w2 * (lines[y, at - index(2)] + lines[y, at + index(2)])
                + w3 * (lines[y, at - index(3)] + lines[y, at + index(3)])
                + w4 * (lines[y, at - index(4)] + lines[y, at + index(4)])
                + w5 * (lines[y, at - index(5)] + lines[y, at + index(5)])
            )


@compiled(fastmath={"contract"})
def _add_across(lines: Any, half: Any, group: int, sums: Any) -> None:
    m, k = index(half.size - 1), index(group)
    w1, w2, w3, w4, w5 = (
        half[k + index(1)],
        half[k + index(2)],
        half[k + index(3)],
        half[k + index(4)],
        half[k + index(5)],
    )
    for y in range(index(sums.shape[0])):
        for x in range(index(sums.shape[1])):
            before, after = x + m - k, x + m + k
            sums[y, x] += (
                w1 * (lines[y, before - index(1)] + lines[y, after + index(1)])
                + w2 * (lines[y, before - index(2)] + lines[y, after + index(2)])
                + w3 * (lines[y, before - index(3)] + lines[y, after + index(3)])
                + w4 * (lines[y, before - index(4)] + lines[y, after + index(4)])
                + w5 * (lines[y, before - index(5)] + lines[y, after + index(5)])
            )
