"""Spread: how far band-passed residuals of good images go at each place, the dark and the bright apart."""

from dataclasses import replace
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from dice_core.face import Face

FLOOR_DARK, FLOOR_BRIGHT = 2.0, 4.5
"""Grey levels that every spread has besides what was seen: noise, JPEG and, where too bright, reflections."""

NEIGHBOURS = 1 / 128
"""Standard deviation of the Gaussian over places that share their causes, in shares of the longer side."""


class Spreads:
    """Sums of squares of held-out band-passed residuals, the dark and the bright ones apart."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        self._squares = np.zeros((2, *shape))
        self._counts = np.zeros((2, *shape))

    def add(self, residual: npt.NDArray[np.float32]) -> None:
        """Add band-passed residuals, (N, H, W), grey levels."""
        for side, kept in enumerate((residual < 0, residual >= 0)):
            self._squares[side] += np.square(residual, where=kept, out=np.zeros_like(residual)).sum(axis=0)
            self._counts[side] += kept.sum(axis=0)

    def close(self) -> "Spread":
        """Take root mean squares, smoothed since neighbours share their causes, with the floors added."""
        sigma = NEIGHBOURS * max(self._squares.shape[1:])
        mean = ndimage.gaussian_filter(self._squares / np.maximum(self._counts, 1), (0, sigma, sigma))
        dark, bright = np.sqrt(mean + np.square([FLOOR_DARK, FLOOR_BRIGHT])[:, None, None])
        return Spread(dark.astype(np.float32), bright.astype(np.float32))


class Spread(NamedTuple):
    """Spread of either side, float32 (H, W), grey levels, positive."""

    dark: npt.NDArray[np.float32]
    bright: npt.NDArray[np.float32]

    def lay_on(self, face: Face) -> Face:
        """Give a face this spread."""
        return replace(face, spread_dark=self.dark, spread_bright=self.bright)
