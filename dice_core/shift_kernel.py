"""The compiled loops of normalised cross-correlation with translations: sums of windows and of spectra.

Rows of pixels are transformed with frequencies of half an odd number of cycles, exp(-2i pi (k + 1/2) x / n):
none of them is real alone, so n real pixels are n / 2 complex numbers, all of one weight. What reaches around
the edge changes its sign; no translation that is asked for does. Along columns nothing is transformed: few
translations are wanted, and their products are sums over rows.
"""

from typing import Any

import numpy as np

from dice_core.compiled import compiled
from dice_core.match_kernel import mean_of

LANES = 32  # frequencies side by side: constant, or the loops over rows would not vectorise
ROWS = 8  # rows of a template whose products are added in registers before the sums are stored
_STRIDE = 3 * LANES  # of rows: a complex product is three real ones
STEPS = 3  # translations down that each of them is read for
_FLAT = 1e-13  # window energy, relative to its image's, that rounding of sums can leave of a flat window
_FAINT = 0.01  # window energy, relative to its image's, below which float32 transforms are not exact enough
_EQUAL = 1e-6  # what rounding of float32 can put between equal scores

# Nothing is assumed finite. Sums along a row may be reordered, or they would not vectorise; the order is that
# of the compiled code, the same for every image and template.
_compiled = compiled(fastmath={"contract"})
_reordered = compiled(fastmath={"contract", "reassoc"})


@_compiled
def _add(pixels: Any, pivot: Any, sign: Any, sums: Any, squares: Any) -> None:
    for column in range(len(sums)):
        value = np.float64(pixels[column]) - pivot
        sums[column] += sign * value
        squares[column] += sign * value * value


@_reordered
def _total(values: Any) -> Any:
    total = np.float64(0)
    for value in values:
        total += value
    return total


@_compiled
def _windows(image: Any, pivot: Any, crop: Any, inverse: Any) -> None:
    """Write 1 / length of every window after its mean is removed, marked as `fold` says."""
    down, across = inverse.shape
    height, width = crop
    sums, squares = np.zeros(image.shape[1]), np.zeros(image.shape[1])
    for row in range(height):
        _add(image[row], pivot, 1.0, sums, squares)
    # Windows share most of what they hold; the rows and columns that they do not are added and taken away.
    for dy in range(down):
        if dy:
            _add(image[dy + height - 1], pivot, 1.0, sums, squares)
            _add(image[dy - 1], pivot, -1.0, sums, squares)
        total, square = _total(sums[:width]), _total(squares[:width])
        for dx in range(across):
            if dx:
                total += sums[dx + width - 1] - sums[dx - 1]
                square += squares[dx + width - 1] - squares[dx - 1]
            inverse[dy, dx] = square - total * total / (height * width)
    whole = _total(squares)
    for row in range(down - 1):
        squares[:] = 0
        _add(image[row], pivot, 1.0, sums, squares)
        whole += _total(squares)
    for dy in range(down):
        for dx in range(across):
            energy = inverse[dy, dx]
            if energy <= _FLAT * whole:
                inverse[dy, dx] = 0
            else:
                inverse[dy, dx] = (-1 if energy < _FAINT * whole else 1) / np.sqrt(energy)


@_compiled
def _split(centred: Any, cosines: Any, sines: Any) -> None:
    """Write what of a row meets cosines, which change their sign at the middle, and what meets sines."""
    half = len(cosines)
    cosines[0], sines[0] = centred[0], centred[half]
    forth, back = centred[1:half], centred[:half:-1]
    for at in range(half - 1):
        cosines[at + 1] = forth[at] - back[at]
        sines[at + 1] = forth[at] + back[at]


@_compiled
def _centre(pixels: Any, mean: Any, centred: Any) -> None:
    for at in range(len(pixels)):
        centred[at] = np.float64(pixels[at]) - mean


@_compiled
def fold(images: Any, crop: Any, even: Any, odd: Any, inverse: Any) -> None:
    """Write what the row transform takes of each centred image, and what its windows are divided by.

    Parameters
    ----------
    images : (N, H, W)
    crop : (height, width) of a window
    even, odd : float32 (N, at least H, n / 2)
        What meets cosines and sines. Rows beyond H are left alone.
    inverse : float64 (N, H - height + 1, W - width + 1)
        1 / length of each window after its mean is removed; 0 where it is flat, negative where it is too
        faint beside its image for float32, NaN where the image is not finite.
    """
    centred = np.zeros(2 * even.shape[2], np.float32)
    for index in range(len(images)):
        image = images[index]
        mean = mean_of(image.ravel())
        if not np.isfinite(mean):
            mean = np.nan
        # A whole number as pivot keeps the sums of uint8 exact, so a flat window is exactly flat.
        _windows(image, np.rint(mean), crop, inverse[index])
        for row in range(len(image)):
            _centre(image[row], mean, centred)
            _split(centred, even[index, row], odd[index, row])


@_compiled
def interleave(real: Any, imaginary: Any, spectra: Any) -> None:
    """Write (..., 3, LANES) of what three real products take of an image: its parts added, and each."""
    for index in np.ndindex(real.shape[:3]):
        one, other, planes = real[index], imaginary[index], spectra[index]
        for k in range(LANES):
            planes[0, k], planes[1, k], planes[2, k] = one[k] + other[k], other[k], one[k]


@_compiled
def _correlate(image: Any, template: Any, sums: Any) -> None:
    """Sum over rows the image's spectrum times the conjugate of the template's, for every translation down.

    A pass adds the products of `ROWS` rows for `STEPS` translations in registers. It is no function of its
    own, and image, template and sums are one array each: a third of the time would go into counting
    references and into checks that they do not overlap.
    """
    sums[:] = 0
    for group in range(len(sums)):
        for row in range(0, template.shape[1] // _STRIDE, ROWS):
            t = template[group, row * _STRIDE :]
            for dy in range(0, sums.shape[1] // _STRIDE, STEPS):
                i, s = image[group, (row + dy) * _STRIDE :], sums[group, dy * _STRIDE :]
                for k in range(LANES):
                    p0, q0, r0 = s[k], s[LANES + k], s[2 * LANES + k]
                    p1, q1, r1 = s[_STRIDE + k], s[_STRIDE + LANES + k], s[_STRIDE + 2 * LANES + k]
                    p2, q2, r2 = (
                        s[2 * _STRIDE + k],
                        s[2 * _STRIDE + LANES + k],
                        s[2 * _STRIDE + 2 * LANES + k],
                    )
                    for step in range(ROWS):
                        at, below, last = (
                            step * _STRIDE + k,
                            (step + 1) * _STRIDE + k,
                            (step + 2) * _STRIDE + k,
                        )
                        a, b, c = t[at], t[at + LANES], t[at + 2 * LANES]
                        p0 += i[at] * a
                        q0 += i[at + LANES] * b
                        r0 += i[at + 2 * LANES] * c
                        p1 += i[below] * a
                        q1 += i[below + LANES] * b
                        r1 += i[below + 2 * LANES] * c
                        p2 += i[last] * a
                        q2 += i[last + LANES] * b
                        r2 += i[last + 2 * LANES] * c
                    s[k], s[LANES + k], s[2 * LANES + k] = p0, q0, r0
                    s[_STRIDE + k], s[_STRIDE + LANES + k], s[_STRIDE + 2 * LANES + k] = p1, q1, r1
                    s[2 * _STRIDE + k], s[2 * _STRIDE + LANES + k], s[2 * _STRIDE + 2 * LANES + k] = (
                        p2,
                        q2,
                        r2,
                    )


@_compiled
def _gather(sums: Any, real: Any, imaginary: Any) -> None:
    """Make complex numbers of the three sums, one translation down after the other."""
    for group in range(len(sums)):
        for dy in range(len(real)):
            three = sums[group, dy * _STRIDE :]
            even, odd = real[dy, group * LANES :], imaginary[dy, group * LANES :]
            for k in range(LANES):
                even[k], odd[k] = three[k] + three[LANES + k], three[2 * LANES + k] - three[k]


@_reordered
def _back(real: Any, imaginary: Any, waves: Any, inverse: Any, similarity: Any) -> None:
    """Take the sums from frequencies back to translations across, and divide by the windows' lengths."""
    cosine, sine = waves
    shift = len(cosine) - 1
    for dy in range(len(real)):
        for dx in range(shift + 1):
            even = odd = np.float32(0)
            for k in range(real.shape[1]):
                even += real[dy, k] * cosine[dx, k]
                odd += imaginary[dy, k] * sine[dx, k]
            similarity[dy, shift + dx] = (even - odd) * inverse[dy, shift + dx]
            similarity[dy, shift - dx] = (even + odd) * inverse[dy, shift - dx]


@_reordered
def _direct(image: Any, template: Any, dy: Any, dx: Any) -> Any:
    """Multiply one window, its mean removed, with the template."""
    height, width = template.shape
    mean = np.float64(0)
    for row in range(height):
        mean += mean_of(image[dy + row, dx : dx + width])
    mean /= height
    total = np.float64(0)
    for row in range(height):
        pixels, weights = image[dy + row, dx : dx + width], template[row]
        for at in range(width):
            total += (np.float64(pixels[at]) - mean) * np.float64(weights[at])
    return total


@_compiled
def _place(similarity: Any, order: Any) -> Any:
    """Find the greatest similarity and the first place in order that is as good; NaN has the first."""
    most = similarity[order[0, 0], order[0, 1]]
    for value in similarity.flat:
        most = max(most, value)
    for place in range(len(order)):
        if similarity[order[place, 0], order[place, 1]] >= most - _EQUAL:
            return most, place
    return np.nan, 0


@_compiled
def best(images: Any, spectra: Any, inverse: Any, templates: Any, order: Any, result: Any) -> None:
    """Write the score of each template at its best place in each image, and which place of `order` that is.

    Parameters
    ----------
    images : (N, H, W)
    spectra : float32 (N, groups, rows * 3 * LANES)
        The transformed rows, by group of frequencies, as `interleave` writes them.
    inverse : float64 (N, S, S)
        As `fold` writes it, for S = 2 * shift + 1 translations along each axis.
    templates : tuple
        The cropped templates (F, height, width); their spectra (F, groups, rows * 3 * LANES): the cosines'
        part, the sines' less that, both added; and the waves, a pair of (shift + 1, n / 2), that take
        frequencies back to translations across.
    order : integers (S * S, 2)
        Translations, the smallest first.
    result : pair of float32 and integers (N, F)
    """
    (crops, prepared, waves), (scores, which) = templates, result
    side, groups = inverse.shape[1], spectra.shape[1]
    sums = np.empty((groups, -(-side // STEPS) * STEPS * _STRIDE), np.float32)
    real, imaginary = (
        np.empty((side, groups * LANES), np.float32),
        np.empty((side, groups * LANES), np.float32),
    )
    similarity = np.empty((side, side))
    for number in range(len(crops)):
        for index in range(len(images)):
            _correlate(spectra[index], prepared[number], sums)
            _gather(sums, real, imaginary)
            _back(real, imaginary, waves, inverse[index], similarity)
            for dy in range(side):
                for dx in range(side):
                    if inverse[index, dy, dx] < 0:
                        product = _direct(images[index], crops[number], dy, dx)
                        similarity[dy, dx] = -inverse[index, dy, dx] * product
            scores[index, number], which[index, number] = _place(similarity, order)
