"""Residual: what of an image its own rebuilt template does not explain, in units of the good images' spread.

The rebuilt template is the face's mean plus the image's projection on the face's variation templates, its
principal components (Turk and Pentland, "Eigenfaces for recognition", 1991). A defect is not among the
variations of good parts, so it stays in the difference.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from dice_core.compiled import compiled
from dice_core.gaussian import filter_image, half_gaussian, room
from dice_core.reduction import reduce_image

SMOOTHING = 1.75 / 128
"""Standard deviation of the Gaussian that gathers a defect's evidence, in shares of the longer side."""
SURROUND = 6 / 128
"""That of the surroundings which it is compared with: what changes more slowly than this is light."""
_FINEST = 1.5
"""Pixels that the surroundings' standard deviation keeps at least where they are reduced."""

Images = npt.NDArray[np.float32]


def rebuild(images: Images, centre: Images, components: Images, rebuilt: Images | None = None) -> Images:
    """Rebuild each image's own template from a face's mean and variation templates.

    Parameters
    ----------
    images
        Evened and aligned images, (N, H, W).
    centre
        The face's mean of such images, (H, W).
    components
        Orthonormal variation templates, (K, H * W).
    rebuilt
        Contiguous room for what is returned, if there is any: fresh memory costs a quarter of the time.

    Returns
    -------
    ndarray
        float32 (N, H, W), in the units of `images`.
    """
    rebuilt = np.subtract(images, centre, out=rebuilt, dtype=np.float32)
    flat = rebuilt.reshape(len(images), centre.size)
    # In this order of factors BLAS packs the few images rather than the many templates.
    coefficients = (components @ flat.T).T
    np.matmul(coefficients, components, out=flat)
    rebuilt += centre
    return rebuilt


def band_pass(residual: Images) -> Images:
    """Smooth the residual, less its surroundings: a difference of Gaussians, (N, H, W), grey levels.

    What is as wide as a light's gradient goes, what is as small as a grain is averaged away, and an edge that
    lies a little beside its place, dark on one side and bright on the other, cancels (Marr and Hildreth,
    Proc. Royal Society B 207, 1980). Where only the surroundings differ the pixel itself does not, and has
    nothing. Beyond the image the residual is 0.
    """
    level = np.ones(residual.shape[1:], np.float32)
    return evidence(residual, level, level)


def evidence(residual: Images, spread_dark: Images, spread_bright: Images) -> Images:
    """Give the band-passed residual in units of what good images show at that place.

    Parameters
    ----------
    residual
        Aligned image minus rebuilt template, (N, H, W); negative where the image is too dark.
    spread_dark, spread_bright
        Root mean square of good images' negative and positive band-passed residuals, (H, W), same units,
        positive.

    Returns
    -------
    ndarray
        float32 (N, H, W), no unit; negative where the image is too dark.
    """
    side = max(residual.shape[1:])
    surround = SURROUND * side
    # The surroundings are as wide as that a reduced image shows them as well; squares and interpolation
    # widen them a little themselves.
    factor = max(1, int(surround / _FINEST))
    widened = (factor**2 - 1) / 12 + (factor**2 / 6 if factor > 1 else 0)
    wide = half_gaussian(np.sqrt(surround**2 - widened) / factor)
    found = np.empty(residual.shape, np.float32)
    weights = (1 / spread_dark).astype(np.float32), (1 / spread_bright).astype(np.float32)
    _pass_band(residual, half_gaussian(SMOOTHING * side), wide, factor, weights, found)
    return found


@compiled(fastmath={"contract"})
def _pass_band(images: Any, narrow: Any, wide: Any, factor: int, weights: Any, found: Any) -> None:
    count, height, width = images.shape
    rows, columns = -(-height // factor), -(-width // factor)
    plane, lines = room(height, width, narrow)
    wide_plane, wide_lines = room(rows, columns, wide)
    sums, reduced = np.empty(factor * columns, np.float32), np.empty((rows, columns), np.float32)
    around, stretched = np.empty((rows, columns), np.float32), np.empty((rows, width), np.float32)
    left, right, way = np.empty(width, np.uint32), np.empty(width, np.uint32), np.empty(width, np.float32)
    for x in range(width):
        before, way[x] = _between(x, factor, columns)
        left[x], right[x] = before, min(before + 1, columns - 1)
    for n in range(count):
        filter_image(images[n], narrow, False, plane, lines, found[n])
        reduce_image(images[n], factor, sums, reduced)
        filter_image(reduced, wide, False, wide_plane, wide_lines, around)
        for y in range(rows):
            for x in range(width):
                stretched[y, x] = around[y, left[x]] * (1 - way[x]) + around[y, right[x]] * way[x]
        for y in range(height):
            above, share = _between(y, factor, rows)
            surroundings = stretched[above], stretched[min(above + 1, rows - 1)], share
            _subtract(found[n, y], surroundings, weights[0][y], weights[1][y])


@compiled()
def _between(at: int, factor: int, count: int) -> Any:
    """Tell the reduced pixel before a place, and how far it is on the way to the next."""
    place = min(max((at + 0.5) / factor - 0.5, 0.0), count - 1.0)
    return int(place), np.float32(place - int(place))


@compiled(fastmath={"contract"})
def _subtract(own: Any, surroundings: Any, dark: Any, bright: Any) -> None:
    """Take the surroundings off as far as they leave a sign, and weigh what is left by that sign's weight."""
    above, under, share = surroundings
    zero = np.float32(0)
    for x in range(own.size):
        less = own[x] - (above[x] + (under[x] - above[x]) * share)
        low, high = min(max(less, own[x]), zero), max(min(less, own[x]), zero)
        own[x] = low * dark[x] + high * bright[x]
