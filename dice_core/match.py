"""Normalised cross-correlation of images with templates, with skimage.feature.match_template semantics."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dice_core import match_kernel, shift_kernel
from dice_core.shift_kernel import LANES

_CHUNK = 32
"""Images normalised and multiplied at a time."""
_CACHE = 2**19
"""Bytes of spectra at a time: what stays in the second-level cache while templates pass by."""


@dataclass(frozen=True, eq=False)
class Templates:
    """Templates made ready for `ncc`: mean removed, scaled to unit length.

    Attributes
    ----------
    matrix : float32 array (F, H * W)
        One template per row; all zero where the template is flat.
    shape : tuple of int
        The templates' height and width in pixels.
    """

    matrix: NDArray[np.float32]
    shape: tuple[int, int]

    @classmethod
    def of(cls, templates: NDArray[Any]) -> "Templates":
        """Normalise templates once, for any number of batches.

        Parameters
        ----------
        templates : uint8 or float32 array (F, H, W)
            Grey values; only their differences matter.

        Raises
        ------
        ValueError
            If the templates are not such an array, or hold a value that is not finite.
        """
        templates = _stack(templates, "templates")
        if not np.isfinite(templates).all():
            raise ValueError("templates hold a value that is not finite")
        count, height, width = templates.shape
        return cls(_normalised(templates, np.empty((count, height * width), np.float32)), (height, width))


@dataclass(frozen=True, eq=False)
class ShiftTemplates:
    """Templates made ready for `ncc_shift`: cropped by the shift, normalised, their rows transformed.

    Attributes
    ----------
    crops : float32 array (F, H - 2 * shift, W - 2 * shift)
        Zero mean and unit length; all zero where the cropped template is flat.
    spectra : float32 array (F, groups, rows * 3 * LANES)
        The rows' spectra by group of frequencies, as three real products take them; rows and n are rounded up
        to what the loops take.
    forth : float32 array (2, groups, n / 2, LANES)
        Cosines and sines that take an image's folded rows to frequencies.
    back : float32 array (2, shift + 1, n / 2)
        Those that take frequencies back to translations across.
    places : integers ((2 * shift + 1) ** 2, 2)
        Translations down and right, counted from the farthest up and left; the smallest first.
    shape : tuple of int
        Height and width in pixels before the crop.
    shift : int
        The farthest translation in pixels.
    """

    crops: NDArray[np.float32]
    spectra: NDArray[np.float32]
    forth: NDArray[np.float32]
    back: NDArray[np.float32]
    places: NDArray[np.intp]
    shape: tuple[int, int]
    shift: int

    @classmethod
    def of(cls, templates: NDArray[Any] | Templates, shift: int) -> "ShiftTemplates":
        """Crop, normalise and transform templates once, for any number of batches.

        Parameters
        ----------
        templates : uint8 or float32 array (F, H, W), or Templates
        shift : int
            The farthest translation in pixels along each axis; 0 or more, less than half of H and W.

        Raises
        ------
        ValueError
            As `Templates.of`, or if `shift` leaves nothing of the template.
        """
        ready = templates if isinstance(templates, Templates) else Templates.of(templates)
        height, width = ready.shape
        if not 0 <= 2 * shift < min(height, width):
            raise ValueError(f"shift {shift} is not from 0 to less than half of {height}x{width}")
        # Correlation ignores gain and offset, so what is cropped may well be the normalised template.
        cropped = ready.matrix.reshape(-1, height, width)[
            :, shift : height - shift, shift : width - shift
        ].astype(np.float64)
        flat = np.ptp(cropped, axis=(1, 2)) == 0
        cropped -= cropped.mean(axis=(1, 2), keepdims=True)
        length = np.sqrt(np.square(cropped).sum(axis=(1, 2)))
        cropped *= np.where(flat, 0, 1 / np.where(flat, 1, length))[:, None, None]
        # n is no less than the width, or what is moved out of the image would come in at its other side.
        half = _rounded(width, 2 * LANES) // 2
        angle = np.outer(np.arange(2 * half), (np.arange(half) + 0.5) * np.pi / half)
        waves = np.stack([np.cos(angle), np.sin(angle)])
        even, odd = np.zeros((2, len(cropped), _rounded(cropped.shape[1], shift_kernel.ROWS), half))
        for part, wave in zip((even, odd), waves, strict=True):
            part[:, : cropped.shape[1]] = cropped @ wave[shift : width - shift]
        spectra = np.stack([_grouped(part) for part in (even, odd - even, even + odd)], axis=-2)
        forth = waves[:, :half].copy()
        # The sine's first row is zero: in its place the middle pixel is taken, which meets no cosine.
        forth[1, 0] = waves[1, half]
        side = 2 * shift + 1
        places = np.array(list(np.ndindex(side, side)))
        return cls(
            cropped.astype(np.float32),
            spectra.reshape(*spectra.shape[:2], spectra.shape[2] * 3 * LANES),
            _grouped(forth),
            # A real signal's other half of frequencies is the conjugate: each of these counts twice.
            (waves[:, : shift + 1] / half).astype(np.float32),
            places[np.argsort(np.square(places - shift).sum(axis=1), kind="stable")],
            ready.shape,
            shift,
        )


def ncc(images: NDArray[Any], templates: NDArray[Any] | Templates) -> NDArray[np.float32]:
    """Correlate every image with every template of the same size, without shift.

    Parameters
    ----------
    images : uint8 or float32 array (N, H, W)
        Grey values; a float image that holds NaN scores NaN.
    templates : uint8 or float32 array (F, H, W), or Templates

    Returns
    -------
    float32 array (N, F)
        Correlation coefficients in [-1, 1]; 0 where image or template is flat. A score depends on its image
        and template alone, to the last bit, whatever else is in the batch.

    Raises
    ------
    ValueError
        If an array is not of these shapes and types, or the sizes of images and templates differ.

    References
    ----------
    J. P. Lewis, "Fast Normalized Cross-Correlation", Vision Interface (1995), equation 2.
    """
    images, ready = _matched(images, templates)
    scores = np.empty((len(images), len(ready.matrix)), np.float32)
    # Fresh memory costs as much as the scores: one buffer serves all.
    buffer = np.empty((min(_CHUNK, len(images)), ready.matrix.shape[1]), np.float32)
    for start in range(0, len(images), _CHUNK):
        rows = _normalised(images[start : start + _CHUNK], buffer)
        # BLAS would round a product of all images at once differently from batch to batch.
        match_kernel.products(rows, ready.matrix, scores[start : start + _CHUNK])
    return np.clip(scores, -1, 1, out=scores)


def ncc_shift(
    images: NDArray[Any], templates: NDArray[Any] | Templates | ShiftTemplates, shift: int
) -> tuple[NDArray[np.float32], NDArray[np.int32], NDArray[np.int32]]:
    """Correlate every image with every template at its best translation of up to `shift` pixels.

    The template, cropped by `shift` on every side, is searched inside the image: the score is that of
    ``match_template(image, template[shift:-shift, shift:-shift]).max()``.

    Parameters
    ----------
    images : uint8 or float32 array (N, H, W)
        Grey values; a float image that holds NaN or infinity scores NaN.
    templates : uint8 or float32 array (F, H, W), Templates, or ShiftTemplates made for this shift
    shift : int
        The farthest translation in pixels along each axis; 0 or more, less than half of H and W.

    Returns
    -------
    scores : float32 array (N, F)
        Correlation coefficients in [-1, 1]; 0 where the cropped template, or the window beneath it, is flat.
    dy, dx : int32 arrays (N, F)
        How far down and right of the template's own place the image shows it, in [-shift, shift]. Among
        equal scores, as far as float32 can tell, the smallest translation counts. Score and translation
        depend on their image and template alone, to the last bit.

    Raises
    ------
    ValueError
        As `ncc`, if `shift` leaves nothing of the template, or if the templates were made for another shift.

    References
    ----------
    J. P. Lewis, "Fast Normalized Cross-Correlation", Vision Interface (1995): the product by Fourier
    transform, here of rows alone, the windows' energy from running sums.
    """
    if not isinstance(templates, ShiftTemplates):
        templates = ShiftTemplates.of(templates, shift)
    elif templates.shift != shift:
        raise ValueError(f"templates are made for a shift of {templates.shift}, not {shift}")
    ready = templates
    images = _stack(images, "images")
    _same_size(images, ready.shape)
    side, half = 2 * shift + 1, ready.forth.shape[2]
    scores = np.empty((len(images), len(ready.crops)), np.float32)
    best = np.empty(scores.shape, np.intp)
    # Rows beyond the image stay zero: the loops take more of them than there are.
    rows = ready.spectra.shape[2] // (3 * LANES) + _rounded(side, shift_kernel.STEPS)
    chunk = max(1, _CACHE // (3 * rows * half * scores.itemsize))
    folded = np.zeros((2, min(chunk, len(images)), rows, half), np.float32)
    inverse = np.empty((folded.shape[1], side, side))
    shape = (folded.shape[1], half // LANES, rows)
    buffers = [np.empty((*shape, *planes, LANES), np.float32) for planes in ((), (), (3,))]
    for start in range(0, len(images), chunk):
        part = _plain(images[start : start + chunk])
        even, odd, lengths = folded[0, : len(part)], folded[1, : len(part)], inverse[: len(part)]
        shift_kernel.fold(part, ready.crops.shape[1:], even, odd, lengths)
        # One product per image, so that BLAS rounds alike whatever else is in the batch.
        real, imaginary, planes = (buffer[: len(part)] for buffer in buffers)
        np.matmul(even[:, None], ready.forth[0], out=real)
        np.matmul(odd[:, None], ready.forth[1], out=imaginary)
        shift_kernel.interleave(real, imaginary, planes)
        spectra = planes.reshape(*planes.shape[:2], -1)
        prepared = (ready.crops, ready.spectra, tuple(ready.back))
        result = (scores[start : start + chunk], best[start : start + chunk])
        shift_kernel.best(part, spectra, lengths, prepared, ready.places, result)
    np.clip(scores, -1, 1, out=scores)
    down, right = (ready.places - shift).astype(np.int32).T
    return scores, down[best], right[best]


def _rounded(count: int, multiple: int) -> int:
    return -(-count // multiple) * multiple


def _grouped(values: NDArray[np.float64]) -> NDArray[np.float32]:
    """Put groups of frequencies before the rows: (..., rows, n / 2) to (..., groups, rows, LANES)."""
    groups = values.reshape(*values.shape[:-1], values.shape[-1] // LANES, LANES).swapaxes(-2, -3)
    return np.ascontiguousarray(groups, np.float32)


def _stack(images: NDArray[Any], name: str) -> NDArray[Any]:
    """Refuse what is not a stack of uint8 or float32 images with at least one pixel."""
    images = np.asarray(images)
    if images.ndim != 3 or 0 in images.shape[1:]:  # noqa: PLR2004
        raise ValueError(f"{name} have shape {images.shape}, not (count, height, width)")
    if images.dtype not in (np.uint8, np.float32):
        raise ValueError(f"{name} are {images.dtype}, not uint8 or float32")
    return images


def _matched(images: NDArray[Any], templates: NDArray[Any] | Templates) -> tuple[NDArray[Any], Templates]:
    """Check images and templates and that they have one size."""
    images = _stack(images, "images")
    ready = templates if isinstance(templates, Templates) else Templates.of(templates)
    _same_size(images, ready.shape)
    return images, ready


def _same_size(images: NDArray[Any], shape: tuple[int, int]) -> None:
    if images.shape[1:] != shape:
        raise ValueError(
            f"images of {images.shape[1]}x{images.shape[2]} do not match templates of {shape[0]}x{shape[1]}"
        )


def _plain(images: NDArray[Any]) -> NDArray[Any]:
    """Contiguous and writable, or the kernels would be compiled once more for each other kind of array."""
    return np.require(images, requirements=["C", "W"])


def _normalised(images: NDArray[Any], buffer: NDArray[np.float32]) -> NDArray[np.float32]:
    """Images as float32 rows of zero mean and unit length, (N, H * W); a flat image as zeros."""
    rows = buffer[: len(images)]
    normalise = match_kernel.normalise_bytes if images.dtype == np.uint8 else match_kernel.normalise
    normalise(_plain(images).reshape(rows.shape), rows)
    return rows
