"""What a window sees of images by themselves, computed once for any number of comparisons."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dice_core.ssim_kernel import SIZE, SLAB, measure
from dice_core.ssim_product import COLUMNS, make_room, make_tools
from dice_core.ssim_window import BORDER

_FEWEST = 32 * 32  # windows whose mean evens out the errors of single precision; fewer are taken in double


def precision_of(high: int, wide: int) -> type[np.floating[Any]]:
    """Tell in which precision the mean over so many windows is taken."""
    return np.float32 if high * wide >= _FEWEST else np.float64


class Moments(NamedTuple):
    """Moments of images as the compiled loops compare them, float32 or, of small images, float64."""

    slabs: NDArray[Any]
    """The images cut into slabs, (N, slabs down, slabs across, `SIZE`)."""
    middles: NDArray[Any]
    """Grey values subtracted from each, (N,)."""

    @classmethod
    def of(cls, images: NDArray[Any], window: str) -> "Moments":
        """Compute them of images, uint8 or float32 (N, H, W)."""
        high, wide = (side - 2 * BORDER[window] for side in images.shape[1:])
        precision = precision_of(high, wide)
        shape = len(images), -(-high // SLAB), -(-wide // COLUMNS), SIZE
        moments = cls(*make_room([shape, (len(images),)], precision))
        measure(images, make_tools(window, precision), *moments)
        return moments
