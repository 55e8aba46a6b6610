"""Renders photographs of dice, good and defective, with the mask of what the defect changed.

Lengths on the die are in half frames (the frame is 2 wide), brightness is in 0..1 until the sensor. A lot is
one capture session: its parts share pose, light and sensor, and differ a little around them.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import simplejpeg
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from dice_core.defects import (
    ARM,
    DEFECTS,
    FACES,
    LOGO_TURNS,
    PIPS,
    Canvas,
    Defect,
    Field,
    check_face,
    clouds,
    defects_of,
    draw_defect,
    spoil,
    step,
)

__all__ = [
    "DEFECTS",
    "FACES",
    "Defect",
    "Lot",
    "Photograph",
    "defects_of",
    "draw_defect",
    "draw_lot",
    "encode_jpeg",
    "render",
]

_OUTLINE, _RING = 1.04, 0.905
_SIZES = (64, 512)


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


def draw_lot(rng: np.random.Generator) -> Lot:
    """Draw a capture session: shifted by up to 1.5 pixels, turned by 1.5 degrees, scaled by 1 %."""
    # Half of the sessions have no patches inside the rim.
    return Lot(
        shift_x=rng.uniform(-1.5, 1.5),
        shift_y=rng.uniform(-1.5, 1.5),
        rotation=rng.uniform(-1.5, 1.5),
        scale=rng.uniform(0.99, 1.01),
        gain=rng.uniform(0.95, 1.04),
        light=rng.uniform(0, 2 * np.pi),
        sheen=rng.uniform(0.2, 1.0),
        glare=max(0.0, rng.uniform(-1.0, 1.0)),
        slope=rng.uniform(0.0, 0.04),
        ground=rng.uniform(0.08, 0.18),
        blur=rng.uniform(0.35, 0.7),
        noise=rng.uniform(0.5, 1.4),
        ink=rng.uniform(0.025, 0.05),
    )


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
    canvas, scene = _part(face, lot, rng, size)
    noise = np.float32(lot.noise) * rng.standard_normal((size, size), dtype=np.float32)
    picture = _expose(scene, lot)
    mask = np.zeros((size, size), np.bool_)
    if defect is not None:
        good, picture = picture, _expose(spoil(defect, canvas, scene, rng), lot)
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


@lru_cache(maxsize=8)
def _grid(size: int) -> tuple[Field, Field]:
    """Return the pixels' centres, x (1, size) and y (size, 1), in half frames from the middle."""
    centres = ((np.arange(size) + 0.5) * 2 / size - 1).astype(np.float32)
    return centres[None, :], centres[:, None]


def _part(face: str, lot: Lot, rng: np.random.Generator, size: int) -> tuple[Canvas, Field]:
    """Pose one part, light it and print its face: the canvas, and the brightness (H, W) of a good one."""
    wobble = np.clip(rng.normal(0, 0.4, 4), -1, 1)
    x, y = _die_coordinates(lot, wobble, size)
    edge = np.sqrt(np.hypot(x * x, y * y)) / np.float32(_OUTLINE)
    bare = _bare_die(x, y, edge, lot, rng)
    radius = 0.226 if face == "00" else 0.197
    rough = np.float32(0.0018) * clouds(rng, 56, size)
    arms = None
    if face in PIPS:
        scene, ink = _print_pips(*_from_nearest(x, y, PIPS[face]), radius + rough, bare, lot)
    else:
        arms = _arms(x, y, LOGO_TURNS[face])
        scene, ink = _print_logo(arms, rough, bare, lot, rng)
    _sprinkle_dust(scene, rng)
    return Canvas(x, y, edge, bare, ink, PIPS.get(face, ()), radius, arms, 2 / size), scene


def _die_coordinates(lot: Lot, wobble: NDArray[np.float64], size: int) -> tuple[Field, Field]:
    """Place each pixel on the die: the lot's pose, moved by pixels, degrees and half percents of wobble."""
    angle = np.radians(lot.rotation + 2 * wobble[2])
    scale = lot.scale * (1 + 0.005 * wobble[3])
    c, s = np.float32(np.cos(angle) / scale), np.float32(np.sin(angle) / scale)
    columns, rows = _grid(size)
    x = columns - np.float32((lot.shift_x + wobble[0]) / 64)
    y = rows - np.float32((lot.shift_y + wobble[1]) / 64)
    return c * x + s * y, c * y - s * x


def _bare_die(x: Field, y: Field, edge: Field, lot: Lot, rng: np.random.Generator) -> Field:
    """Light the unprinted die on its ground: flat top, falling shoulder, bright rim between them, glare."""
    light = lot.light + rng.normal(0, 0.12)
    sheen, glare = lot.sheen * rng.uniform(0.85, 1.15), lot.glare * rng.uniform(0.85, 1.15)
    level = rng.normal(0.855, 0.004)
    broad, fine = clouds(rng, 9, len(x)), clouds(rng, 18, len(x))
    radius = np.sqrt(x * x + y * y) + np.float32(1e-6)
    along = x * np.float32(np.cos(light)) + y * np.float32(np.sin(light))
    toward = np.asarray(along / radius, np.float32)
    # The rim is rounder than the outline.
    rim = np.float32(0.88) * radius + np.float32(0.12 * _OUTLINE) * edge - np.float32(_RING)
    outside = step(-rim, 0.04)
    depth = np.maximum(1 - edge, 0)
    shoulder = 0.05 + 0.32 * np.exp(depth * np.float32(-1 / 0.05)) + 0.35 * np.clip(rim, 0, 0.3)
    die = np.float32(level) * (1 + np.float32(lot.slope) * along) * (1 - outside * shoulder)
    lobe = np.float32(sheen) * step(0.55 - toward - 0.1 * broad, 0.9)
    width = 0.013 + 0.003 * np.abs(fine) + 0.03 * lobe
    arc = (rim + (0.003 + 0.008 * lobe) * fine + 0.02 * lobe) / width
    die += (0.12 + 0.03 * broad + 0.1 * lobe) * np.exp(-arc * arc)
    if glare:
        patch = step(np.float32(0.45) - toward, 0.7) * step(np.float32(0.73) - radius - 0.04 * fine, 0.3)
        patch *= step(-0.2 - broad - 0.3 * fine, 3.0)
        die += np.float32(0.3 * glare) * patch * (1 - outside)
    ground = np.float32(lot.ground) * (1 + 0.15 * fine + 0.3 * y)
    on_die = step(edge - np.float32(0.98), 0.08)
    return np.minimum(ground + on_die * (die - ground), np.float32(0.985)).astype(np.float32)


def _shade(distance: Field) -> Field:
    """Darken the die around ink, as light that enters it beside the ink is lost."""
    near = np.maximum(distance, 0)
    return np.asarray(
        1 - 0.19 * np.exp(near * np.float32(-20)) - 0.08 * np.exp(near * np.float32(-7)), np.float32
    )


def _from_nearest(x: Field, y: Field, points: tuple[tuple[float, float], ...]) -> tuple[Field, Field]:
    """Measure each pixel's place from the nearest of some points."""
    dx, dy = x - np.float32(points[0][0]), y - np.float32(points[0][1])
    squared = dx * dx + dy * dy
    for point_x, point_y in points[1:]:
        other_x, other_y = x - np.float32(point_x), y - np.float32(point_y)
        other = other_x * other_x + other_y * other_y
        closer = other < squared
        for target, source in ((dx, other_x), (dy, other_y), (squared, other)):
            np.copyto(target, source, where=closer)
    return dx, dy


def _print_pips(dx: Field, dy: Field, radius: Field, bare: Field, lot: Lot) -> tuple[Field, Field]:
    """Drill the pips around their middles: brightness and ink, each (H, W)."""
    from_middle = np.sqrt(dx * dx + dy * dy)
    distance = from_middle - radius
    ink = step(distance, 0.016)
    away = -(np.float32(np.cos(lot.light)) * dx + np.float32(np.sin(lot.light)) * dy) / radius
    # The drilled cone shines on its far side and has a dimple in the middle; its far edge catches light.
    cone = 0.06 * np.exp(-(((from_middle - 0.09) / 0.045) ** 2)) * np.clip(away + 0.25, 0, 1)
    dimple = 0.2 * np.exp(-(((from_middle - 0.022) / 0.009) ** 2))
    pip = np.float32(lot.ink) + cone + dimple
    glint = np.float32(0.28 * lot.sheen) * np.clip(2 * away - 0.6, 0, 1)
    glint *= np.exp(-(((distance - np.float32(0.014)) / 0.011) ** 2))
    around = np.minimum(bare * _shade(distance) + glint, 0.985)
    return (around + ink * (pip - around)).astype(np.float32), ink


def _arms(x: Field, y: Field, turns: int) -> tuple[Field, Field]:
    """Place each pixel along the logo's two arms, from their outer corner, for its quarter turns."""
    for _ in range(turns):
        x, y = y, -x
    x = x + np.float32(0.58)
    half = np.float32(0.5**0.5)
    return half * (x - y), half * (x + y)


def _bullet(along: Field, across: Field, start: float, end: float) -> Field:
    """Distance from a bar as wide as an arm: square where it starts, round beyond where it ends."""
    beyond = np.maximum(along - np.float32(end), 0)
    side = np.sqrt(beyond * beyond + across * across) - np.float32(ARM / 2)
    before = np.float32(start) - along
    outside = np.hypot(np.maximum(side, 0), np.maximum(before, 0))
    return np.asarray(outside + np.minimum(np.maximum(side, before), 0))


def _print_logo(
    arms: tuple[Field, Field], rough: Field, bare: Field, lot: Lot, rng: np.random.Generator
) -> tuple[Field, Field]:
    """Print two arms that meet in a corner and the peg between them: brightness and ink, each (H, W)."""
    u, v = arms
    middle, inner = np.float32(ARM / 2), ARM + 0.1
    corner = np.minimum(_bullet(u, v - middle, 0, 1.055), _bullet(v, u - middle, 0, 1.055))
    peg = _bullet(u, v - np.float32(inner) - middle, inner, inner + 0.27)
    ink = step(np.minimum(corner, peg) + rough, 0.016)
    grain = clouds(rng, 128, len(bare))
    level = np.float32(0.055 + 2.5 * lot.ink) * (1 + 0.25 * grain + 0.06 * grain * grain)
    around = bare * _shade(corner) * _shade(peg)
    return (around + ink * (level + 0.12 * (bare - 0.84) - around)).astype(np.float32), ink


def _sprinkle_dust(scene: Field, rng: np.random.Generator) -> None:
    """Drop a few specks of a pixel or two, as lie on good parts too."""
    size = len(scene)
    grain = max(1, round(size / 128))
    for row, column in rng.integers(0, size - grain, (rng.poisson(0.4), 2)):
        scene[row : row + grain, column : column + grain] *= np.float32(0.6)


def _expose(scene: Field, lot: Lot) -> Field:
    """Blur and amplify brightness (H, W) to grey levels in 0..255, still without noise."""
    sigma = lot.blur * len(scene) / 128
    picture = gaussian_filter(scene, sigma, mode="nearest", truncate=3)
    return np.asarray(np.clip(np.float32(255 * lot.gain) * picture, 0, 255))
