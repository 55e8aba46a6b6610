"""The compiled loops of normalised cross-correlation: normalised rows, their products, and shifted products.

Rows of pixels are transformed with frequencies of half an odd number of cycles, ``exp(-2i pi (k + 1/2) x / n)``:
none of them is real alone, so n real pixels are n / 2 complex numbers, all of one weight. What reaches around
the edge changes its sign; no translation that is asked for does. Along columns nothing is transformed: few
translations are wanted, and their products are sums over rows.
"""

from typing import Any

import numpy as np

from dice_core.compiled import compiled

ROWS = 8  # rows of a template per pass over the sums: what is added in registers before they are stored
_TILE = 4  # images by templates multiplied at a time: their 16 sums stay in registers
_BLOCK = 1024  # pixels multiplied at a time: those of a few dozen images stay in the second-level cache
_FLAT = 1e-13  # window energy, relative to its image's, that rounding of sums can leave of a flat window
_FAINT = 0.01  # window energy, relative to its image's, below which float32 transforms are not exact enough
_EQUAL = 1e-6  # what rounding of float32 can put between equal scores

# Sums may be reordered, or they would not vectorise; the order is that of the compiled code, the same for every
# image and template. Nothing is assumed finite.
_compiled = compiled(fastmath={"contract", "reassoc"})


@_compiled
def _mean(pixels: Any) -> Any:
    total = np.float64(0)
    for pixel in pixels:
        total += np.float64(pixel)
    # A sum of equal float32 values is exact in float64, hence so is a flat image's mean.
    return total / len(pixels)


@_compiled
def normalise(images: Any, again: Any, rows: Any) -> None:
    """Write images (N, P) as float32 rows of zero mean and unit length; a flat image as zeros.

    Float images, for which `again` is true, may vary by less than their mean's rounding: the mean of what is
    left has their own scale.
    """
    for index in range(len(images)):
        pixels, row = images[index], rows[index]
        mean = np.float32(_mean(pixels))
        for at in range(len(row)):
            row[at] = np.float32(pixels[at]) - mean
        if again:
            mean = np.float32(_mean(row))
            for at in range(len(row)):
                row[at] -= mean
        energy = np.float32(0)
        for at in range(len(row)):
            energy += row[at] * row[at]
        scale = np.float32(1) / np.sqrt(energy) if energy != 0 else np.float32(0)
        for at in range(len(row)):
            row[at] *= scale


@_compiled
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
    for at in range(end - begin):
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


@_compiled
def products(rows: Any, columns: Any, result: Any) -> None:
    """Write the product of every row (N, P) with every column (F, P), rounded alike wherever they stand."""
    count, others = result.shape
    sums = np.zeros((count + _TILE, others + _TILE), np.float32)
    for begin in range(0, rows.shape[1], _BLOCK):
        span = (begin, min(begin + _BLOCK, rows.shape[1]))
        for second in range(0, others, _TILE):
            for first in range(0, count, _TILE):
                _tile(rows, columns, first, second, span, sums)
    result[:] = sums[:count, :others]


@_compiled
def _slide(values: Any, window: Any, sums: Any) -> None:
    """Sum `window` values from each place on."""
    total = np.float64(0)
    for at in range(window):
        total += values[at]
    sums[0] = total
    for place in range(1, len(sums)):
        total += values[place + window - 1] - values[place - 1]
        sums[place] = total


@_compiled
def fold(images: Any, crop: Any, even: Any, odd: Any, energy: Any) -> None:
    """Write what the row transform takes of each centred image, and the energy of its windows.

    Parameters
    ----------
    images : (N, H, W)
    crop : (height, width) of a window
    even, odd : float32 (N, at least H, n / 2)
        What meets cosines and sines. Rows beyond H are left alone.
    energy : float64 (N, H - height + 1, W - width + 1)
        Sum of squares of each window after its mean is removed; 0 where it is flat, negative where it is too
        faint beside its image for float32, NaN where the image is not finite.
    """
    count, height, width = images.shape
    half = even.shape[2]
    down, across = energy.shape[1:]
    sums, squares = np.empty((across, height)), np.empty((across, height))
    line, square, centred = np.empty(width), np.empty(width), np.zeros(2 * half, np.float32)
    some, total, power = np.empty(across), np.empty(down), np.empty(down)
    for index in range(count):
        mean = _mean(images[index].ravel())
        # A whole number as pivot keeps the sums of uint8 exact, so a flat window is exactly flat.
        pivot, whole = np.rint(mean), np.float64(0)
        for row in range(height):
            pixels = images[index, row]
            for at in range(width):
                value = np.float64(pixels[at])
                centred[at] = value - mean
                line[at] = value - pivot
                square[at] = line[at] * line[at]
            _slide(line, crop[1], some)
            sums[:, row] = some
            _slide(square, crop[1], some)
            squares[:, row] = some
            for at in range(width):
                whole += square[at]
            cosines, sines = even[index, row], odd[index, row]
            cosines[0], sines[0] = centred[0], centred[half]
            for at in range(1, half):
                cosines[at] = centred[at] - centred[2 * half - at]
                sines[at] = centred[at] + centred[2 * half - at]
        for column in range(across):
            _slide(sums[column], crop[0], total)
            _slide(squares[column], crop[0], power)
            for row in range(down):
                left = power[row] - total[row] * total[row] / (crop[0] * crop[1])
                if left <= _FLAT * whole:
                    left = 0.0
                elif left < _FAINT * whole:
                    left = -left
                energy[index, row, column] = left if np.isfinite(whole) else np.nan


@_compiled
def _correlate(image: Any, template: Any, real: Any, imaginary: Any) -> None:
    """Sum over rows the image's spectrum times the conjugate of the template's, for every translation down.

    Both come with the sines as they are, not negated as a transform has them.
    """
    (a, b), (c, d) = image, template
    real[:], imaginary[:] = 0, 0
    for start in range(0, len(c), ROWS):
        for dy in range(len(real)):
            sums, others, first = real[dy], imaginary[dy], start + dy
            for k in range(c.shape[1]):
                one, other = sums[k], others[k]
                for j in range(ROWS):
                    one += a[first + j, k] * c[start + j, k] + b[first + j, k] * d[start + j, k]
                    other += a[first + j, k] * d[start + j, k] - b[first + j, k] * c[start + j, k]
                sums[k], others[k] = one, other


@_compiled
def _direct(image: Any, template: Any, dy: Any, dx: Any) -> Any:
    """The product of one window, its mean removed, with the template."""
    height, width = template.shape
    mean = np.float64(0)
    for row in range(height):
        mean += _mean(image[dy + row, dx : dx + width])
    mean /= height
    total = np.float64(0)
    for row in range(height):
        pixels, weights = image[dy + row, dx : dx + width], template[row]
        for at in range(width):
            total += (np.float64(pixels[at]) - mean) * np.float64(weights[at])
    return total


@_compiled
def best(images: Any, spectra: Any, energy: Any, templates: Any, order: Any, result: Any) -> None:
    """Write the score of each template at its best place in each image, and which place of `order` that is.

    Parameters
    ----------
    images : (N, H, W)
    spectra : pair of float32 (N, rows, n / 2)
        Real and imaginary part of the transformed rows.
    energy : float64 (N, S, S)
        As `fold` writes it, for S translations along each axis.
    templates : tuple
        The cropped templates (F, height, width), the parts of their spectra (F, rows, n / 2), and the waves
        (S, n / 2) that take frequencies back to translations across.
    order : integers (S * S, 2)
        Translations, the smallest first.
    result : pair of float32 and integers (N, F)
    """
    (a, b), (crops, c, d, cosine, sine), (scores, which) = spectra, templates, result
    side, half = cosine.shape
    real, imaginary = np.empty((side, half), np.float32), np.empty((side, half), np.float32)
    similarity = np.empty(len(order))
    for number in range(len(crops)):
        for index in range(len(images)):
            _correlate((a[index], b[index]), (c[number], d[number]), real, imaginary)
            most = -np.inf
            for place in range(len(order)):
                dy, dx = order[place]
                own = energy[index, dy, dx]
                total = np.float32(0)
                for k in range(half):
                    total += real[dy, k] * cosine[dx, k] - imaginary[dy, k] * sine[dx, k]
                if own > 0:
                    score = total / np.sqrt(own)
                elif own < 0:
                    score = _direct(images[index], crops[number], dy, dx) / np.sqrt(-own)
                else:
                    score = own  # 0, or NaN
                similarity[place] = score
                most = max(most, score)
            place = 0
            while similarity[place] < most - _EQUAL:
                place += 1
            which[index, number] = place
            scores[index, number] = most if similarity[0] == similarity[0] else np.nan
