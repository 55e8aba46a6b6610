"""Normalised cross-correlation of images with templates, with skimage.feature.match_template semantics."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import fft

_CHUNK = 32
"""Images normalised at a time: at 128x128 their copy stays in the second-level cache."""
_FLAT = 1e-13
"""Window energy, relative to its image's, that rounding in the integral images can leave of a flat window."""


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
        return cls(_normalised(templates), templates.shape[1:])


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
    for start in range(0, len(images), _CHUNK):
        rows = _normalised(images[start : start + _CHUNK])
        # One product per image: a product of all images at once is no faster for a dozen templates, and
        # BLAS would round it differently from batch to batch.
        scores[start : start + _CHUNK] = np.matmul(ready.matrix, rows[:, :, None])[:, :, 0]
    return np.clip(scores, -1, 1, out=scores)


def ncc_shift(
    images: NDArray[Any], templates: NDArray[Any] | Templates, shift: int
) -> tuple[NDArray[np.float32], NDArray[np.int32], NDArray[np.int32]]:
    """Correlate every image with every template at its best translation of up to `shift` pixels.

    The template, cropped by `shift` on every side, is searched inside the image: the score is that of
    ``match_template(image, template[shift:-shift, shift:-shift]).max()``.

    Parameters
    ----------
    images : uint8 or float32 array (N, H, W)
    templates : uint8 or float32 array (F, H, W), or Templates
    shift : int
        The farthest translation in pixels along each axis; 0 or more, less than half of H and W.

    Returns
    -------
    scores : float32 array (N, F)
        Correlation coefficients in [-1, 1]; 0 where the cropped template, or the window beneath it, is flat.
    dy, dx : int32 arrays (N, F)
        How far down and right of the template's own place the image shows it, in [-shift, shift]. Among
        equal scores the smallest translation counts.

    Raises
    ------
    ValueError
        As `ncc`, or if `shift` leaves nothing of the template.

    References
    ----------
    J. P. Lewis, "Fast Normalized Cross-Correlation", Vision Interface (1995): the product by Fourier
    transform, the windows' energy from integral images.
    """
    images, ready = _matched(images, templates)
    height, width = ready.shape
    if not 0 <= 2 * shift < min(height, width):
        raise ValueError(f"shift {shift} is not from 0 to less than half of {height}x{width}")
    crop = (height - 2 * shift, width - 2 * shift)
    # Correlation ignores gain and offset, so what is cropped may well be the normalised template.
    cropped = ready.matrix.reshape(-1, height, width)[
        :, shift : shift + crop[0], shift : shift + crop[1]
    ].astype(np.float64)
    flat = np.ptp(cropped, axis=(1, 2)) == 0
    cropped -= cropped.mean(axis=(1, 2), keepdims=True)
    length = np.sqrt(np.square(cropped).sum(axis=(1, 2)))
    cropped *= np.where(flat, 0, 1 / np.where(flat, 1, length))[:, None, None]
    # Valid placements never reach around the edge, so a transform of the image's own size is circular enough.
    size = (fft.next_fast_len(height, real=True), fft.next_fast_len(width, real=True))
    spectra = np.conj(fft.rfft2(cropped, s=size))

    side = 2 * shift + 1
    row, column = (axis.ravel() - shift for axis in np.indices((side, side)))
    nearest = np.argsort(row**2 + column**2, kind="stable")
    scores = np.empty((len(images), len(cropped)), np.float32)
    best = np.empty(scores.shape, np.intp)
    for index, image in enumerate(images):
        # A whole number as pivot keeps the integral images of uint8 exact, so a flat window is exactly flat.
        centred = image - np.rint(image.mean(dtype=np.float64))
        product = fft.irfft2(fft.rfft2(centred, s=size) * spectra, s=size)[:, :side, :side]
        similarity = (product * _inverse_length(centred, crop)).reshape(len(cropped), -1)[:, nearest]
        chosen = similarity.argmax(axis=1)
        best[index] = nearest[chosen]
        scores[index] = np.take_along_axis(similarity, chosen[:, None], axis=1)[:, 0]
    np.clip(scores, -1, 1, out=scores)
    return scores, row[best].astype(np.int32), column[best].astype(np.int32)


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
    if images.shape[1:] != ready.shape:
        raise ValueError(
            f"images of {images.shape[1]}x{images.shape[2]} do not match templates of "
            f"{ready.shape[0]}x{ready.shape[1]}"
        )
    return images, ready


def _normalised(images: NDArray[Any]) -> NDArray[np.float32]:
    """Images as float32 rows of zero mean and unit length, (N, H * W); a flat image as zeros."""
    flat = images.reshape(len(images), -1)
    # The sum of equal float32 values is exact in float64, hence so is a flat image's mean: it leaves zeros.
    mean = flat.mean(axis=1, dtype=np.float64, keepdims=True)
    rows: NDArray[np.float32] = np.subtract(flat, mean.astype(np.float32), dtype=np.float32)
    if images.dtype != np.uint8:
        # Float images may vary by less than the first mean's rounding; the second mean has their own scale.
        rows -= rows.mean(axis=1, dtype=np.float64, keepdims=True).astype(np.float32)
    length = np.sqrt(np.matmul(rows[:, None, :], rows[:, :, None])[:, 0, 0])
    rows *= np.divide(1, length, out=np.zeros_like(length), where=length != 0)[:, None]
    return rows


def _inverse_length(centred: NDArray[np.float64], crop: tuple[int, int]) -> NDArray[np.float64]:
    """1 / length of every window of size `crop` after its mean is removed; 0 where the window is flat."""
    total = _window_sums(centred, crop)
    energy = _window_sums(np.square(centred), crop) - np.square(total) / (crop[0] * crop[1])
    varied = energy > _FLAT * np.square(centred).sum()
    inverse: NDArray[np.float64] = np.where(varied, 1 / np.sqrt(np.where(varied, energy, 1)), 0)
    return inverse


def _window_sums(values: NDArray[np.float64], crop: tuple[int, int]) -> NDArray[np.float64]:
    """Sum over every window of size `crop`, from an integral image."""
    integral = np.pad(values, ((1, 0), (1, 0))).cumsum(axis=0).cumsum(axis=1)
    rows = integral[crop[0] :] - integral[: -crop[0]]
    sums: NDArray[np.float64] = rows[:, crop[1] :] - rows[:, : -crop[1]]
    return sums
