"""A good die before the camera: its faces, its lit body and what is printed on it.

Lengths are in half frames (the frame is 2 wide), x to the right and y down; brightness is in 0..1.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from dice_core.lot import Lot

Field: TypeAlias = NDArray[np.float32]
"""A value per pixel, (H, W)."""

_P = 0.453
_CORNERS = ((_P, -_P), (-_P, _P), (-_P, -_P), (_P, _P))
PIPS: dict[str, tuple[tuple[float, float], ...]] = {
    "00": ((0.0, 0.0),),
    "01": _CORNERS[:2],
    "02": _CORNERS[2:],
    "03": (*_CORNERS[:2], (0.0, 0.0)),
    "04": (*_CORNERS[2:], (0.0, 0.0)),
    "05": _CORNERS,
    "06": (*_CORNERS, (0.0, 0.0)),
}
"""Middles (x, y) of each face's pips."""

LOGO_TURNS = {"07": 0, "08": 1, "09": 2, "10": 3}
"""Clockwise quarter turns of each face's logo from the one that points left."""

FACES = (*PIPS, *LOGO_TURNS)
ARM = 0.308
"""Width of the logo's arms."""

_OUTLINE, _RING = 1.04, 0.905


@dataclass(frozen=True, eq=False)
class Die:
    """One good part before the camera, every field (size, size).

    Attributes
    ----------
    face
        One of `FACES`.
    x, y
        Each pixel's place on the die, from its middle.
    edge
        Distance from the die's middle over that of its outline: under 1 on the die.
    bare
        Brightness the die would have with nothing printed on it.
    ink
        Share of each pixel that is printed, 0..1.
    brightness
        Brightness of the printed die.
    """

    face: str
    x: Field
    y: Field
    edge: Field
    bare: Field
    ink: Field
    brightness: Field

    @property
    def size(self) -> int:
        """Height and width in pixels."""
        return len(self.x)

    @property
    def pixel(self) -> float:
        """Width of a pixel."""
        return 2 / self.size


def check_face(face: str) -> None:
    """Raise ValueError unless `face` is one of `FACES`."""
    if face not in FACES:
        raise ValueError(f"unknown face {face!r}: it is one of {', '.join(FACES)}")


def draw_die(face: str, lot: Lot, rng: np.random.Generator, size: int) -> Die:
    """Draw one good part of a lot: pose it, light it, print its face; `size` is in pixels."""
    wobble = np.clip(rng.normal(0, 0.4, 4), -1, 1)
    x, y = _pose(lot, wobble, size)
    edge = np.sqrt(np.hypot(x * x, y * y)) / np.float32(_OUTLINE)
    bare = _bare(x, y, edge, lot, rng)
    rough = np.float32(0.0018) * clouds(rng, 56, size)
    if face in PIPS:
        brightness, ink = _print_pips(*_from_nearest(x, y, PIPS[face]), pip_radius(face) + rough, bare, lot)
    else:
        brightness, ink = _print_logo(*logo_arms(face, x, y), rough, bare, lot, rng)
    _sprinkle_dust(brightness, rng)
    return Die(face, x, y, edge, bare, ink, brightness)


def pip_radius(face: str) -> float:
    """Return the radius of a face's pips: a lone pip is larger."""
    return 0.226 if face == "00" else 0.197


def logo_arms(face: str, x: Field, y: Field) -> tuple[Field, Field]:
    """Place each pixel along the two arms of a face's logo, from their outer corner."""
    for _ in range(LOGO_TURNS[face]):
        x, y = y, -x
    x = x + np.float32(0.58)
    half = np.float32(0.5**0.5)
    return half * (x - y), half * (x + y)


def toward(x: Field, y: Field, angle: float) -> Field:
    """Measure how far each pixel is in the direction of an angle in radians, clockwise from the right."""
    return np.asarray(x * np.float32(np.cos(angle)) + y * np.float32(np.sin(angle)))


def step(distance: Field, width: float) -> Field:
    """Return 1 well inside (negative distance), 0 well outside, and a smooth step `width` wide at 0."""
    t = np.clip(0.5 - distance / np.float32(width), 0, 1)
    return np.asarray(t * t * (3 - 2 * t), np.float32)


def clouds(rng: np.random.Generator, cells: int, size: int) -> Field:
    """Return smooth noise (size, size) of mean 0 and variance 1, about `cells` bumps wide."""
    weights = _cloud_weights(cells, size)
    return np.asarray(weights @ rng.standard_normal((cells, cells), dtype=np.float32) @ weights.T)


@lru_cache(maxsize=32)
def _cloud_weights(cells: int, size: int) -> Field:
    places = (np.arange(size)[:, None] + 0.5) * cells / size - 0.5
    weights = np.exp(-((places - np.arange(cells)) ** 2) / (2 * 0.6**2))
    weights /= np.sqrt((weights**2).sum(axis=1, keepdims=True))
    return weights.astype(np.float32)


def _pose(lot: Lot, wobble: NDArray[np.float64], size: int) -> tuple[Field, Field]:
    """Place each pixel on the die: the lot's pose, moved by pixels, degrees and half percents of wobble."""
    angle = np.radians(lot.rotation + 2 * wobble[2])
    scale = lot.scale * (1 + 0.005 * wobble[3])
    c, s = np.float32(np.cos(angle) / scale), np.float32(np.sin(angle) / scale)
    centres = ((np.arange(size) + 0.5) * 2 / size - 1).astype(np.float32)
    x = centres[None, :] - np.float32((lot.shift_x + wobble[0]) / 64)
    y = centres[:, None] - np.float32((lot.shift_y + wobble[1]) / 64)
    return c * x + s * y, c * y - s * x


def _bare(x: Field, y: Field, edge: Field, lot: Lot, rng: np.random.Generator) -> Field:
    """Light the unprinted die on its ground: flat top, falling shoulder, bright rim between them, glare."""
    light = lot.light + rng.normal(0, 0.12)
    sheen, glare = lot.sheen * rng.uniform(0.85, 1.15), lot.glare * rng.uniform(0.85, 1.15)
    level = rng.normal(0.855, 0.004)
    broad, fine = clouds(rng, 9, len(x)), clouds(rng, 18, len(x))
    radius = np.sqrt(x * x + y * y) + np.float32(1e-6)
    along = toward(x, y, light)
    lit = along / radius
    # The rim is rounder than the outline.
    rim = np.float32(0.88) * radius + np.float32(0.12 * _OUTLINE) * edge - np.float32(_RING)
    outside = step(-rim, 0.04)
    depth = np.maximum(1 - edge, 0)
    shoulder = 0.05 + 0.32 * np.exp(depth * np.float32(-1 / 0.05)) + 0.35 * np.clip(rim, 0, 0.3)
    die = np.float32(level) * (1 + np.float32(lot.slope) * along) * (1 - outside * shoulder)
    lobe = np.float32(sheen) * step(0.55 - lit - 0.1 * broad, 0.9)
    width = 0.013 + 0.003 * np.abs(fine) + 0.03 * lobe
    arc = (rim + (0.003 + 0.008 * lobe) * fine + 0.02 * lobe) / width
    die += (0.12 + 0.03 * broad + 0.1 * lobe) * np.exp(-arc * arc)
    patch = step(np.float32(0.45) - lit, 0.7) * step(np.float32(0.73) - radius - 0.04 * fine, 0.3)
    patch *= step(-0.2 - broad - 0.3 * fine, 3.0)
    die += np.float32(0.3 * glare) * patch * (1 - outside)
    ground = np.float32(lot.ground) * (1 + 0.15 * fine + 0.3 * y)
    on_die = step(edge - np.float32(0.98), 0.08)
    return np.minimum(ground + on_die * (die - ground), np.float32(0.985))


def _shade(distance: Field) -> Field:
    """Darken the die around ink, as light that enters it beside the ink is lost."""
    near = np.maximum(distance, 0)
    return np.asarray(1 - 0.19 * np.exp(near * np.float32(-20)) - 0.08 * np.exp(near * np.float32(-7)))


def _from_nearest(x: Field, y: Field, points: tuple[tuple[float, float], ...]) -> tuple[Field, Field]:
    """Measure each pixel's place from the nearest of some points."""
    px, py = np.array(points, np.float32).T[:, :, None, None]
    dx, dy = x - px, y - py
    nearest = np.argmin(dx * dx + dy * dy, axis=0)[None]
    return np.take_along_axis(dx, nearest, 0)[0], np.take_along_axis(dy, nearest, 0)[0]


def _print_pips(dx: Field, dy: Field, radius: Field, bare: Field, lot: Lot) -> tuple[Field, Field]:
    """Drill the pips around their middles: brightness and ink."""
    from_middle = np.sqrt(dx * dx + dy * dy)
    distance = from_middle - radius
    ink = step(distance, 0.016)
    away = -toward(dx, dy, lot.light) / radius
    # The drilled cone shines on its far side and has a dimple in the middle; its far edge catches light.
    cone = 0.06 * np.exp(-(((from_middle - 0.09) / 0.045) ** 2)) * np.clip(away + 0.25, 0, 1)
    dimple = 0.2 * np.exp(-(((from_middle - 0.022) / 0.009) ** 2))
    pip = np.float32(lot.ink) + cone + dimple
    glint = np.float32(0.28 * lot.sheen) * np.clip(2 * away - 0.6, 0, 1)
    glint *= np.exp(-(((distance - np.float32(0.014)) / 0.011) ** 2))
    around = np.minimum(bare * _shade(distance) + glint, 0.985)
    return around + ink * (pip - around), ink


def _bullet(along: Field, across: Field, start: float, end: float) -> Field:
    """Distance from a bar as wide as an arm: square where it starts, round beyond where it ends."""
    beyond = np.maximum(along - np.float32(end), 0)
    side = np.sqrt(beyond * beyond + across * across) - np.float32(ARM / 2)
    before = np.float32(start) - along
    outside = np.hypot(np.maximum(side, 0), np.maximum(before, 0))
    return np.asarray(outside + np.minimum(np.maximum(side, before), 0))


def _print_logo(
    u: Field, v: Field, rough: Field, bare: Field, lot: Lot, rng: np.random.Generator
) -> tuple[Field, Field]:
    """Print two arms that meet in a corner and the peg between them: brightness and ink."""
    middle, inner = np.float32(ARM / 2), ARM + 0.1
    corner = np.minimum(_bullet(u, v - middle, 0, 1.055), _bullet(v, u - middle, 0, 1.055))
    peg = _bullet(u, v - np.float32(inner) - middle, inner, inner + 0.27)
    ink = step(np.minimum(corner, peg) + rough, 0.016)
    grain = clouds(rng, 128, len(bare))
    level = np.float32(0.055 + 2.5 * lot.ink) * (1 + 0.25 * grain + 0.06 * grain * grain)
    around = bare * _shade(corner) * _shade(peg)
    return around + ink * (level + 0.12 * (bare - 0.84) - around), ink


def _sprinkle_dust(brightness: Field, rng: np.random.Generator) -> None:
    """Drop a few specks of a pixel or two, as lie on good parts too."""
    size = len(brightness)
    grain = max(1, round(size / 128))
    for row, column in rng.integers(0, size - grain, (rng.poisson(0.4), 2)):
        brightness[row : row + grain, column : column + grain] *= np.float32(0.6)
