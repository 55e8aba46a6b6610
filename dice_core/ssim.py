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
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from dice_core.ssim_kernel import FEW, SIZE, compare
from dice_core.ssim_map import maps
from dice_core.ssim_moments import Moments, precision_of
from dice_core.ssim_pair import STRIP, draw
from dice_core.ssim_product import ROWS, STRIDE, make_room, make_tools
from dice_core.ssim_window import BORDER, WINDOWS, make_planes

Window = Literal["gaussian", "uniform"]

_CHUNK = 16  # images whose maps are in memory where only their scores are wanted


@dataclass(frozen=True, eq=False)
class Reference:
    """Reference images with what the window sees of them, computed once for any number of batches.

    Attributes
    ----------
    images : float32 array (F, H, W)
    moments : Moments
    window : {"gaussian", "uniform"}
    """

    images: NDArray[np.float32]
    moments: Moments
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
        images = _stack(templates, "templates", window).astype(np.float32)
        return cls(images, Moments.of(images, window), window)


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
    images, references = _paired(images, references, window)
    border = BORDER[window]
    margins = ((0, 0), (border, border), (border, border))
    drawn = np.empty(images.shape, np.float32)
    mirrored = (np.pad(stack, margins, mode="symmetric") for stack in (images, references))
    maps(*mirrored, WINDOWS[window], make_planes(4), drawn)
    inside = drawn[:, border:-border, border:-border]
    return np.array([one.mean(dtype=np.float64) for one in inside], np.float32), drawn


def ssim_all(images: NDArray[Any], reference: Reference) -> NDArray[np.float32]:
    """Compare every image with every reference image, by the mean alone.

    Parameters
    ----------
    images : uint8 or float32 array (N, H, W)
        Grey values from 0 to 255.
    reference : Reference

    Returns
    -------
    float32 array (N, F)
        As the mean of `ssim`, in single precision: of photographs right to 2e-6, of pictures of nothing but
        hard edges and patterns that repeat to 2e-5. A result depends on its two images alone, to the last
        bit.

    Raises
    ------
    ValueError
        As `ssim`.
    """
    images = _sized(images, reference)
    which = np.tile(np.arange(len(reference.images)), (len(images), 1))
    return _means(images, reference, which)


def ssim_mean(
    images: NDArray[Any], reference: Reference, which: NDArray[np.integer[Any]]
) -> NDArray[np.float32]:
    """Compare image i with the reference image ``which[i]``, by the mean alone.

    Parameters
    ----------
    images, reference
        As `ssim_all`.
    which : integer array (N,)
        Indices into the reference, from 0.

    Returns
    -------
    float32 array (N,)
        What `ssim_all` would give for these pairs, to the last bit.

    Raises
    ------
    ValueError
        As `ssim`, or if an index has no reference image.
    """
    images = _sized(images, reference)
    which = _indices(which, len(images), len(reference.images))
    return _means(images, reference, which[:, None])[:, 0]


def ssim_map(
    images: NDArray[Any], reference: Reference, which: NDArray[np.integer[Any]]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Compare image i with the reference image ``which[i]``, pixel by pixel.

    Parameters
    ----------
    images, reference, which
        As `ssim_mean`.

    Returns
    -------
    mean, maps
        As `ssim`.

    Raises
    ------
    ValueError
        As `ssim_mean`.
    """
    images = _sized(images, reference)
    which = _indices(which, len(images), len(reference.images))
    return ssim(images, reference.images[which], reference.window)


def ssim_pair_scores(
    images: NDArray[Any], references: NDArray[Any], window: Window = "gaussian", low: float = 0.01
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Summarise what `ssim` would return, without its maps in memory and in single precision.

    Parameters
    ----------
    images, references, window
        As `ssim`.
    low : float
        The fraction of the map's pixels that lies below the second result, in [0, 1].

    Returns
    -------
    mean : float32 array (N,)
        As `ssim`, right to 2e-6.
    lowest : float32 array (N,)
        The map's value of rank ``floor(low * (n - 1))``, counted from 0 upwards among the n pixels that are
        not border, in [-1, 1]; of low ranks right to 5e-5.

    Raises
    ------
    ValueError
        As `ssim`, or if `low` is not a fraction.
    """
    if not 0 <= low <= 1:
        raise ValueError(f"low is {low}, not in [0, 1]")
    images, references = _paired(images, references, window)
    border = BORDER[window]
    count, (high, wide) = len(images), (side - 2 * border for side in images.shape[1:])
    rank, precision = int(low * (high * wide - 1)), precision_of(high, wide)
    mean, lowest = np.empty((2, count), np.float32)
    tools = make_tools(window, precision)
    strips = tuple(make_room([(size,) for size in (STRIP, STRIP, ROWS * STRIDE, ROWS * STRIDE)], precision))
    drawn = np.empty((min(_CHUNK, count), high, wide), np.float32)
    for start in range(0, count, _CHUNK):
        part = slice(start, start + _CHUNK)
        chunk = drawn[: len(mean[part])]
        draw(images[part], references[part], tools, strips, chunk, mean[part])
        values = chunk.reshape(len(chunk), -1)
        values.partition(rank, axis=1)
        lowest[part] = values[:, rank]
    return mean, lowest


def _means(images: NDArray[Any], reference: Reference, which: NDArray[np.intp]) -> NDArray[np.float32]:
    """Compare image i with the references that ``which[i]`` lists, a few images at a time."""
    result = np.empty(which.shape, np.float32)
    slabs, middles = reference.moments
    tools = make_tools(reference.window, slabs.dtype.type)
    # An image's slab is fetched anew for every reference, a reference's for every few images.
    few = max(1, min(FEW, which.shape[1] // 2, len(images)))
    (room,) = make_room([(few, SIZE)], slabs.dtype.type)
    compare(images, slabs, middles, which, tools, room, result)
    return result


def _paired(images: NDArray[Any], references: NDArray[Any], window: str) -> tuple[NDArray[Any], NDArray[Any]]:
    images, references = _stack(images, "images", window), _stack(references, "references", window)
    if images.shape != references.shape:
        raise ValueError(f"images of shape {images.shape} do not pair with references of {references.shape}")
    return images.astype(np.float32, copy=False), references.astype(np.float32, copy=False)


def _sized(images: NDArray[Any], reference: Reference) -> NDArray[Any]:
    images = _stack(images, "images", reference.window)
    _, height, width = reference.images.shape
    if images.shape[1:] != (height, width):
        raise ValueError(
            f"images of {images.shape[1]}x{images.shape[2]} do not match references of {height}x{width}"
        )
    return images


def _indices(which: NDArray[np.integer[Any]], images: int, references: int) -> NDArray[np.intp]:
    which = np.asarray(which)
    if which.shape != (images,) or not np.issubdtype(which.dtype, np.integer):
        raise ValueError(
            f"which is {which.dtype} of shape {which.shape}, not one integer for each of {images} images"
        )
    outside = which[(which < 0) | (which >= references)]
    if outside.size:
        raise ValueError(f"which holds {outside[0]}, and there are {references} references")
    return which.astype(np.intp)


def _stack(images: NDArray[Any], name: str, window: str) -> NDArray[Any]:
    """Refuse what is not a stack of uint8 or float32 images that hold the window; make it contiguous."""
    images = np.ascontiguousarray(images)
    if window not in BORDER:
        raise ValueError(f"window is {window!r}, not one of {', '.join(BORDER)}")
    side = 2 * BORDER[window] + 1
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
