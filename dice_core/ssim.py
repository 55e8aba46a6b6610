"""Structural similarity of a batch of images, as skimage.metrics.structural_similarity defines it.

Every function compares grey values on the scale of 0 to 255 with K1 = 0.01 and K2 = 0.03, in one of two
windows: ``"gaussian"``, 11x11 with sigma 1.5 and population covariance, as the paper has it
(``gaussian_weights=True, use_sample_covariance=False``), and ``"uniform"``, 7x7 with sample covariance
(scikit-image's default). Images are mirrored at their edges, and means leave out the border of half a window
where the mirrored pixels would tell.

References
----------
Z. Wang, A. C. Bovik, H. R. Sheikh, E. P. Simoncelli, "Image quality assessment: from error visibility to
structural similarity", IEEE Transactions on Image Processing 13 (2004), equation 13.
"""

from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dice_core.ssim_kernel import KERNELS, Kernel, similarity, statistics

Window = Literal["gaussian", "uniform"]

_CHUNK = 16  # images whose maps are in memory where only their scores are wanted


@dataclass(frozen=True, eq=False)
class Reference:
    """Reference images with what the window sees of them, computed once for any number of batches.

    Attributes
    ----------
    images : float32 array (F, H, W)
    mean, square : float64 arrays (F, H, W)
        The windowed means of the images and of their squares.
    window : {"gaussian", "uniform"}
    """

    images: NDArray[np.float32]
    mean: NDArray[np.float64]
    square: NDArray[np.float64]
    window: Window

    @classmethod
    def of(cls, templates: NDArray[Any], window: Window = "gaussian") -> "Reference":
        """Filter the reference images.

        Parameters
        ----------
        templates : uint8 or float32 array (F, H, W)
            Grey values from 0 to 255.
        window : {"gaussian", "uniform"}

        Raises
        ------
        ValueError
            If the templates are not such an array or smaller than the window, or the window is unknown.
        """
        kernel = _kernel(window)
        images = _stack(templates, "templates", window).astype(np.float32)
        mean, square = np.empty(images.shape), np.empty(images.shape)
        statistics(images, kernel.weights, mean, square)
        return cls(images, mean, square, window)


def ssim(
    images: NDArray[Any], references: NDArray[Any], window: Window = "gaussian"
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Compare image i with reference i.

    Parameters
    ----------
    images, references : uint8 or float32 arrays (N, H, W)
        Grey values from 0 to 255.
    window : {"gaussian", "uniform"}

    Returns
    -------
    mean : float32 array (N,)
        The map's mean without its border, in [-1, 1]; 1 for equal images.
    maps : float32 array (N, H, W)
        The similarity at every pixel. A result depends on its two images alone, to the last bit, whatever
        else is in the batch.

    Raises
    ------
    ValueError
        If the arrays are not of these shapes and types, differ in shape, or are smaller than the window; if
        the window is unknown.
    """
    return _maps(_paired(images, references, window))


def ssim_map(
    images: NDArray[Any], reference: Reference, which: NDArray[np.integer[Any]]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Compare image i with the reference image ``which[i]``.

    Parameters
    ----------
    images : uint8 or float32 array (N, H, W)
        Grey values from 0 to 255.
    reference : Reference
    which : integer array (N,)
        Indices into the reference, from 0.

    Returns
    -------
    mean, maps
        As `ssim`.

    Raises
    ------
    ValueError
        As `ssim`, or if an index has no reference image.
    """
    return _maps(_assigned(images, reference, which))


def ssim_scores(
    images: NDArray[Any], reference: Reference, which: NDArray[np.integer[Any]], low: float = 0.01
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Summarise what `ssim_map` would return, without its maps in memory.

    Parameters
    ----------
    images, reference, which
        As `ssim_map`.
    low : float
        The fraction of the map's pixels that lies below the second result, in [0, 1].

    Returns
    -------
    mean : float32 array (N,)
        As `ssim`.
    lowest : float32 array (N,)
        The map's value of rank ``floor(low * (n - 1))``, counted from 0 upwards among the n pixels that are
        not border, in [-1, 1].

    Raises
    ------
    ValueError
        As `ssim_map`, or if `low` is not a fraction.
    """
    return _scores(_assigned(images, reference, which), low)


def ssim_pair_scores(
    images: NDArray[Any], references: NDArray[Any], window: Window = "gaussian", low: float = 0.01
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Summarise what `ssim` would return, without its maps in memory.

    Parameters
    ----------
    images, references, window
        As `ssim`.
    low : float
        As `ssim_scores`.

    Returns
    -------
    mean, lowest : float32 arrays (N,)
        As `ssim_scores`.

    Raises
    ------
    ValueError
        As `ssim`, or if `low` is not a fraction.
    """
    return _scores(_paired(images, references, window), low)


class _Comparison(NamedTuple):
    """Checked arguments: images, the references' images and statistics, and which of them is each image's."""

    images: NDArray[Any]
    reference: tuple[NDArray[np.float32], NDArray[np.float64], NDArray[np.float64]]
    which: NDArray[np.intp]
    kernel: Kernel

    def write(self, part: slice, mean: NDArray[np.float32], maps: NDArray[np.float32]) -> None:
        similarity(self.images[part], self.reference, self.which[part], tuple(self.kernel), (mean, maps))


def _paired(images: NDArray[Any], references: NDArray[Any], window: str) -> _Comparison:
    images, references = _stack(images, "images", window), _stack(references, "references", window)
    if images.shape != references.shape:
        raise ValueError(f"images of shape {images.shape} do not pair with references of {references.shape}")
    none = np.empty((0, 0, 0))
    told = (references.astype(np.float32, copy=False), none, none)
    return _Comparison(images, told, np.arange(len(images)), KERNELS[window])


def _assigned(images: NDArray[Any], reference: Reference, which: NDArray[np.integer[Any]]) -> _Comparison:
    images, which = _stack(images, "images", reference.window), np.asarray(which)
    count, height, width = reference.images.shape
    if images.shape[1:] != (height, width):
        raise ValueError(
            f"images of {images.shape[1]}x{images.shape[2]} do not match references of {height}x{width}"
        )
    if which.shape != images.shape[:1] or not np.issubdtype(which.dtype, np.integer):
        raise ValueError(
            f"which is {which.dtype} of shape {which.shape}, not one integer for each of {len(images)} images"
        )
    outside = which[(which < 0) | (which >= count)]
    if outside.size:
        raise ValueError(f"which holds {outside[0]}, and there are {count} references")
    told = (reference.images, reference.mean, reference.square)
    return _Comparison(images, told, which.astype(np.intp), KERNELS[reference.window])


def _maps(comparison: _Comparison) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    mean = np.empty(len(comparison.images), np.float32)
    maps = np.empty(comparison.images.shape, np.float32)
    comparison.write(slice(None), mean, maps)
    return mean, maps


def _scores(comparison: _Comparison, low: float) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Compare a few images at a time and keep the mean and the low rank of their maps."""
    if not 0 <= low <= 1:
        raise ValueError(f"low is {low}, not in [0, 1]")
    count, height, width = comparison.images.shape
    border = comparison.kernel.radius
    rank = int(low * ((height - 2 * border) * (width - 2 * border) - 1))
    mean, lowest = np.empty(count, np.float32), np.empty(count, np.float32)
    maps = np.empty((min(_CHUNK, count), height, width), np.float32)
    for start in range(0, count, _CHUNK):
        part = slice(start, start + _CHUNK)
        chunk = maps[: len(mean[part])]
        comparison.write(part, mean[part], chunk)
        inside = chunk[:, border:-border, border:-border].reshape(len(chunk), -1)
        lowest[part] = np.partition(inside, rank, axis=1)[:, rank]
    return mean, lowest


def _kernel(window: str) -> Kernel:
    if window not in KERNELS:
        raise ValueError(f"window is {window!r}, not one of {', '.join(KERNELS)}")
    return KERNELS[window]


def _stack(images: NDArray[Any], name: str, window: str) -> NDArray[Any]:
    """Refuse what is not a stack of uint8 or float32 images that hold the window; make it contiguous."""
    images = np.ascontiguousarray(images)
    side = 2 * _kernel(window).radius + 1
    if images.ndim != 3:  # noqa: PLR2004
        raise ValueError(f"{name} have shape {images.shape}, not (count, height, width)")
    if images.dtype not in (np.uint8, np.float32):
        raise ValueError(f"{name} are {images.dtype}, not uint8 or float32")
    if min(images.shape[1:]) < side:
        raise ValueError(
            f"{name} of {images.shape[1]}x{images.shape[2]} are smaller than the {window} window of "
            f"{side}x{side}"
        )
    return images
