"""Defects of rendered dice: which a face can have, how large and how visible, and where they change it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Field: TypeAlias = NDArray[np.float32]
Painted: TypeAlias = tuple[Field, Field | float]

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
"""Centres (x, y) of each face's pips, in half frames from the middle, x to the right and y down."""

LOGO_TURNS = {"07": 0, "08": 1, "09": 2, "10": 3}
"""Clockwise quarter turns of each face's logo from the one that points left."""

FACES = (*PIPS, *LOGO_TURNS)
ARM = 0.308
"""Width of the logo's arms in half frames."""


@dataclass(frozen=True)
class Canvas:
    """One part before the camera: what a defect may look at, all fields (H, W), brightness in 0..1.

    Attributes
    ----------
    x, y
        Each pixel's place on the die, in half frames from its middle.
    edge
        Distance from the die's middle over that of its outline: under 1 on the die.
    bare
        Brightness the die would have with nothing printed on it.
    ink
        Share of each pixel that is printed, 0..1.
    pips
        Centres of the pips, as in `PIPS`; empty on a logo.
    radius
        A pip's radius in half frames.
    arms
        Each pixel's place along the logo's two arms from their outer corner; none on pips.
    pixel
        Width of a pixel in half frames.
    """

    x: Field
    y: Field
    edge: Field
    bare: Field
    ink: Field
    pips: tuple[tuple[float, float], ...]
    radius: float
    arms: tuple[Field, Field] | None
    pixel: float


@dataclass(frozen=True)
class _Kind:
    """How one kind of defect is drawn: on which faces, the usual sizes, the least contrast, the brush."""

    faces: tuple[str, ...]
    sizes: tuple[float, float]
    faintest: float
    paint: Callable[[Canvas, float, np.random.Generator], Painted]


@dataclass(frozen=True)
class Defect:
    """What is wrong with a part.

    Attributes
    ----------
    kind
        One of `DEFECTS`.
    size
        0..1: share of the die that strokes, letters and smudges span; of the pip or logo that erasure,
        gaps and filling take; of a pip's size that a speck has.
    contrast
        0..1: how much of the difference between good and spoilt shows; 0 is invisible.

    Raises
    ------
    ValueError
        If the kind is unknown, or size or contrast are outside 0..1.
    """

    kind: str
    size: float
    contrast: float

    def __post_init__(self) -> None:
        if self.kind not in _KINDS:
            raise ValueError(f"unknown kind of defect {self.kind!r}: it is one of {', '.join(_KINDS)}")
        for name, value in (("size", self.size), ("contrast", self.contrast)):
            if not 0 <= value <= 1:
                raise ValueError(f"the {name} of a defect is in 0..1, not {value}")


def check_face(face: str) -> None:
    """Raise ValueError unless `face` is one of `FACES`."""
    if face not in FACES:
        raise ValueError(f"unknown face {face!r}: it is one of {', '.join(FACES)}")


def defects_of(face: str) -> tuple[str, ...]:
    """Return the kinds of defect that make sense on `face`, or raise ValueError if there is no such face."""
    check_face(face)
    return tuple(name for name, kind in _KINDS.items() if face in kind.faces)


def draw_defect(rng: np.random.Generator, face: str) -> Defect:
    """Draw one of the face's kinds of defect, from gross to subtle.

    Sizes are log-uniform over the kind's usual range, and half of the contrasts are in its upper quarter.

    Raises
    ------
    ValueError
        If there is no such face.
    """
    name = str(rng.choice(defects_of(face)))
    smallest, largest = _KINDS[name].sizes
    size = smallest * (largest / smallest) ** rng.random()
    contrast = 1 - (1 - _KINDS[name].faintest) * rng.random() ** 2
    return Defect(name, float(size), float(contrast))


def spoil(defect: Defect, canvas: Canvas, good: Field, rng: np.random.Generator) -> Field:
    """Return the brightness `good` (H, W) of a part with the defect on it; nothing changes off the die."""
    cover, target = _KINDS[defect.kind].paint(canvas, defect.size, rng)
    on_die = np.clip((0.93 - canvas.edge) / 0.03, 0, 1)
    spoilt: Field = good + np.float32(defect.contrast) * cover * on_die * (target - good)
    return spoilt


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


def _disc_point(rng: np.random.Generator, reach: float) -> NDArray[np.float64]:
    angle = rng.uniform(0, 2 * np.pi)
    return np.array([np.cos(angle), np.sin(angle)]) * (reach * float(np.sqrt(rng.random())))


def _bare_point(canvas: Canvas, rng: np.random.Generator) -> NDArray[np.float64]:
    """Pick a place on the flat of the die with no ink on it, where a small defect is not hidden."""
    free = np.flatnonzero((canvas.ink == 0) & (canvas.x**2 + canvas.y**2 < 0.5))  # noqa: PLR2004 - short of the rim
    place = free[rng.integers(len(free))]
    return np.array([canvas.x.flat[place], canvas.y.flat[place]], np.float64)


def _turned(points: NDArray[np.float64], angle: float) -> NDArray[np.float64]:
    c, s = np.cos(angle), np.sin(angle)
    return np.asarray(points @ np.array([[c, s], [-s, c]]))


def _rounded(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Cut the corners of a line (n, 2), Chaikin's way, until it is a curve."""
    for _ in range(2):
        a, b = points[:-1], points[1:]
        cut = np.stack([0.75 * a + 0.25 * b, 0.25 * a + 0.75 * b], axis=1).reshape(-1, 2)
        points = np.vstack([points[:1], cut, points[-1:]])
    return points


def _stroke(
    canvas: Canvas, line: NDArray[np.float64], half: float, rng: np.random.Generator, dryness: float = 0.0
) -> Field:
    """Cover the pixels within `half` of a line (n, 2); a dry brush leaves streaks, most at its ends."""
    rows, columns = canvas.x.shape
    far = half + 2 * canvas.pixel
    nearest = np.full(canvas.x.shape, far, np.float32)
    across = np.zeros_like(nearest)
    along = np.zeros_like(nearest)
    for i, (a, b) in enumerate(pairwise(line)):
        # The die is turned by a few degrees at most, so a segment's frame needs only a little margin.
        low = (np.minimum(a, b) - far - 0.12 + 1) / canvas.pixel
        high = (np.maximum(a, b) + far + 0.12 + 1) / canvas.pixel
        window = np.s_[
            max(0, int(low[1])) : min(rows, int(high[1])), max(0, int(low[0])) : min(columns, int(high[0]))
        ]
        dx, dy = canvas.x[window] - np.float32(a[0]), canvas.y[window] - np.float32(a[1])
        ux, uy = (np.float32(v) for v in b - a)
        t = np.clip((dx * ux + dy * uy) / (ux * ux + uy * uy + np.float32(1e-12)), 0, 1)
        distance = np.hypot(dx - t * ux, dy - t * uy)
        closer = distance < nearest[window]
        np.copyto(nearest[window], distance, where=closer)
        np.copyto(across[window], np.sign(dx * uy - dy * ux) * distance, where=closer)
        np.copyto(along[window], (i + t) / (len(line) - 1), where=closer)
    cover = step(nearest - np.float32(half), canvas.pixel)
    if dryness:
        bristles = np.clip(rng.normal(-0.1, 0.7, 18), 0, 1)
        streak = np.interp(across, np.linspace(-half, half, 18), bristles).astype(np.float32)
        cover *= 1 - np.float32(dryness) * streak * (np.float32(0.2) + (2 * along - 1) ** 6)
    return np.asarray(np.clip(cover, 0, 1))


def _united(covers: Sequence[Field]) -> Field:
    return np.asarray(np.maximum.reduce(covers))


def _scribble(canvas: Canvas, size: float, rng: np.random.Generator) -> Painted:
    middle = _bare_point(canvas, rng)
    if rng.integers(3) == 0:
        angles = np.linspace(0, 2.1 * np.pi, 10) + rng.uniform(0, 2 * np.pi)
        line = np.stack([np.cos(angles), np.sin(angles)], axis=1) * rng.uniform(0.4, 0.6, (10, 1))
    else:
        line = np.stack([np.linspace(-0.7, 0.7, 6), np.tile([-0.8, 0.8], 3)], axis=1)
        line = _turned(line + rng.uniform(-0.35, 0.35, (6, 2)), rng.uniform(0, 2 * np.pi))
    line = (1 - size) * middle + size * _rounded(line)
    return _stroke(canvas, line, 0.075 * size**0.5, rng, dryness=0.9), 0.04


def _cross_strokes(canvas: Canvas, size: float, rng: np.random.Generator) -> Painted:
    middle, turn = (1 - 0.7 * size) * _bare_point(canvas, rng), rng.uniform(0, np.pi)
    covers = []
    for angle in (turn, turn + rng.uniform(0.6, 1.5)):
        ends = _turned(np.array([[-1.0, 0.0], [1.0, 0.0]]), angle) * size * rng.uniform(0.7, 0.95)
        half = rng.uniform(0.07, 0.12) * size**0.5
        covers.append(_stroke(canvas, middle + ends, half, rng, dryness=0.9))
    return _united(covers), 0.035


def _from_pip(canvas: Canvas, rng: np.random.Generator) -> tuple[Field, Field, Field]:
    """Pick a pip; return x, y and a roughened distance from its middle, in its radii."""
    centre_x, centre_y = canvas.pips[rng.integers(len(canvas.pips))]
    x, y = (
        (canvas.x - np.float32(centre_x)) / canvas.radius,
        (canvas.y - np.float32(centre_y)) / canvas.radius,
    )
    return x, y, np.hypot(x, y)


def _pip_and_shade(distance: Field, size: float) -> Field:
    """Cover a pip and, the more of it is to go, the shade around it."""
    return step(distance - np.float32(1 + 0.7 * size), 0.2 + 0.6 * size)


def _erased_pip(canvas: Canvas, size: float, rng: np.random.Generator) -> Painted:
    x, y, distance = _from_pip(canvas, rng)
    rough = np.float32(0.12 * min(1.0, 4 * size)) * clouds(rng, 24, len(x))
    off = _disc_point(rng, 0.3 * size)
    rest = np.hypot(x - np.float32(off[0]), y - np.float32(off[1])) + rough
    # A pip of size 1 is gone with the shade around it; a smaller one is worn from its edge inwards.
    worn = step(np.float32(1.1 - 1.35 * size) - rest, 0.15)
    return worn * _pip_and_shade(distance, size), canvas.bare


def _half_erased_pip(canvas: Canvas, size: float, rng: np.random.Generator) -> Painted:
    x, y, distance = _from_pip(canvas, rng)
    angle = rng.uniform(0, 2 * np.pi)
    rough = np.float32(0.06 * min(1.0, 4 * size)) * clouds(rng, 24, len(x))
    height = x * np.float32(np.cos(angle)) + y * np.float32(np.sin(angle)) + rough
    worn = step(np.float32(1.1 - 2.25 * size) - height, 0.12)
    return worn * _pip_and_shade(distance, size), canvas.bare


def _extra_specks(canvas: Canvas, size: float, rng: np.random.Generator) -> Painted:
    rough = np.float32(0.25) * clouds(rng, 32, len(canvas.x))
    at, radius, covers = _bare_point(canvas, rng), 0.5 * canvas.radius * size, []
    for _ in range(rng.integers(1, 5)):
        turn = rng.uniform(0, np.pi)
        c, s = np.float32(np.cos(turn)), np.float32(np.sin(turn))
        x, y = canvas.x - np.float32(at[0]), canvas.y - np.float32(at[1])
        long, wide = (c * x + s * y) / np.float32(1.5), c * y - s * x
        distance = np.hypot(long, wide) + np.float32(radius) * rough - np.float32(radius)
        covers.append(step(distance, 1.5 * canvas.pixel))
        at = 0.9 * at + _disc_point(rng, 0.4)
    return _united(covers), 0.08


def _broken_logo(canvas: Canvas, size: float, rng: np.random.Generator) -> Painted:
    wave = np.float32(0.03) * clouds(rng, 8, len(canvas.x))
    covers = []
    for _ in range(rng.integers(1, 4)):
        angle, place = rng.uniform(0, np.pi), rng.uniform(-0.3, 0.3)
        height = canvas.x * np.float32(np.cos(angle)) + canvas.y * np.float32(np.sin(angle)) + wave
        half = 0.09 * size * rng.uniform(0.6, 1.0)
        band = step(np.abs(height - np.float32(place)) - np.float32(half), 1.5 * canvas.pixel)
        covers.append(band * np.float32(min(1, 1.5 * half / canvas.pixel)))
    # Ink that is gone takes most of the shade beside it along.
    return _united(covers) * np.clip(3 * canvas.ink, 0, 1), 0.9 * canvas.bare


def _filled_logo(canvas: Canvas, size: float, rng: np.random.Generator) -> Painted:
    u, v = canvas.arms or (canvas.x, canvas.y)
    far = np.float32(2 * ARM + 0.8 * size)
    front = (u + v + np.float32(0.05 * size) * clouds(rng, 12, len(u)) - far) / np.float32(2**0.5)
    between = np.maximum(front, ARM - np.minimum(u, v))
    sheen = np.float32(0.05) + np.float32(0.02) * np.abs(clouds(rng, 20, len(u)))
    return step(between, 1.5 * canvas.pixel) * (1 - canvas.ink), sheen


def _scratch_tone(canvas: Canvas) -> Field:
    """Dirt in a scratch is dark on the bare die; through the ink the light ground shows."""
    return np.float32(0.2) + np.float32(0.45) * canvas.ink


def _scratch(canvas: Canvas, size: float, rng: np.random.Generator) -> Painted:
    bend = np.array([[-0.7, 0.0], [-0.2, rng.uniform(-0.2, 0.2)], [0.2, rng.uniform(-0.2, 0.2)], [0.7, 0.0]])
    middle = (1 - 0.7 * size) * _bare_point(canvas, rng)
    line = middle + size * _turned(_rounded(bend), rng.uniform(0, 2 * np.pi))
    return _stroke(canvas, line, 0.018 * size**0.5, rng), _scratch_tone(canvas)


_GLYPHS: tuple[tuple[tuple[tuple[float, float], ...], ...], ...] = (
    (((-0.35, 0.5), (0, -0.5), (0.35, 0.5)), ((-0.2, 0.1), (0.2, 0.1))),
    (((-0.3, -0.5), (-0.3, 0.5)), ((0.3, -0.5), (0.3, 0.5)), ((-0.3, 0), (0.3, 0))),
    (((-0.3, -0.5), (-0.3, 0.5)), ((0.3, -0.5), (-0.3, 0.05), (0.35, 0.5))),
    (((-0.3, 0.5), (-0.3, -0.5), (0.3, 0.5), (0.3, -0.5)),),
    (((-0.35, -0.5), (0.35, -0.5)), ((0, -0.5), (0, 0.5))),
    (((-0.35, -0.5), (0.35, -0.5), (-0.35, 0.5), (0.35, 0.5)),),
    (((0.3, -0.5), (-0.3, -0.5), (-0.3, 0.5), (0.3, 0.5)), ((-0.3, 0), (0.2, 0))),
)


def _scratched_letters(canvas: Canvas, size: float, rng: np.random.Generator) -> Painted:
    glyphs = rng.integers(len(_GLYPHS), size=rng.integers(1, 4))
    turn, middle, covers = rng.uniform(-0.6, 0.6), (1 - size) * _bare_point(canvas, rng), []
    for place, glyph in zip(0.9 * (np.arange(len(glyphs)) - (len(glyphs) - 1) / 2), glyphs, strict=True):
        for line in _GLYPHS[glyph]:
            points = np.array(line) + rng.uniform(-0.06, 0.06, (len(line), 2))
            points[:, 0] += place
            covers.append(_stroke(canvas, middle + size * _turned(points, turn), 0.03 * size**0.5, rng))
    return _united(covers), _scratch_tone(canvas)


def _smudge(canvas: Canvas, size: float, rng: np.random.Generator) -> Painted:
    middle, turn = (1 - 0.5 * size) * _bare_point(canvas, rng), rng.uniform(0, np.pi)
    c, s = np.float32(np.cos(turn)), np.float32(np.sin(turn))
    x, y = canvas.x - np.float32(middle[0]), canvas.y - np.float32(middle[1])
    long, wide = (
        (c * x + s * y) / np.float32(0.7 * size + 1e-3),
        (c * y - s * x) / np.float32(0.35 * size + 1e-3),
    )
    lines = np.interp(wide, np.linspace(-1.5, 1.5, 25), rng.uniform(0.3, 1, 25)).astype(np.float32)
    blot = np.exp(-2 * (long**2 + wide**2) ** 2) * lines
    return blot * np.clip(0.75 + 0.25 * clouds(rng, 20, len(x)), 0, 1), 0.35 + np.float32(0.1) * canvas.ink


_PIPPED, _LOGOS = tuple(PIPS), tuple(LOGO_TURNS)
_KINDS = {
    "scribble": _Kind(FACES, (0.35, 1.0), 0.25, _scribble),
    "cross_strokes": _Kind(FACES, (0.35, 1.0), 0.25, _cross_strokes),
    "erased_pip": _Kind(_PIPPED, (0.2, 1.0), 0.3, _erased_pip),
    "half_erased_pip": _Kind(_PIPPED, (0.2, 0.7), 0.3, _half_erased_pip),
    "extra_specks": _Kind(FACES, (0.35, 1.0), 0.3, _extra_specks),
    "broken_logo": _Kind(_LOGOS, (0.35, 1.0), 0.3, _broken_logo),
    "filled_logo": _Kind(_LOGOS, (0.35, 1.0), 0.35, _filled_logo),
    "scratch": _Kind(FACES, (0.3, 1.0), 0.3, _scratch),
    "scratched_letters": _Kind(FACES, (0.2, 0.55), 0.3, _scratched_letters),
    "smudge": _Kind(FACES, (0.4, 1.0), 0.35, _smudge),
}
DEFECTS = tuple(_KINDS)
"""The kinds of defect."""
