"""The compiled loops of structural similarity: windowed means of images and what they say of each other."""

from typing import Any, NamedTuple

import numpy as np

from dice_core.compiled import compiled

_REACH = 5  # the wider window's radius; the narrower one has weight zero beyond its own
_STRIP = 128  # columns filtered at a time, so that the rows in use stay in the nearest cache
_STRIDE = 144  # of their rows, margins included: constant, or the loops over taps would not vectorise
_C1 = (0.01 * 255) ** 2
_C2 = (0.03 * 255) ** 2


class Kernel(NamedTuple):
    """A window, as the loops need it."""

    weights: tuple[float, ...]
    """From the centre outwards, for distances 0 to `_REACH`."""
    radius: int
    covariance: float
    """What makes the window's covariance the sample's, or 1."""


def _gaussian(sigma: float = 1.5) -> tuple[float, ...]:
    half = np.exp(-0.5 * np.square(np.arange(_REACH + 1) / sigma))
    return tuple(float(weight) for weight in half / (2 * half.sum() - half[0]))


KERNELS = {
    "gaussian": Kernel(_gaussian(), radius=5, covariance=1.0),
    "uniform": Kernel((1 / 7,) * 4 + (0.0, 0.0), radius=3, covariance=49 / 48),
}


# Of fast math only the fused multiply-add: nothing is assumed finite, no sum reordered. Filters are float64,
# because variances are small differences of large squares: in float32, even with each image's mean removed
# first, maps of photographs are wrong by up to 2e-4.
_compiled = compiled(fastmath={"contract"})


@_compiled
def _mirrored(index: int, length: int) -> int:
    if index < 0:
        return -1 - index
    return index if index < length else 2 * length - 1 - index


@_compiled
def _copy(pixels: Any, left: int, line: Any) -> None:
    """Copy a row of the image, from `left` on, between margins that mirror the image's edges."""
    middle, source = line[_REACH:-_REACH], pixels[left:]
    for column in range(len(middle)):
        middle[column] = source[column]
    for margin in range(_REACH):
        line[margin] = pixels[_mirrored(left + margin - _REACH, len(pixels))]
        line[-1 - margin] = pixels[_mirrored(left + len(middle) + _REACH - 1 - margin, len(pixels))]


@_compiled
def _multiply(one: Any, other: Any, product: Any) -> None:
    for column in range(len(one)):
        product[column] = one[column] * other[column]


@_compiled
def _add(values: Any, sums: Any) -> None:
    for column in range(len(sums)):
        sums[column] += values[column]


@_compiled
def _tap(values: Any, at: int, step: int, weights: Any) -> Any:
    return (
        weights[0] * values[at + 5 * step]
        + weights[1] * (values[at + 4 * step] + values[at + 6 * step])
        + weights[2] * (values[at + 3 * step] + values[at + 7 * step])
        + weights[3] * (values[at + 2 * step] + values[at + 8 * step])
        + weights[4] * (values[at + step] + values[at + 9 * step])
        + weights[5] * (values[at] + values[at + 10 * step])
    )


@_compiled
def _across(line: Any, weights: Any, filtered: Any) -> None:
    for column in range(len(filtered)):
        filtered[column] = _tap(line, column, 1, weights)


@_compiled
def _down(plane: Any, weights: Any, filtered: Any) -> None:
    for column in range(len(filtered)):
        filtered[column] = _tap(plane, column, _STRIDE, weights)


@_compiled
def statistics(images: Any, weights: Any, mean: Any, square: Any) -> None:
    """Filter images and their squares."""
    count, height, whole = images.shape
    size = (height + 2 * _REACH) * _STRIDE
    u, uu = np.empty(size), np.empty(size)
    x, xx = np.empty(_STRIDE), np.empty(_STRIDE)
    for index in range(count):
        for left in range(0, whole, _STRIP):
            right = min(left + _STRIP, whole)
            strip = right - left + 2 * _REACH
            for row in range(height + 2 * _REACH):
                begin, end = row * _STRIDE, row * _STRIDE + right - left
                _copy(images[index, _mirrored(row - _REACH, height)], left, x[:strip])
                _multiply(x[:strip], x[:strip], xx[:strip])
                _across(x[:strip], weights, u[begin:end])
                _across(xx[:strip], weights, uu[begin:end])
            for row in range(height):
                _down(u[row * _STRIDE :], weights, mean[index, row, left:right])
                _down(uu[row * _STRIDE :], weights, square[index, row, left:right])


@_compiled
def _close(filtered: Any, other: Any, kernel: Any, similar: Any) -> None:
    """Filter one row of a strip downwards and close the formula there."""
    (u, uu, uv), (v, vv) = filtered, other
    weights, _, covariance = kernel
    for column in range(len(similar)):
        mean, reference = _tap(u, column, _STRIDE, weights), v[column]
        product, power = mean * reference, mean * mean + reference * reference
        both = covariance * (_tap(uu, column, _STRIDE, weights) + vv[column] - power)
        joint = covariance * (_tap(uv, column, _STRIDE, weights) - product)
        # The differences are taken; what is left to do loses nothing in float32.
        numerator = np.float32(2 * product + _C1) * np.float32(2 * joint + _C2)
        similar[column] = numerator / (np.float32(power + _C1) * np.float32(both + _C2))


@_compiled
def similarity(images: Any, reference: Any, which: Any, kernel: Any, result: Any) -> None:
    """Write the map of each image, and its mean without the border."""
    count, height, whole = images.shape
    others, means, squares = reference
    paired = not means.size  # No statistics: filter those of the reference along with the image's.
    weights, border, _ = kernel
    mean, maps = result
    size = (height + 2 * _REACH) * _STRIDE
    u, uu, uv, v = np.empty(size), np.empty(size), np.empty(size), np.empty(size)
    x, y, xx, xy = np.empty(_STRIDE), np.empty(_STRIDE), np.empty(_STRIDE), np.empty(_STRIDE)
    filtered, nothing, sums = np.empty(_STRIDE), np.zeros(_STRIDE), np.empty(whole)
    for index in range(count):
        own = which[index]
        sums[:] = 0
        for left in range(0, whole, _STRIP):
            right = min(left + _STRIP, whole)
            strip = right - left + 2 * _REACH
            for row in range(height + 2 * _REACH):
                begin, end = row * _STRIDE, row * _STRIDE + right - left
                source = _mirrored(row - _REACH, height)
                _copy(images[index, source], left, x[:strip])
                _copy(others[own, source], left, y[:strip])
                _multiply(x[:strip], y[:strip], xy[:strip])
                _multiply(x[:strip], x[:strip], xx[:strip])
                if paired:
                    _across(y[:strip], weights, v[begin:end])
                    _multiply(y[:strip], y[:strip], y[:strip])
                    _add(y[:strip], xx[:strip])
                _across(x[:strip], weights, u[begin:end])
                _across(xx[:strip], weights, uu[begin:end])
                _across(xy[:strip], weights, uv[begin:end])
            for row in range(height):
                begin = row * _STRIDE
                if paired:
                    _down(v[begin:], weights, filtered[: right - left])
                    other = filtered[: right - left], nothing[: right - left]
                else:
                    other = means[own, row, left:right], squares[own, row, left:right]
                similar = maps[index, row, left:right]
                _close((u[begin:], uu[begin:], uv[begin:]), other, kernel, similar)
                if border <= row < height - border:
                    _add(similar, sums[left:right])
        inside = sums[border : whole - border]
        mean[index] = inside.sum() / (inside.size * (height - 2 * border))
