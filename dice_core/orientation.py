"""Which way up a photograph is, as its Exif block tells.

Source: CIPA DC-008 (Exif).
"""

from typing import Literal

import numpy as np
import numpy.typing as npt

_TAG = 274

# Orientations by the axes to swap first, and the directions to reverse then.
_SWAPPED, _LEFT_RIGHT, _UP_DOWN = (5, 6, 7, 8), (2, 3, 6, 7), (3, 4, 7, 8)


def orientation_of(exif: bytes) -> int:
    """Read the orientation from an Exif block, 1 (upright) where it has none or makes no sense."""
    tiff = exif.removeprefix(b"Exif\0\0")
    order: Literal["little", "big"] = "little" if tiff.startswith(b"II") else "big"
    at = int.from_bytes(tiff[4:8], order)
    count = int.from_bytes(tiff[at : at + 2], order)
    # Slices past the end are empty, so a false count or offset finds nothing.
    for entry in range(at + 2, min(at + 2 + 12 * count, len(tiff)), 12):
        if int.from_bytes(tiff[entry : entry + 2], order) == _TAG:
            return int.from_bytes(tiff[entry + 8 : entry + 10], order)
    return 1


def turned(shape: tuple[int, int], orientation: int) -> tuple[int, int]:
    """Give the height and width that an image has upright."""
    return (shape[1], shape[0]) if orientation in _SWAPPED else shape


def upright(grey: npt.NDArray[np.uint8], orientation: int) -> npt.NDArray[np.uint8]:
    """Turn an image, (H, W), C-contiguous, upright."""
    if orientation == 1:
        return grey
    grey = grey.T if orientation in _SWAPPED else grey
    grey = grey[:, ::-1] if orientation in _LEFT_RIGHT else grey
    return np.ascontiguousarray(grey[::-1] if orientation in _UP_DOWN else grey)
