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

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

Window = Literal["gaussian", "uniform"]

_REACH = 5  # the wider window's radius; the narrower one has weight zero beyond its own
_STRIP = 128  # columns filtered at a time
_STRIDE = 144  # a strip's row with its margins: a constant distance between taps is what lets loops vectorise
_CHUNK = 16  # images whose maps or reference statistics are in memory only while they are needed
_C1 = (0.01 * 255) ** 2
_C2 = (0.03 * 255) ** 2


class _Kernel(NamedTuple):
    weights: tuple[float, ...]
    """From the centre outwards, for distances 0 to `_REACH`."""
    radius: int
    covariance: float
    """What makes the window's covariance the sample's, or 1."""


def _gaussian(sigma: float = 1.5) -> tuple[float, ...]:
    half = np.exp(-0.5 * np.square(np.arange(_REACH + 1) / sigma))
    return tuple(float(weight) for weight in half / (2 * half.sum() - half[0]))


_KERNELS = {
    "gaussian": _Kernel(_gaussian(), radius=5, covariance=1.0),
    "uniform": _Kernel((1 / 7,) * 4 + (0.0, 0.0), radius=3, covariance=49 / 48),
}


def _compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile at the first call and keep the code, where numba finds a folder to keep it in."""
    # Of fast math only the fused multiply-add: nothing is assumed finite, no sum reordered.
    compile_it = partial(njit, nogil=True, fastmath={"contract"}, error_model="numpy")
    compiled: Callable[..., Any]
    try:
        compiled = compile_it(cache=True)(function)
    except RuntimeError:
        compiled = compile_it()(function)
    return compiled


@_compiled
def _mirrored(index: int, length: int) -> int:
    if index < 0:
        return -1 - index
    return index if index < length else 2 * length - 1 - index


@_compiled
def _copy(source: Any, target: Any) -> None:
    for column in range(len(source)):
        target[column] = source[column]


@_compiled
def _add(source: Any, target: Any) -> None:
    for column in range(len(source)):
        target[column] += source[column]


@_compiled
def _multiply(plain: Any, square: Any, product: Any) -> None:
    for column in range(len(plain)):
        square[column] = plain[column] * plain[column]
        product[column] *= plain[column]


@_compiled
def _fill(image: Any, other: Any, left: int, width: int, planes: Any) -> None:
    """Lay out a strip: the image, its square, its product with the other image, mirrored at the edges."""
    # In float64, for covariances are small differences of large means.
    plain, square, product = planes
    height, whole = image.shape
    for padded in range(height + 2 * _REACH):
        pixels, others = image[_mirrored(padded - _REACH, height)], other[_mirrored(padded - _REACH, height)]
        start = padded * _STRIDE
        for column in range(-_REACH, 0):
            plain[start + _REACH + column] = pixels[_mirrored(left + column, whole)]
            product[start + _REACH + column] = others[_mirrored(left + column, whole)]
        for column in range(width, width + _REACH):
            plain[start + _REACH + column] = pixels[_mirrored(left + column, whole)]
            product[start + _REACH + column] = others[_mirrored(left + column, whole)]
        _copy(pixels[left : left + width], plain[start + _REACH :])
        _copy(others[left : left + width], product[start + _REACH :])
        end = start + width + 2 * _REACH
        _multiply(plain[start:end], square[start:end], product[start:end])


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
def _filter_row(plane: Any, row: int, weights: Any, down: Any, result: Any) -> None:
    """Write the windowed means around a strip's row; `down` is scratch for a row with its margins."""
    # Slices start at zero so that the compiler sees no negative index, which it could not vectorise.
    above = plane[row * _STRIDE :]
    for column in range(len(result) + 2 * _REACH):
        down[column] = _tap(above, column, _STRIDE, weights)
    for column in range(len(result)):
        result[column] = _tap(down, column, 1, weights)


@_compiled
def _scratch(height: int) -> Any:
    size = (height + 2 * _REACH) * _STRIDE
    return (np.empty(size), np.empty(size), np.empty(size)), np.empty(_STRIDE)


@_compiled
def _statistics(images: Any, weights: Any, mean: Any, square: Any) -> None:
    """Filter images and their squares."""
    count, height, whole = images.shape
    planes, down = _scratch(height)
    for index in range(count):
        for left in range(0, whole, _STRIP):
            right = min(left + _STRIP, whole)
            _fill(images[index], images[index], left, right - left, planes)
            for row in range(height):
                _filter_row(planes[0], row, weights, down, mean[index, row, left:right])
                _filter_row(planes[1], row, weights, down, square[index, row, left:right])


@_compiled
def _similarity(images: Any, reference: Any, which: Any, kernel: Any, result: Any) -> None:
    """Write the map of each image, and its mean without the border."""
    count, height, whole = images.shape
    others, means, squares = reference
    weights, border, covariance = kernel
    mean, maps = result
    planes, down = _scratch(height)
    strip, sums = np.empty((3, _STRIP)), np.empty(whole)
    for index in range(count):
        sums[:] = 0
        for left in range(0, whole, _STRIP):
            right = min(left + _STRIP, whole)
            u, uu, uv = strip[0, : right - left], strip[1, : right - left], strip[2, : right - left]
            _fill(images[index], others[which[index]], left, right - left, planes)
            for row in range(height):
                _filter_row(planes[0], row, weights, down, u)
                _filter_row(planes[1], row, weights, down, uu)
                _filter_row(planes[2], row, weights, down, uv)
                v, vv = means[which[index], row, left:right], squares[which[index], row, left:right]
                similar = maps[index, row, left:right]
                for column in range(right - left):
                    product, power = u[column] * v[column], u[column] * u[column] + v[column] * v[column]
                    both = covariance * (uu[column] + vv[column] - power)
                    joint = covariance * (uv[column] - product)
                    similar[column] = (2 * product + _C1) * (2 * joint + _C2) / ((power + _C1) * (both + _C2))
                if border <= row < height - border:
                    _add(similar, sums[left:right])
        inside = sums[border : whole - border]
        mean[index] = inside.sum() / (inside.size * (height - 2 * border))


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
        _statistics(images, kernel.weights, mean, square)
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
        The map's mean without its border, in [-1, 1]; 1 only for equal images.
    maps : float32 array (N, H, W)
        The similarity at every pixel. A result depends on its two images alone, to the last bit, whatever
        else is in the batch.

    Raises
    ------
    ValueError
        If the arrays are not of these shapes and types, differ in shape, or are smaller than the window; if
        the window is unknown.
    """
    images, references = _pairs(images, references, window)
    mean, maps = np.empty(len(images), np.float32), np.empty(images.shape, np.float32)
    for part in _chunks(len(images)):
        reference = Reference.of(references[part], window)
        _compare(images[part], reference, np.arange(len(reference.images)), mean[part], maps[part])
    return mean, maps


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
    images, which = _assigned(images, reference, which)
    mean, maps = np.empty(len(images), np.float32), np.empty(images.shape, np.float32)
    _compare(images, reference, which, mean, maps)
    return mean, maps


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
    if not 0 <= low <= 1:
        raise ValueError(f"low is {low}, not in [0, 1]")
    images, which = _assigned(images, reference, which)
    mean, lowest = np.empty(len(images), np.float32), np.empty(len(images), np.float32)
    border = _KERNELS[reference.window].radius
    maps = np.empty((min(_CHUNK, len(images)), *images.shape[1:]), np.float32)
    for part in _chunks(len(images)):
        chunk = maps[: len(images[part])]
        _compare(images[part], reference, which[part], mean[part], chunk)
        inside = chunk[:, border:-border, border:-border].reshape(len(chunk), -1)
        rank = int(low * (inside.shape[1] - 1))
        lowest[part] = np.partition(inside, rank, axis=1)[:, rank]
    return mean, lowest


def _compare(
    images: NDArray[Any],
    reference: Reference,
    which: NDArray[np.intp],
    mean: NDArray[np.float32],
    maps: NDArray[np.float32],
) -> None:
    statistics = (reference.images, reference.mean, reference.square)
    _similarity(images, statistics, which, tuple(_KERNELS[reference.window]), (mean, maps))


def _chunks(count: int) -> list[slice]:
    return [slice(start, start + _CHUNK) for start in range(0, count, _CHUNK)]


def _kernel(window: str) -> _Kernel:
    if window not in _KERNELS:
        raise ValueError(f"window is {window!r}, not one of {', '.join(_KERNELS)}")
    return _KERNELS[window]


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
            f"{name} of {images.shape[1]}x{images.shape[2]} are smaller than the {window} window of {side}x{side}"
        )
    return images


def _pairs(images: NDArray[Any], references: NDArray[Any], window: str) -> tuple[NDArray[Any], NDArray[Any]]:
    """Check two stacks and that they pair up."""
    images, references = _stack(images, "images", window), _stack(references, "references", window)
    if images.shape != references.shape:
        raise ValueError(f"images of shape {images.shape} do not pair with references of {references.shape}")
    return images, references


def _assigned(
    images: NDArray[Any], reference: Reference, which: NDArray[np.integer[Any]]
) -> tuple[NDArray[Any], NDArray[np.intp]]:
    """Check images, their references' size, and that every image has one: the kernel checks no index."""
    images, which = _stack(images, "images", reference.window), np.asarray(which)
    count, *size = reference.images.shape
    if list(images.shape[1:]) != size:
        raise ValueError(
            f"images of {images.shape[1]}x{images.shape[2]} do not match references of {size[0]}x{size[1]}"
        )
    if which.shape != images.shape[:1] or not np.issubdtype(which.dtype, np.integer):
        raise ValueError(
            f"which is {which.dtype} of shape {which.shape}, not one integer for each of {len(images)} images"
        )
    outside = which[(which < 0) | (which >= count)]
    if outside.size:
        raise ValueError(f"which holds {outside[0]}, and there are {count} references")
    return images, which.astype(np.intp)
