"""Photographs of synthetic dice, good and defective, each with the mask of what the defect changed."""

from dataclasses import dataclass

import numpy as np
import simplejpeg
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from dice_core.defects import Defect, defects_of, spoil
from dice_core.die import Field, check_face, draw_die
from dice_core.lot import Lot

_SIZES = (64, 512)


@dataclass(frozen=True, eq=False)
class Photograph:
    """One rendered part.

    Attributes
    ----------
    pixels
        uint8 (H, W).
    mask
        bool (H, W): the pixels whose value the defect changed by more than three standard deviations of
        the noise, and by at least two grey levels; none on a good part.
    face
        One of `FACES`.
    defect
        What is wrong, or None.
    """

    pixels: NDArray[np.uint8]
    mask: NDArray[np.bool_]
    face: str
    defect: Defect | None

    @property
    def box(self) -> tuple[int, int, int, int] | None:
        """The mask's bounding box as (x, y, width, height) in pixels, or None if it is empty."""
        rows, columns = np.flatnonzero(self.mask.any(axis=1)), np.flatnonzero(self.mask.any(axis=0))
        if not rows.size:
            return None
        x, y = int(columns[0]), int(rows[0])
        return x, y, int(columns[-1]) - x + 1, int(rows[-1]) - y + 1


def render(
    face: str, lot: Lot, rng: np.random.Generator, defect: Defect | None = None, size: int = 128
) -> Photograph:
    """Render one part of a lot.

    The part, its noise and then its defect are drawn from `rng`, so two calls with equal generators, one with
    a defect and one without, show the same part but for the defect.

    Parameters
    ----------
    face
        One of `FACES`.
    lot
        The capture session.
    rng
        The only source of chance: equal generators give equal bytes.
    defect
        What is wrong with the part, if anything.
    size
        Height and width in pixels, 64..512.

    Raises
    ------
    ValueError
        If there is no such face, it cannot have such a defect, or the size is out of range.
    """
    check_face(face)
    if defect is not None and defect.kind not in defects_of(face):
        raise ValueError(f"face {face!r} cannot have the defect {defect.kind!r}")
    if not _SIZES[0] <= size <= _SIZES[1]:
        raise ValueError(f"the size of a photograph is in {_SIZES[0]}..{_SIZES[1]} pixels, not {size}")
    die = draw_die(face, lot, rng, size)
    noise = np.float32(lot.noise) * rng.standard_normal((size, size), dtype=np.float32)
    picture = _expose(die.brightness, lot)
    mask = np.zeros((size, size), np.bool_)
    if defect is not None:
        good, picture = picture, _expose(spoil(die, defect, rng), lot)
        mask = np.abs(picture - good) > max(2.0, 3 * lot.noise)
    pixels = np.clip(picture + noise + np.float32(0.5), 0, 255).astype(np.uint8)
    return Photograph(pixels, mask, face, defect)


def encode_jpeg(image: NDArray[np.uint8], quality: int = 95) -> bytes:
    """Encode a uint8 (H, W) image as a greyscale JPEG of quality 1..100.

    Raises
    ------
    ValueError
        If the image is not two-dimensional uint8, or the quality is out of range.
    """
    if image.dtype != np.uint8 or image.ndim != 2:  # noqa: PLR2004 - height and width
        raise ValueError(f"a JPEG is made of a uint8 (H, W) image, not of {image.dtype} {image.shape}")
    if not 1 <= quality <= 100:  # noqa: PLR2004 - JPEG's own range
        raise ValueError(f"the quality of a JPEG is in 1..100, not {quality}")
    pixels = np.ascontiguousarray(image[..., None])
    return bytes(simplejpeg.encode_jpeg(pixels, quality, colorspace="GRAY", colorsubsampling="Gray"))


def _expose(brightness: Field, lot: Lot) -> Field:
    """Blur and amplify brightness (H, W) to grey levels in 0..255, still without noise."""
    sigma = lot.blur * len(brightness) / 128
    picture = gaussian_filter(brightness, sigma, mode="nearest", truncate=3)
    return np.asarray(np.clip(np.float32(255 * lot.gain) * picture, 0, 255))
