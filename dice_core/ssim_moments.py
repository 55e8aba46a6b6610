"""What a window sees of images by themselves, computed once for any number of comparisons."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dice_core.ssim_kernel import centre, measure
from dice_core.ssim_window import BORDER, Kernel, Planes, make_kernel, make_planes

_FEWEST = 32 * 32  # windows whose mean evens out the errors of single precision; fewer are taken in double


class Moments(NamedTuple):
    """Moments of images as the compiled loops compare them, float32 or, of small images, float64."""

    centred: NDArray[Any]
    """The images less the middle of their range, (N, H, W)."""
    mean: NDArray[Any]
    """Windowed means of those, where the windows lie inside the image, (N, H', W')."""
    spread: NDArray[Any]
    """Half their windowed variances, with a constant, (N, H', W')."""
    middle: NDArray[Any]
    """The middles, (N,)."""

    @classmethod
    def room(cls, count: int, shape: tuple[int, ...], window: str) -> "Moments":
        """Make room for those of images of this height and width."""
        inside = tuple(side - 2 * BORDER[window] for side in shape)
        precision = np.float32 if inside[0] * inside[1] >= _FEWEST else np.float64
        sizes = (count, *shape), (count, *inside), (count, *inside), (count,)
        return cls(*(np.empty(size, precision) for size in sizes))

    def tools(self, window: str) -> tuple[Kernel, Planes]:
        """Make what the loops need to filter in this precision."""
        precision = self.centred.dtype.type
        return make_kernel(window, precision), make_planes(precision, 2)

    def fill(self, images: NDArray[Any], kernel: Kernel, planes: Planes) -> None:
        """Compute them of as many images, uint8 or float32 (N, H, W)."""
        centre(images, self.centred, self.middle)
        measure(tuple(self), kernel, planes)
