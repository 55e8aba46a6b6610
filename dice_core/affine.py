"""Affine transforms between a face's target and its images: looking up, inverting, moving, sending boxes."""

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from dice_core.compiled import compiled, index

Images = npt.NDArray[np.float32]
Transforms = npt.NDArray[np.float32]
"""Linear part and shift, (N, 2, 3), x before y, pixels, about the middles of target and image."""

JITTER_SHIFT, JITTER_LINEAR = 0.75 / 128, 0.012
"""Standard deviations of what `jitter` adds: the shift in shares of the longer side, the linear part."""


_LANES = 16  # columns blended at a time


def identity(count: int) -> Transforms:
    """Give transforms that move nothing."""
    still = np.zeros((count, 2, 3), np.float32)
    still[:, 0, 0] = still[:, 1, 1] = 1
    return still


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
    return lay(np.ascontiguousarray(images)[:, None], transforms, warped)


def lay(squares: Images, transforms: Transforms, laid: Images | None = None) -> Images:
    """Look up images that are finer than the grid they are laid on, as `warp` looks up their like.

    Parameters
    ----------
    squares
        Means of the squares of F x F pixels that begin at each pixel, (N, F, F * (H - 1) + 1, W), contiguous:
        at [n, p, y, x] is that which begins in row y and column F * x + p. H and W are at least 2.
    transforms
        (N, 2, 3), from target to image, in squares.
    laid
        Room for what is returned, if there is any.

    Returns
    -------
    ndarray
        float32 (N, H, W); beyond the edge the outermost squares go on.
    """
    count, factor, rows, width = squares.shape
    laid = np.empty((count, (rows - 1) // factor + 1, width), np.float32) if laid is None else laid
    _lay(squares, transforms, laid)
    return laid


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
def _lay(squares: Any, transforms: Any, laid: Any) -> None:
    count, factor, rows, width = squares.shape
    shape = factor, rows, width
    fine, far = np.float32(factor), np.float32(width - 1)
    middle_y, middle_x = np.float32((laid.shape[1] - 1) / 2), np.float32((width - 1) / 2)
    last_y, last_x = np.float32(rows - 1), np.float32(factor * (width - 1))
    ramp, line = np.arange(width + _LANES).astype(np.float32), np.empty(width + _LANES, np.float32)
    for n in range(count):
        flat, m = squares[n].ravel(), transforms[n]
        step_y, step_x = fine * m[1, 0], fine * m[0, 0]
        for row in range(laid.shape[1]):
            # From here on places are counted in pixels, from the first square on.
            dy = np.float32(row) - middle_y
            x = fine * (m[0, 1] * dy + m[0, 2] + middle_x - m[0, 0] * middle_x)
            y = fine * (m[1, 1] * dy + m[1, 2] + middle_y - m[1, 0] * middle_x)
            course = y, x, step_y, step_x
            above, below = min(y, y + step_y * far), max(y, y + step_y * far)
            # Most of a row needs no look at the edges, which costs ten times as much.
            first, stop = _inside(x, step_x, last_x, 0, width)
            if below <= 0 or above >= last_y:
                course = np.float32(0) if below <= 0 else last_y, x, np.float32(0), step_x
            else:
                first, stop = _inside(y, step_y, last_y, first, stop)
            for column in range(first):
                line[column] = _look_up_square(flat, shape, course, column)
            _follow_row(flat, shape, course, ramp, line, first, stop)
            for column in range(stop, width):
                line[column] = _look_up_square(flat, shape, course, column)
            for column in range(index(width)):
                laid[n, index(row), column] = line[column]


@compiled(fastmath={"contract"})
def _look_up_square(flat: Any, shape: Any, course: Any, column: int) -> Any:
    """Interpolate squares at one place of a course, in pixels; the outermost go on."""
    factor, rows, width = shape
    last, away = factor * (width - 1), np.float32(column)
    y = min(max(course[0] + course[2] * away, np.float32(0)), np.float32(rows - 1))
    x = min(max(course[1] + course[3] * away, np.float32(0)), np.float32(last))
    left, top = min(int(x), last - 1), min(int(y), rows - 2)
    down, across = y - np.float32(top), x - np.float32(left)
    at, beside = _beside(shape, left)
    at, beside = at + index(top * width), beside + index(top * width)
    under = index(width)
    upper = flat[at] + (flat[beside] - flat[at]) * across
    lower = flat[at + under] + (flat[beside + under] - flat[at + under]) * across
    return upper + (lower - upper) * down


@compiled()
def _beside(shape: Any, aside: int) -> Any:
    """Find, in the first row, the squares that begin so many pixels from the left, and a pixel further."""
    factor, rows, width = shape
    # Whole numbers are divided far more slowly; half a pixel more keeps clear of rounding.
    whole = _floor((np.float32(aside) + np.float32(0.5)) / np.float32(factor))
    phase = aside - whole * factor
    left = index(phase * rows * width + whole)
    return left, left + index(rows * width) if phase + 1 < factor else index(whole + 1)


@compiled()
def _inside(start: Any, step: Any, last: Any, first: int, stop: int) -> Any:
    """Narrow a range of columns to those whose coordinate has a pixel on either side, with room to round."""
    room = np.float32(1e-3)
    end = start + step * np.float32(stop)
    if min(start, end) > room and max(start, end) < last - room:
        return first, stop
    low, high = room - start, last - room - start
    if step > 0:
        first, stop = max(first, math.ceil(low / step)), min(stop, math.ceil(high / step))
    elif step < 0:
        first, stop = max(first, math.ceil(high / step)), min(stop, math.ceil(low / step))
    elif low > room or high <= -room:
        stop = first
    return (first, stop) if first < stop else (0, 0)


@compiled(fastmath={"contract"})
def _follow_row(flat: Any, shape: Any, course: Any, ramp: Any, line: Any, first: int, stop: int) -> None:
    """Interpolate along a straight course that stays inside the image.

    The course of a part that hardly turns keeps for many columns between the same two rows and as far to the
    side: there the image is read in its own order, ten times as fast as square by square.
    """
    y, x, step_y, step_x = course
    sideways = step_x - np.float32(shape[0])
    while first < stop:
        down, across = y + step_y * np.float32(first), x + sideways * np.float32(first)
        top, aside = _floor(down), _floor(across)
        end = min(_leaves(y, step_y, top, stop), _leaves(x, sideways, aside, stop))
        # Rounding may lead a hair over the edge of a pixel, where the interpolation goes on steadily.
        end = max(end, first + 1)
        way = down - np.float32(top), step_y, across - np.float32(aside), sideways
        at = index(top * shape[2] + first)
        left, right = _beside(shape, aside)
        under = index(shape[2] if top + 1 < shape[1] else 0)
        _blend(flat, (at + left, at + right, under), way, ramp, line, first, end)
        first = end


@compiled()
def _floor(value: Any) -> int:
    whole = int(value)
    return whole - 1 if value < whole else whole


@compiled()
def _leaves(start: Any, step: Any, whole: int, stop: int) -> int:
    """Find the first column whose coordinate has another whole part, at most `stop`."""
    if step == 0:
        return stop
    until = (np.float32(whole + 1 if step > 0 else whole) - start) / step
    return -_floor(-until) if until < stop else stop


@compiled(fastmath={"contract"})
def _blend(flat: Any, starts: Any, way: Any, ramp: Any, line: Any, first: int, end: int) -> None:
    """Interpolate between two rows along a course that leaves neither them nor its pixel sideways."""
    left, right, under = starts
    lanes, count = index(_LANES), index(end - first)
    whole = count + -count % lanes
    if max(left, right) + under + whole > index(flat.size):
        for k in range(count):
            line[index(first) + k] = _between(flat, left + k, right + k, under, way, ramp[k])
        return
    # What is too much is written over, or cut off.
    for begin in range(index(0), whole, lanes):
        for k in range(begin, begin + lanes):
            line[index(first) + k] = _between(flat, left + k, right + k, under, way, ramp[k])


@compiled(fastmath={"contract"})
def _between(flat: Any, left: Any, right: Any, under: Any, way: Any, far: Any) -> Any:
    """Interpolate four pixels so far along a course."""
    down, step_down, across, step_across = way
    aside, below = across + step_across * far, down + step_down * far
    upper = flat[left] + (flat[right] - flat[left]) * aside
    lower = flat[left + under] + (flat[right + under] - flat[left + under]) * aside
    return upper + (lower - upper) * below
