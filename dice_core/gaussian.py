"""Gaussian filters of stacks of images, as fast as the vector units allow."""

from typing import Any

import numpy as np
import numpy.typing as npt

from dice_core.compiled import compiled

_GROUP = 5
"""Pairs of taps in one pass over a row: as many as the compiler keeps in registers."""


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
    plane, row = room(images.shape[1], images.shape[2], half)
    for n in range(len(images)):
        filter_image(images[n], half, mirror, plane, row, filtered[n])


@compiled()
def room(height: int, width: int, half: Any) -> Any:
    """Make what `filter_image` works in, for any number of images of one size."""
    radius = half.size - 1
    return np.zeros((height + 2 * radius, width), np.float32), np.zeros(width + 2 * radius, np.float32)


@compiled(fastmath={"contract"})
def filter_image(image: Any, half: Any, mirror: bool, plane: Any, row: Any, filtered: Any) -> None:  # noqa: FBT001
    """Write one filtered image, (H, W), for callers that are compiled themselves."""
    height, width = image.shape
    radius = half.size - 1
    inner = row[radius : radius + width]
    plane[radius : radius + height] = image
    if mirror:
        for beyond in range(radius):
            plane[radius - 1 - beyond] = image[_mirrored(-1 - beyond, height)]
            plane[radius + height + beyond] = image[_mirrored(height + beyond, height)]
    for y in range(height):
        _down(plane[y:], half, inner)
        if mirror:
            for beyond in range(radius):
                row[radius - 1 - beyond] = inner[_mirrored(-1 - beyond, width)]
                row[radius + width + beyond] = inner[_mirrored(width + beyond, width)]
        _across(row, half, filtered[y])


@compiled()
def _mirrored(index: int, length: int) -> int:
    """Find the pixel inside that one beyond the edge mirrors, however far beyond."""
    index %= 2 * length
    return index if index < length else 2 * length - 1 - index


@compiled(fastmath={"contract"})
def _down(rows: Any, half: Any, sums: Any) -> None:
    """Weigh the rows about the one that is a radius from the first."""
    m = half.size - 1
    near = rows[m - 1], rows[m - 2], rows[m - 3], rows[m - 4], rows[m - 5]
    far = rows[m + 1], rows[m + 2], rows[m + 3], rows[m + 4], rows[m + 5]
    _weigh(rows[m], near, far, half, sums)
    for k in range(_GROUP, m, _GROUP):
        near = rows[m - k - 1], rows[m - k - 2], rows[m - k - 3], rows[m - k - 4], rows[m - k - 5]
        far = rows[m + k + 1], rows[m + k + 2], rows[m + k + 3], rows[m + k + 4], rows[m + k + 5]
        _add(near, far, half[k:], sums)


@compiled(fastmath={"contract"})
def _across(row: Any, half: Any, sums: Any) -> None:
    """Weigh the values about each that is at least a radius from the first."""
    m = half.size - 1
    near = row[m - 1 :], row[m - 2 :], row[m - 3 :], row[m - 4 :], row[m - 5 :]
    far = row[m + 1 :], row[m + 2 :], row[m + 3 :], row[m + 4 :], row[m + 5 :]
    _weigh(row[m:], near, far, half, sums)
    for k in range(_GROUP, m, _GROUP):
        near = row[m - k - 1 :], row[m - k - 2 :], row[m - k - 3 :], row[m - k - 4 :], row[m - k - 5 :]
        far = row[m + k + 1 :], row[m + k + 2 :], row[m + k + 3 :], row[m + k + 4 :], row[m + k + 5 :]
        _add(near, far, half[k:], sums)


@compiled(fastmath={"contract"})
def _weigh(own: Any, near: Any, far: Any, half: Any, sums: Any) -> None:
    a1, a2, a3, a4, a5 = near
    b1, b2, b3, b4, b5 = far
    w0, w1, w2, w3, w4, w5 = half[0], half[1], half[2], half[3], half[4], half[5]
    for x in range(sums.size):
        sums[x] = (
            w0 * own[x]
            + w1 * (a1[x] + b1[x])
            + w2 * (a2[x] + b2[x])
            + w3 * (a3[x] + b3[x])
            + w4 * (a4[x] + b4[x])
            + w5 * (a5[x] + b5[x])
        )


@compiled(fastmath={"contract"})
def _add(near: Any, far: Any, half: Any, sums: Any) -> None:
    a1, a2, a3, a4, a5 = near
    b1, b2, b3, b4, b5 = far
    w1, w2, w3, w4, w5 = half[1], half[2], half[3], half[4], half[5]
    for x in range(sums.size):
        sums[x] += (
            w1 * (a1[x] + b1[x])
            + w2 * (a2[x] + b2[x])
            + w3 * (a3[x] + b3[x])
            + w4 * (a4[x] + b4[x])
            + w5 * (a5[x] + b5[x])
        )
