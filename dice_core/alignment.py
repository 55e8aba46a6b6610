"""Alignment: how the images of one face are evened and laid on each other."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from dice_core.affine import Images, compose, jitter, lay
from dice_core.exposure import Evened, Exposure, even
from dice_core.grid import Grid
from dice_core.part import find_part
from dice_core.reduction import reduce, shrink
from dice_core.register import Registration

LAYINGS = 2
"""How often images are laid on their mean and the mean taken anew, until edges are sharp."""
AT_ONCE = 16
"""Images evened at once: their squares are several times as large as what is laid."""


@dataclass(frozen=True)
class Alignment:
    """What a face's images are brought to.

    Attributes
    ----------
    mean
        Mean of the images as photographed, float32 (H, W) of the images.
    target
        Mean of the evened images laid on each other, float32 (H, W) of their grid.
    part
        Which pixels of the target are the part, bool (H, W).
    exposure
        How images are evened.
    """

    mean: npt.NDArray[np.float32]
    target: npt.NDArray[np.float32]
    part: npt.NDArray[np.bool_]
    exposure: Exposure

    @classmethod
    def of(cls, images: npt.NDArray[np.uint8]) -> "Alignment":
        """Find it for good images of one face, uint8 (N, H, W), N at least 1."""
        mean = mean_of(images)
        (shown,) = reduce(mean[None], Grid.of((mean.shape[0], mean.shape[1])).pixels)
        part = find_part(shown)
        exposure = Exposure.of(shown, part)
        target = mean_of(np.concatenate([evened.reduced for _, evened in _evened(images, part, exposure)]))
        for _ in range(LAYINGS):
            target = mean_of(cls(mean, target, part, exposure).align(images))
        part = find_part(target)
        return cls(mean, target, part, Exposure.of(shown, part))

    def align(self, images: npt.NDArray[np.uint8], unsteady: np.random.Generator | None = None) -> Images:
        """Even images and lay them on the target, (N, H, W); with a source of chance a little beside it."""
        moves = None if unsteady is None else jitter(len(images), max(self.target.shape), unsteady)
        registration = Registration.to(self.target, self.part)
        laid = np.empty((len(images), *self.target.shape), np.float32)
        for few, evened in _evened(images, self.part, self.exposure):
            transforms = registration.transforms(evened.reduced)
            lay(evened.squares, transforms if moves is None else compose(transforms, moves[few]), laid[few])
        return laid


def _evened(
    images: npt.NDArray[np.uint8], part: npt.NDArray[np.bool_], exposure: Exposure
) -> Iterator[tuple[slice, Evened]]:
    """Even images, a few at a time."""
    reduction = Grid.of((images.shape[1], images.shape[2])).reduction
    for start in range(0, len(images), AT_ONCE):
        few = slice(start, start + AT_ONCE)
        yield few, even(shrink(images[few], reduction), part, exposure)


def mean_of(images: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    """Take the mean of images, (N, H, W) to (H, W)."""
    return np.asarray(images.mean(axis=0, dtype=np.float64), np.float32)
