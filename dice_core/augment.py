"""Augmented copies: good images as another capture session would have shown them, in other pose and light."""

from typing import Any

import numpy as np
import numpy.typing as npt

from dice_core.compiled import compiled

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
    pose = np.column_stack([np.cos(angle) / scale, np.sin(angle) / scale, shift])
    light = np.column_stack([gain, spot, middle, np.cos(turn), np.sin(turn), 0.5 / radius**2])
    drawn = np.empty((count, *images.shape[1:]), np.uint8)
    _warp(images, copies, pose.astype(np.float32), light.astype(np.float32), drawn)
    return drawn


@compiled()
def _warp(images: Any, copies: int, pose: Any, light: Any, drawn: Any) -> None:
    count, height, width = drawn.shape
    middle_y = np.float32((height - 1) / 2)
    middle_x = np.float32((width - 1) / 2)
    for n in range(count):
        image = images[n // copies]
        cosine, sine, shift_y, shift_x = pose[n]
        gain, spot, spot_y, spot_x, along, across, fall_along, fall_across = light[n]
        for y in range(height):
            for x in range(width):
                dy = y - middle_y - shift_y
                dx = x - middle_x - shift_x
                # Beyond the edge the outermost pixels go on, as a ground would.
                sy = min(max(cosine * dy - sine * dx + middle_y, np.float32(0)), np.float32(height - 1))
                sx = min(max(sine * dy + cosine * dx + middle_x, np.float32(0)), np.float32(width - 1))
                y0 = min(int(sy), height - 2)
                x0 = min(int(sx), width - 2)
                fy = sy - y0
                fx = sx - x0
                upper = image[y0, x0] * (1 - fx) + image[y0, x0 + 1] * fx
                lower = image[y0 + 1, x0] * (1 - fx) + image[y0 + 1, x0 + 1] * fx
                value = upper * (1 - fy) + lower * fy
                u = along * (x - spot_x) + across * (y - spot_y)
                v = along * (y - spot_y) - across * (x - spot_x)
                value *= gain * (1 + spot * np.exp(-u * u * fall_along - v * v * fall_across))
                drawn[n, y, x] = np.uint8(min(max(value + np.float32(0.5), np.float32(0)), np.float32(255)))
