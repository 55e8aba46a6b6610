"""A lot: one capture session, whose parts share pose, light and sensor and differ a little around them."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Lot:
    """One capture session. Pixels are those of a 128-pixel frame, whatever the size rendered.

    Attributes
    ----------
    shift_x, shift_y
        Mean displacement in pixels.
    rotation
        Mean rotation in degrees.
    scale
        Size over the nominal one.
    gain
        Brightness over the nominal one.
    light
        Direction the specular light comes from, in radians, clockwise from the right.
    sheen
        Strength of the light's bright arc on the rim, 0..1.
    glare
        Strength of the bright patches inside the rim, 0..1.
    slope
        Relative fall of brightness from the middle to the side away from the light.
    ground
        Brightness of what the die lies on, 0..1.
    blur
        Standard deviation of the camera's blur in pixels.
    noise
        Standard deviation of the sensor's noise in grey levels.
    ink
        Brightness of the pips, 0..1; a logo is about five times as bright.

    Raises
    ------
    ValueError
        If scale or gain are not positive, or blur or noise are negative.
    """

    shift_x: float
    shift_y: float
    rotation: float
    scale: float
    gain: float
    light: float
    sheen: float
    glare: float
    slope: float
    ground: float
    blur: float
    noise: float
    ink: float

    def __post_init__(self) -> None:
        for name in ("scale", "gain"):
            if not getattr(self, name) > 0:
                raise ValueError(f"the {name} of a lot is positive, not {getattr(self, name)}")
        for name in ("blur", "noise"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"the {name} of a lot is not negative: {getattr(self, name)}")


def draw_lot(rng: np.random.Generator) -> Lot:
    """Draw a lot: shifted by up to 1.5 pixels, turned by up to 1.5 degrees, scaled by up to 1 %."""
    return Lot(
        shift_x=rng.uniform(-1.5, 1.5),
        shift_y=rng.uniform(-1.5, 1.5),
        rotation=rng.uniform(-1.5, 1.5),
        scale=rng.uniform(0.99, 1.01),
        gain=rng.uniform(0.95, 1.04),
        light=rng.uniform(0, 2 * np.pi),
        sheen=rng.uniform(0.2, 1.0),
        glare=max(0.0, rng.uniform(-1.0, 1.0)),  # half of the lots have none
        slope=rng.uniform(0.0, 0.04),
        ground=rng.uniform(0.08, 0.18),
        blur=rng.uniform(0.35, 0.7),
        noise=rng.uniform(0.5, 1.4),
        ink=rng.uniform(0.025, 0.05),
    )
