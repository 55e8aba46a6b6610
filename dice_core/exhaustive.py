"""The classic method in full: every image against every mean template, at every small translation."""

from typing import Any

import numpy as np
import numpy.typing as npt

from dice_core.match import ShiftTemplates, ncc_shift
from dice_core.ssim import Reference, ssim_all

SHIFT = 4 / 128
"""Farthest translation along each axis that a template is searched at, as a share of the longer side."""


class Exhaustive:
    """Compares images with all mean templates of a bank.

    Parameters
    ----------
    means
        Mean templates, float32 (F, H, W), grey levels: of the bank's size, not of its grid.
    """

    def __init__(self, means: npt.NDArray[np.float32]) -> None:
        self._templates = ShiftTemplates.of(means, round(SHIFT * max(means.shape[1:])))
        self._means = Reference.of(means)

    def compare(self, images: npt.NDArray[np.uint8]) -> dict[str, npt.NDArray[Any]]:
        """Compare images, (N, H, W), with every template.

        Returns
        -------
        dict
            Arrays of (N, F): ncc_shifted, the normalised cross-correlation at its best translation, and that
            translation, shift_x and shift_y, pixels (right and down); ssim_faces, the mean structural
            similarity without translation. Both scores are -1..1.
        """
        similarity, down, right = ncc_shift(images, self._templates, self._templates.shift)
        return {
            "ncc_shifted": similarity,
            "shift_x": right,
            "shift_y": down,
            "ssim_faces": ssim_all(images, self._means),
        }
