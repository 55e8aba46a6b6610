"""Alignment: how the images of one face are evened and laid on each other."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from dice_core.affine import compose, jitter, warp
from dice_core.exposure import Exposure, even
from dice_core.part import find_part
from dice_core.register import Registration

LAYINGS = 2
"""How often images are laid on their mean and the mean taken anew, until edges are sharp."""


@dataclass(frozen=True)
class Alignment:
    """What a face's images are brought to.

    Attributes
    ----------
    mean
        Mean of the images as photographed, float32 (H, W).
    target
        Mean of the evened images laid on each other, float32 (H, W).
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
        part = find_part(mean)
        evened = even(images, part, Exposure.of(mean, part))
        target = mean_of(evened)
        for _ in range(LAYINGS):
            target = mean_of(warp(evened, Registration.to(target, part).transforms(evened)))
        part = find_part(target)
        return cls(mean, target, part, Exposure.of(mean, part))

    def align(
        self, images: npt.NDArray[np.uint8], unsteady: np.random.Generator | None = None
    ) -> npt.NDArray[np.float32]:
        """Even images, (N, H, W), and lay them on the target; with a source of chance a little beside it."""
        evened = even(images, self.part, self.exposure)
        transforms = Registration.to(self.target, self.part).transforms(evened)
        if unsteady is not None:
            transforms = compose(transforms, jitter(len(images), max(self.target.shape), unsteady))
        return warp(evened, transforms)


def mean_of(images: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    """Take the mean of images, (N, H, W) to (H, W)."""
    return np.asarray(images.mean(axis=0, dtype=np.float64), np.float32)
