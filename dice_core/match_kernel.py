"""The compiled loops of normalised cross-correlation without shift: rows and their products."""

from typing import Any

import numpy as np

from dice_core.compiled import compiled, index

_TILE = 4  # images by templates multiplied at a time: their 16 sums stay in registers
_BLOCK = 256  # pixels multiplied at a time: few enough to add in float32, the squares of bytes even exactly


# Sums may be reordered, or they would not vectorise; the order is that of the compiled code, the same for
# every image and template. Nothing is assumed finite.
_reordered = compiled(fastmath={"contract", "reassoc"})


@_reordered
def mean_of(pixels: Any) -> Any:
    """Average in float64, exact where all pixels are equal."""
    total = np.float64(0)
    for pixel in pixels:
        total += np.float64(pixel)
    # So is the sum of equal float32 values.
    return total / len(pixels)


@_reordered
def normalise(images: Any, rows: Any) -> None:
    """Write float images (N, P) as float32 rows of zero mean and unit length; a flat image as zeros."""
    for number in range(len(images)):
        pixels, row = images[number], rows[number]
        count = index(len(row))
        mean = np.float32(mean_of(pixels))
        for at in range(count):
            row[at] = np.float32(pixels[at]) - mean
        # They may vary by less than their mean's rounding: the mean of what is left has their own scale.
        mean = np.float32(mean_of(row))
        energy = np.float64(0)
        for at in range(count):
            row[at] -= mean
            energy += np.float64(row[at]) * np.float64(row[at])
        scale = np.float32(1 / np.sqrt(energy) if energy != 0 else 0)
        for at in range(count):
            row[at] *= scale


@_reordered
def normalise_bytes(images: Any, rows: Any) -> None:
    """Do the same with images of bytes, whose sums are exact."""
    for number in range(len(images)):
        pixels, row = images[number], rows[number]
        count, total, squares = len(pixels), np.float64(0), np.float64(0)
        for begin in range(0, count, _BLOCK):
            some, power = _sums(pixels, index(begin), index(min(begin + _BLOCK, count)))
            total += some
            squares += power
        energy = squares - total * total / count
        mean, scale = np.float32(total / count), np.float32(1 / np.sqrt(energy) if energy > 0 else 0)
        for at in range(index(count)):
            row[at] = (np.float32(pixels[at]) - mean) * scale


@_reordered
def _sums(pixels: Any, begin: Any, end: Any) -> Any:
    """Add pixels and their squares."""
    total, squares = np.float32(0), np.float32(0)
    for at in range(begin, end):
        value = np.float32(pixels[at])
        total += value
        squares += value * value
    return total, squares


@_reordered
def _tile(rows: Any, columns: Any, first: Any, second: Any, span: Any, sums: Any) -> None:
    """Add the products of four rows with four columns over a span of pixels."""
    begin, end = span
    a0, a1, a2, a3 = (
        rows[first, begin:end],
        rows[min(first + 1, len(rows) - 1), begin:end],
        rows[min(first + 2, len(rows) - 1), begin:end],
        rows[min(first + 3, len(rows) - 1), begin:end],
    )
    b0, b1, b2, b3 = (
        columns[second, begin:end],
        columns[min(second + 1, len(columns) - 1), begin:end],
        columns[min(second + 2, len(columns) - 1), begin:end],
        columns[min(second + 3, len(columns) - 1), begin:end],
    )
    s00 = s01 = s02 = s03 = np.float32(0)
    s10 = s11 = s12 = s13 = np.float32(0)
    s20 = s21 = s22 = s23 = np.float32(0)
    s30 = s31 = s32 = s33 = np.float32(0)
    for at in range(index(end - begin)):
        s00 += a0[at] * b0[at]
        s01 += a0[at] * b1[at]
        s02 += a0[at] * b2[at]
        s03 += a0[at] * b3[at]
        s10 += a1[at] * b0[at]
        s11 += a1[at] * b1[at]
        s12 += a1[at] * b2[at]
        s13 += a1[at] * b3[at]
        s20 += a2[at] * b0[at]
        s21 += a2[at] * b1[at]
        s22 += a2[at] * b2[at]
        s23 += a2[at] * b3[at]
        s30 += a3[at] * b0[at]
        s31 += a3[at] * b1[at]
        s32 += a3[at] * b2[at]
        s33 += a3[at] * b3[at]
    found = ((s00, s01, s02, s03), (s10, s11, s12, s13), (s20, s21, s22, s23), (s30, s31, s32, s33))
    for i in range(_TILE):
        for j in range(_TILE):
            sums[first + i, second + j] += found[i][j]


@_reordered
def products(rows: Any, columns: Any, result: Any) -> None:
    """Write the product of every row (N, P) with every column (F, P), rounded alike wherever they stand."""
    count, others = result.shape
    sums = np.zeros((count + _TILE, others + _TILE))
    for begin in range(0, rows.shape[1], _BLOCK):
        span = (begin, min(begin + _BLOCK, rows.shape[1]))
        for second in range(0, others, _TILE):
            for first in range(0, count, _TILE):
                _tile(rows, columns, first, second, span, sums)
    # One by one: assigned as a piece they would have numba compile the words for pieces that do not fit.
    for row in range(count):
        for column in range(others):
            result[row, column] = sums[row, column]
