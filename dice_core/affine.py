"""Affine transforms between a face's target and its images: looking up, inverting, moving, sending boxes."""

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from dice_core.compiled import compiled

Images = npt.NDArray[np.float32]
Transforms = npt.NDArray[np.float32]
"""Linear part and shift, (N, 2, 3), x before y, pixels, about the middles of target and image."""

JITTER_SHIFT, JITTER_LINEAR = 0.75 / 128, 0.012
"""Standard deviations of what `jitter` adds: the shift in shares of the longer side, the linear part."""


def identity(count: int) -> Transforms:
    """Give transforms that move nothing."""
    return np.tile(np.eye(2, 3, dtype=np.float32), (count, 1, 1))


def warp(images: Images, transforms: Transforms, warped: Images | None = None) -> Images:
    """Look up each image where its transform sends the pixels of the target, bilinearly.

    Parameters
    ----------
    images
        (N, H, W), at least 2x2 pixels.
    transforms
        (N, 2, 3), from target to image.
    warped
        Room for what is returned, if there is any.

    Returns
    -------
    ndarray
        float32 (N, H, W); beyond the edge the outermost pixels go on.
    """
    warped = np.empty(images.shape, np.float32) if warped is None else warped
    _warp(np.ascontiguousarray(images), transforms, warped)
    return warped


def inverse(transforms: Transforms) -> Transforms:
    """Give the transforms, (N, 2, 3), from image to target."""
    linear = np.linalg.inv(transforms[:, :, :2].astype(np.float64))
    shift = -linear @ transforms[:, :, 2:]
    return np.concatenate([linear, shift], axis=2).astype(np.float32)


def jitter(count: int, side: int, rng: np.random.Generator) -> Transforms:
    """Draw small moves, (N, 2, 3), for images whose longer side is so long."""
    linear = np.eye(2) + rng.normal(0, JITTER_LINEAR, (count, 2, 2))
    shift = rng.normal(0, JITTER_SHIFT * side, (count, 2, 1))
    return np.concatenate([linear, shift], axis=2).astype(np.float32)


def compose(transforms: Transforms, moves: Transforms) -> Transforms:
    """Give the transforms, (N, 2, 3), that move first."""
    moved = transforms[:, :, :2] @ moves
    moved[:, :, 2] += transforms[:, :, 2]
    return moved


def box_in_image(
    transforms: Transforms, shape: tuple[int, int], x: Any, y: Any, width: Any, height: Any
) -> tuple[npt.NDArray[np.float64], ...]:
    """Send boxes of the target, arrays of (N,), to the images they were found in.

    Returns
    -------
    tuple
        Left, top, right and bottom edge of the upright box around each, (N,), inside the image.
    """
    rows, columns = shape
    corners = np.array([[x, y], [x + width, y], [x, y + height], [x + width, y + height]], np.float64)
    middle = np.array([columns / 2, rows / 2])[:, None]
    sent = np.einsum("nij,kjn->kin", transforms[:, :, :2].astype(np.float64), corners - middle)
    sent += transforms[:, :, 2].T[None] + middle
    low, high = sent.min(axis=0), sent.max(axis=0)
    limits = np.array([columns, rows], np.float64)[:, None]
    low, high = np.clip(low, 0, limits - 1), np.clip(high, 1, limits)
    return low[0], low[1], high[0], high[1]


@compiled(fastmath={"contract"})
def look_up(flat: Any, height: int, width: int, y: Any, x: Any) -> Any:
    """Interpolate an image, its rows after each other, at one place; the outermost pixels go on."""
    x = min(max(x, np.float32(0)), np.float32(width - 1))
    y = min(max(y, np.float32(0)), np.float32(height - 1))
    left, top = min(np.int32(x), np.int32(width - 2)), min(np.int32(y), np.int32(height - 2))
    down, across = y - np.float32(top), x - np.float32(left)
    # Unsigned, so that no index is looked at for being counted from the end.
    at = np.uint32(top * np.int32(width) + left)
    under = at + np.uint32(width)
    upper = flat[at] + (flat[at + np.uint32(1)] - flat[at]) * across
    lower = flat[under] + (flat[under + np.uint32(1)] - flat[under]) * across
    return upper + (lower - upper) * down


@compiled(fastmath={"contract"})
def _warp(images: Any, transforms: Any, warped: Any) -> None:
    count, height, width = images.shape
    middle_y, middle_x = np.float32((height - 1) / 2), np.float32((width - 1) / 2)
    ramp = np.arange(width).astype(np.float32)
    for n in range(count):
        flat, m = images[n].ravel(), transforms[n]
        for row in range(height):
            dy = np.float32(row) - middle_y
            x = m[0, 1] * dy + m[0, 2] + middle_x - m[0, 0] * middle_x
            y = m[1, 1] * dy + m[1, 2] + middle_y - m[1, 0] * middle_x
            # Most of a row needs no look at the edges.
            first, stop = _inside(x, m[0, 0], width - 1, 0, width)
            first, stop = _inside(y, m[1, 0], height - 1, first, stop)
            line = warped[n, row]
            for column in range(first):
                away = np.float32(column)
                line[column] = look_up(flat, height, width, y + m[1, 0] * away, x + m[0, 0] * away)
            _follow_row(flat, width, (y, x, m[1, 0], m[0, 0]), ramp, line, first, stop)
            for column in range(stop, width):
                away = np.float32(column)
                line[column] = look_up(flat, height, width, y + m[1, 0] * away, x + m[0, 0] * away)


@compiled()
def _inside(start: Any, step: Any, limit: int, first: int, stop: int) -> Any:
    """Narrow a range of columns to those whose coordinate has a pixel on either side, with room to round."""
    room = np.float32(1e-3)
    low, high = room - start, np.float32(limit) - room - start
    if step > 0:
        first, stop = max(first, math.ceil(low / step)), min(stop, math.ceil(high / step))
    elif step < 0:
        first, stop = max(first, math.ceil(high / step)), min(stop, math.ceil(low / step))
    elif low > 0 or high <= 0:
        stop = first
    return (first, stop) if first < stop else (0, 0)


@compiled(fastmath={"contract"})
def _follow_row(flat: Any, width: int, course: Any, ramp: Any, line: Any, first: int, stop: int) -> None:
    """Interpolate along a straight course that stays inside the image.

    The course of a part that hardly turns keeps for many columns between the same two rows and as far to the
    side: there the image is read in its own order, ten times as fast as pixel by pixel.
    """
    y, x, step_y, step_x = course
    sideways = step_x - np.float32(1)
    while first < stop:
        down, across = y + step_y * np.float32(first), x + sideways * np.float32(first)
        top, aside = math.floor(down), math.floor(across)
        end = min(_leaves(y, step_y, top, stop), _leaves(x, sideways, aside, stop))
        # Rounding may lead a hair over the edge of a pixel, where the interpolation goes on steadily.
        end = max(end, first + 1)
        way = down - np.float32(top), step_y, across - np.float32(aside), sideways
        _blend(flat, top * width + first + aside, width, way, ramp, line, first, end)
        first = end


@compiled()
def _leaves(start: Any, step: Any, whole: int, stop: int) -> int:
    """Find the first column whose coordinate has another whole part, at most `stop`."""
    if step == 0:
        return stop
    until = (np.float32(whole + 1 if step > 0 else whole) - start) / step
    return math.ceil(until) if until < stop else stop


@compiled(fastmath={"contract"})
def _blend(flat: Any, at: int, width: int, way: Any, ramp: Any, line: Any, first: int, end: int) -> None:
    """Interpolate between two rows along a course that leaves neither them nor its pixel sideways."""
    down, step_down, across, step_across = way
    # Unsigned, so that no index is looked at for being counted from the end.
    upper, start, beside = np.uintp(at), np.uintp(first), np.uintp(1)
    lower = upper + np.uintp(width)
    for k in range(np.uintp(end - first)):
        right, below = across + step_across * ramp[k], down + step_down * ramp[k]
        one = flat[upper + k] + (flat[upper + k + beside] - flat[upper + k]) * right
        two = flat[lower + k] + (flat[lower + k + beside] - flat[lower + k]) * right
        line[start + k] = one + (two - one) * below
