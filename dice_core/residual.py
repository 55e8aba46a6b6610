"""Residual: what of an image its own rebuilt template does not explain, in units of the good images' spread.

The rebuilt template is the face's mean plus the image's projection on the face's variation templates, its
principal components (Turk and Pentland, "Eigenfaces for recognition", 1991). A defect is not among the
variations of good parts, so it stays in the difference.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from dice_core.compiled import compiled, index
from dice_core.gaussian import filter_image, half_gaussian, room
from dice_core.reduction import PAIRS, reduce_image

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
    around, edged = np.empty((rows, columns), np.float32), np.empty(columns + 2, np.float32)
    stretched = np.empty((rows, factor * columns), np.float32)
    for n in range(count):
        filter_image(images[n], narrow, False, plane, lines, found[n])
        reduce_image(images[n], factor, np.float32(0), sums, reduced)
        filter_image(reduced, wide, False, wide_plane, wide_lines, around)
        _stretch(around, factor, edged, stretched)
        _subtract(stretched, factor, weights[0], weights[1], found[n])


@compiled(fastmath={"contract"})
def _stretch(reduced: Any, factor: int, edged: Any, stretched: Any) -> None:
    """Interpolate the rows of a reduced image at the columns it was reduced from; its edges go on."""
    rows, columns = index(reduced.shape[0]), index(reduced.shape[1])
    for y in range(rows):
        for x in range(columns):
            edged[x + index(1)] = reduced[y, x]
        edged[0], edged[columns + index(1)] = reduced[y, 0], reduced[y, columns - index(1)]
        if factor == PAIRS:  # a stride that the compiler knows is vectorised
            near, far = np.float32(0.75), np.float32(0.25)
            for x in range(columns):
                own = edged[x + index(1)] * near
                stretched[y, index(2) * x] = edged[x] * far + own
                stretched[y, index(2) * x + index(1)] = own + edged[x + index(2)] * far
            continue
        for phase in range(index(factor)):
            # Pixels equally far into their squares lie equally far between the same two.
            way = (phase + 0.5) / factor - 0.5
            start, share = (index(0), np.float32(1 + way)) if way < 0 else (index(1), np.float32(way))
            for x in range(columns):
                before, after = edged[start + x], edged[start + x + index(1)]
                stretched[y, index(factor) * x + phase] = before + (after - before) * share


@compiled(fastmath={"contract"})
def _subtract(stretched: Any, factor: int, dark: Any, bright: Any, found: Any) -> None:
    """Take the surroundings off as far as they leave a sign, and weigh what is left by that sign's weight."""
    zero = np.float32(0)
    for y in range(index(found.shape[0])):
        place = min(max((y + 0.5) / factor - 0.5, 0.0), stretched.shape[0] - 1.0)
        above = index(place)
        under, share = min(above + index(1), index(stretched.shape[0] - 1)), np.float32(place - above)
        for x in range(index(found.shape[1])):
            own = found[y, x]
            less = own - (stretched[above, x] + (stretched[under, x] - stretched[above, x]) * share)
            low, high = min(max(less, own), zero), max(min(less, own), zero)
            found[y, x] = low * dark[y, x] + high * bright[y, x]
