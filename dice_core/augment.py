"""Augmented copies: good images as another capture session would have shown them, in other pose and light."""

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from dice_core.affine import Transforms, warp
from dice_core.compiled import compiled, index

SHIFT = 2 / 128
"""Largest shift along each axis, as a share of the image's longer side."""
ROTATION = 3.0
"""Largest rotation, degrees."""
SCALE = 0.02
"""Largest change of size, as a share."""
GAIN = 0.10
"""Largest change of brightness, as a share."""
SPOT_GAIN = (-0.10, 0.90)
"""Least and greatest relative gain at the middle of the light spot: from a shade to a reflection."""
SPOT_RADIUS = (0.06, 0.35)
"""Least and greatest standard deviation of the spot along either axis, as a share of the longer side."""

_PIXELS_AT_ONCE = 1 << 18  # few enough for the second cache


def augment(images: npt.NDArray[np.uint8], copies: int, rng: np.random.Generator) -> npt.NDArray[np.uint8]:
    """Draw copies of each image in a little other pose and light.

    Parameters
    ----------
    images
        Photographs, (N, H, W).
    copies
        Copies of each image.
    rng
        The source of chance.

    Returns
    -------
    ndarray
        uint8 (N * copies, H, W); the copies of image n are at n * copies and after.
    """
    count = len(images) * copies
    side = max(images.shape[1:])
    angle = np.deg2rad(rng.uniform(-ROTATION, ROTATION, count))
    scale = 1 + rng.uniform(-SCALE, SCALE, count)
    shift = rng.uniform(-SHIFT, SHIFT, (count, 2)) * side
    middle = rng.uniform(0, 1, (count, 2)) * images.shape[1:]
    radius = rng.uniform(*SPOT_RADIUS, (count, 2)) * side
    turn = rng.uniform(0, np.pi, count)
    gain = 1 + rng.uniform(-GAIN, GAIN, count)
    spot = rng.uniform(*SPOT_GAIN, count)
    transforms = _transforms(angle, scale, shift)
    light = np.column_stack([gain, spot, middle, np.cos(turn), np.sin(turn), 0.5 / radius**2])
    of = np.arange(count) // max(copies, 1)
    drawn = np.empty((count, *images.shape[1:]), np.uint8)
    at_once = max(1, _PIXELS_AT_ONCE // math.prod(images.shape[1:]))
    for start in range(0, count, at_once):
        few = slice(start, start + at_once)
        posed = warp(images[of[few]].astype(np.float32), transforms[few])
        _shine(posed, light[few].astype(np.float32), drawn[few])
    return drawn


def _transforms(
    angle: npt.NDArray[np.float64], scale: npt.NDArray[np.float64], shift: npt.NDArray[np.float64]
) -> Transforms:
    """Give the transforms of images turned, (N,) radians, scaled, (N,), and moved down and right, (N, 2)."""
    cosine, sine = np.cos(angle) / scale, np.sin(angle) / scale
    linear = np.stack([np.column_stack([cosine, sine]), np.column_stack([-sine, cosine])], axis=1)
    back = -linear @ shift[:, ::-1, None]
    return np.concatenate([linear, back], axis=2).astype(np.float32)


def _shine(
    posed: npt.NDArray[np.float32], light: npt.NDArray[np.float32], lit: npt.NDArray[np.uint8]
) -> None:
    """Write images, (N, H, W), each in its own light, (N, 8).

    That is its gain, and of its spot the gain, the middle (y, x), the direction's cosine and sine, and half
    the inverse variance along and across it.
    """
    fades = np.empty_like(posed)
    _fall(light, fades)
    np.exp(fades, out=fades)  # in whole vectors, unlike a compiled loop's
    _brighten(posed, light, fades, lit)


@compiled()
def _fall(light: Any, exponents: Any) -> None:
    for n in range(len(exponents)):
        _, _, spot_y, spot_x, along, across, fall_along, fall_across = light[n]
        for y in range(exponents.shape[1]):
            dy = np.float32(y) - spot_y
            for x in range(index(exponents.shape[2])):
                dx = np.float32(x) - spot_x
                u = along * dx + across * dy
                v = along * dy - across * dx
                exponents[n, y, x] = -u * u * fall_along - v * v * fall_across


@compiled()
def _brighten(posed: Any, light: Any, fades: Any, lit: Any) -> None:
    least, most, half, one = np.float32(0), np.float32(255), np.float32(0.5), np.float32(1)
    for n in range(len(lit)):
        gain, spot = light[n, 0], light[n, 1]
        for y in range(lit.shape[1]):
            for x in range(index(lit.shape[2])):
                value = posed[n, y, x] * (gain * (one + spot * fades[n, y, x]))
                lit[n, y, x] = np.uint8(min(max(value + half, least), most))
