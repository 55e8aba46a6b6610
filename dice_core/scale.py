"""Photographs of another size than the model's: whether they fit it, brought to it, and places in them.

Source: R. G. Keys, Cubic convolution interpolation for digital image processing, IEEE ASSP 29 (1981).
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

Size = tuple[int, int]
"""Height and width, in pixels."""
Columns = Mapping[str, npt.NDArray[Any]]


class OnSize(StrEnum):
    """What becomes of an image whose size is not the model's."""

    REJECT = "reject"
    RESIZE = "resize"
    """Where its aspect is the model's; otherwise it is rejected too."""


def has_aspect(photograph: Size, size: Size) -> bool:
    """Tell whether one scale brings both sides to those of `size`, each to within half a pixel."""
    (height, width), (down, across) = photograph, size
    return abs(height * across - down * width) <= max(height, width) / 2


def bring(photograph: npt.NDArray[np.uint8], size: Size) -> npt.NDArray[np.uint8]:
    """Bring a photograph, uint8 (H, W), to a size, by cubic convolution widened to what a pixel covers.

    So it is without aliasing where the photograph is the larger one.
    """
    height, width = size
    return np.asarray(Image.fromarray(photograph).resize((width, height), Image.Resampling.BICUBIC))


def to_photographs(
    columns: Columns, down: npt.NDArray[np.float64], across: npt.NDArray[np.float64]
) -> dict[str, npt.NDArray[Any]]:
    """Give scores with their places in pixels of the photographs rather than of what these were brought to.

    Parameters
    ----------
    columns
        Of `dice_core.score.Scorer.score`, (N,), and perhaps of its `compare`, (N, F).
    down, across
        Height and width of each photograph over those that it was brought to, (N,).
    """
    moved = dict(columns)
    left, right = _edges(columns["defect_x"], columns["defect_width"], across)
    top, bottom = _edges(columns["defect_y"], columns["defect_height"], down)
    width, height = right - left, bottom - top
    area = np.clip(np.rint(columns["defect_area"] * across * down), 1, width * height)
    places = {
        "defect_peak_x": np.floor((columns["defect_peak_x"] + 0.5) * across),
        "defect_peak_y": np.floor((columns["defect_peak_y"] + 0.5) * down),
        "defect_x": left,
        "defect_y": top,
        "defect_width": width,
        "defect_height": height,
        "defect_area": area,
        "defect_dark": np.rint(columns["defect_dark"] * across * down),
        "defect_bright": np.rint(columns["defect_bright"] * across * down),
    }
    for name, factor in (("shift_x", across), ("shift_y", down)):
        if name in columns:
            places[name] = np.rint(columns[name] * factor[:, None])
    other = (down != 1) | (across != 1)
    for name, values in places.items():
        moved[name] = columns[name].astype(np.int32)
        moved[name][other] = values[other]
    return moved


def _edges(
    start: npt.NDArray[Any], length: npt.NDArray[Any], factor: npt.NDArray[np.float64]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Round the edges rather than the lengths, so that no box leaves the photograph, and none is empty."""
    last = np.maximum(np.rint((start + length) * factor), 1)
    return np.minimum(np.rint(start * factor), last - 1), last
