"""Brushes: how each kind of defect looks.

A brush takes the die, the defect's size in 0..1 and a generator, and returns the share of each pixel it
covers, 0..1, and the brightness it leaves there. Lengths and brightness are those of `dice_core.die`.
"""

from collections.abc import Callable
from itertools import pairwise
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from dice_core.die import ARM, PIPS, Die, Field, clouds, logo_arms, pip_radius, step, toward

Points: TypeAlias = NDArray[np.float64]
"""Places (x, y) on the die: (n, 2), or (2,) for one."""

Painted: TypeAlias = tuple[Field, Field | float]
Brush: TypeAlias = Callable[[Die, float, np.random.Generator], Painted]

_GLYPHS: tuple[tuple[tuple[tuple[float, float], ...], ...], ...] = (
    (((-0.35, 0.5), (0, -0.5), (0.35, 0.5)), ((-0.2, 0.1), (0.2, 0.1))),
    (((-0.3, -0.5), (-0.3, 0.5)), ((0.3, -0.5), (0.3, 0.5)), ((-0.3, 0), (0.3, 0))),
    (((-0.3, -0.5), (-0.3, 0.5)), ((0.3, -0.5), (-0.3, 0.05), (0.35, 0.5))),
    (((-0.3, 0.5), (-0.3, -0.5), (0.3, 0.5), (0.3, -0.5)),),
    (((-0.35, -0.5), (0.35, -0.5)), ((0, -0.5), (0, 0.5))),
    (((-0.35, -0.5), (0.35, -0.5), (-0.35, 0.5), (0.35, 0.5)),),
    (((0.3, -0.5), (-0.3, -0.5), (-0.3, 0.5), (0.3, 0.5)), ((-0.3, 0), (0.2, 0))),
)
"""The lines of the letters A, H, K, N, T, Z and E."""


def scribble(die: Die, size: float, rng: np.random.Generator) -> Painted:
    """Run a dry pen in a loop or a zigzag."""
    middle = _bare_point(die, rng)
    if rng.integers(3) == 0:
        angles = np.linspace(0, 2.1 * np.pi, 10) + rng.uniform(0, 2 * np.pi)
        line = np.stack([np.cos(angles), np.sin(angles)], axis=1) * rng.uniform(0.4, 0.6, (10, 1))
    else:
        line = np.stack([np.linspace(-0.7, 0.7, 6), np.tile([-0.8, 0.8], 3)], axis=1)
        line = _turned(line + rng.uniform(-0.35, 0.35, (6, 2)), rng.uniform(0, 2 * np.pi))
    line = (1 - size) * middle + size * _rounded(line)
    return _dry_stroke(die, line, 0.075 * size**0.5, rng), 0.04


def cross_strokes(die: Die, size: float, rng: np.random.Generator) -> Painted:
    """Cross a place out with two strokes of a dry pen."""
    middle, turn = (1 - 0.7 * size) * _bare_point(die, rng), rng.uniform(0, np.pi)
    covers = []
    for angle in (turn, turn + rng.uniform(0.6, 1.5)):
        ends = _turned(np.array([[-1.0, 0.0], [1.0, 0.0]]), angle) * size * rng.uniform(0.7, 0.95)
        covers.append(_dry_stroke(die, middle + ends, rng.uniform(0.07, 0.12) * size**0.5, rng))
    return np.maximum(*covers), 0.035


def scratch(die: Die, size: float, rng: np.random.Generator) -> Painted:
    """Scratch the die in a bent line."""
    bend = np.array([[-0.7, 0.0], [-0.2, rng.uniform(-0.2, 0.2)], [0.2, rng.uniform(-0.2, 0.2)], [0.7, 0.0]])
    middle = (1 - 0.7 * size) * _bare_point(die, rng)
    line = middle + size * _turned(_rounded(bend), rng.uniform(0, 2 * np.pi))
    return _stroke(die, line, 0.018 * size**0.5), _scratch_tone(die)


def scratched_letters(die: Die, size: float, rng: np.random.Generator) -> Painted:
    """Scratch up to three letters in a row."""
    glyphs = rng.integers(len(_GLYPHS), size=rng.integers(1, 4))
    turn, middle, covers = rng.uniform(-0.6, 0.6), (1 - size) * _bare_point(die, rng), []
    for place, glyph in zip(0.9 * (np.arange(len(glyphs)) - (len(glyphs) - 1) / 2), glyphs, strict=True):
        for line in _GLYPHS[glyph]:
            points = np.array(line) + rng.uniform(-0.06, 0.06, (len(line), 2))
            points[:, 0] += place
            covers.append(_stroke(die, middle + size * _turned(points, turn), 0.03 * size**0.5))
    return np.maximum.reduce(covers), _scratch_tone(die)


def erased_pip(die: Die, size: float, rng: np.random.Generator) -> Painted:
    """Wear a pip from its edge inwards; at size 1 it is gone with the shade around it."""
    x, y, distance = _from_pip(die, rng)
    rough = np.float32(0.12 * min(1.0, 4 * size)) * clouds(rng, 24, die.size)
    off = _disc_point(rng, 0.3 * size)
    rest = np.hypot(x - np.float32(off[0]), y - np.float32(off[1])) + rough
    worn = step(np.float32(1.1 - 1.35 * size) - rest, 0.15)
    return worn * _pip_and_shade(distance, size), die.bare


def half_erased_pip(die: Die, size: float, rng: np.random.Generator) -> Painted:
    """Wear a pip from one side."""
    x, y, distance = _from_pip(die, rng)
    angle = rng.uniform(0, 2 * np.pi)
    rough = np.float32(0.06 * min(1.0, 4 * size)) * clouds(rng, 24, die.size)
    worn = step(np.float32(1.1 - 2.25 * size) - (toward(x, y, angle) + rough), 0.12)
    return worn * _pip_and_shade(distance, size), die.bare


def extra_specks(die: Die, size: float, rng: np.random.Generator) -> Painted:
    """Drop up to four dark specks near each other."""
    rough = np.float32(0.25) * clouds(rng, 32, die.size)
    at, radius, covers = _bare_point(die, rng), 0.5 * pip_radius(die.face) * size, []
    for _ in range(rng.integers(1, 5)):
        along, across = _axes(die, at, rng.uniform(0, np.pi))
        distance = np.hypot(along / np.float32(1.5), across) + np.float32(radius) * rough - np.float32(radius)
        covers.append(step(distance, 1.5 * die.pixel))
        at = 0.9 * at + _disc_point(rng, 0.4)
    return np.maximum.reduce(covers), 0.08


def broken_logo(die: Die, size: float, rng: np.random.Generator) -> Painted:
    """Break up to three gaps into the ink, which takes most of the shade beside it along."""
    wave = np.float32(0.03) * clouds(rng, 8, die.size)
    covers = []
    for _ in range(rng.integers(1, 4)):
        angle, place = rng.uniform(0, np.pi), rng.uniform(-0.3, 0.3)
        half = 0.09 * size * rng.uniform(0.6, 1.0)
        off = np.abs(toward(die.x, die.y, angle) + wave - np.float32(place))
        gap = step(off - np.float32(half), 1.5 * die.pixel)
        covers.append(gap * np.float32(min(1, 1.5 * half / die.pixel)))
    return np.maximum.reduce(covers) * np.clip(3 * die.ink, 0, 1), 0.9 * die.bare


def filled_logo(die: Die, size: float, rng: np.random.Generator) -> Painted:
    """Fill the corner between the logo's arms with ink."""
    u, v = logo_arms(die.face, die.x, die.y)
    far = np.float32(2 * ARM + 0.8 * size)
    front = (u + v + np.float32(0.05 * size) * clouds(rng, 12, die.size) - far) / np.float32(2**0.5)
    between = np.maximum(front, ARM - np.minimum(u, v))
    sheen = np.float32(0.05) + np.float32(0.02) * np.abs(clouds(rng, 20, die.size))
    return step(between, 1.5 * die.pixel) * (1 - die.ink), sheen


def smudge(die: Die, size: float, rng: np.random.Generator) -> Painted:
    """Wipe a streaky grey blot."""
    middle, turn = (1 - 0.5 * size) * _bare_point(die, rng), rng.uniform(0, np.pi)
    along, across = _axes(die, middle, turn)
    along, across = along / np.float32(0.7 * size + 1e-3), across / np.float32(0.35 * size + 1e-3)
    lines = np.interp(across, np.linspace(-1.5, 1.5, 25), rng.uniform(0.3, 1, 25)).astype(np.float32)
    blot = np.exp(-2 * (along**2 + across**2) ** 2) * lines
    return blot * np.clip(0.75 + 0.25 * clouds(rng, 20, die.size), 0, 1), 0.35 + np.float32(0.1) * die.ink


def _disc_point(rng: np.random.Generator, reach: float) -> Points:
    angle = rng.uniform(0, 2 * np.pi)
    return np.array([np.cos(angle), np.sin(angle)]) * (reach * float(np.sqrt(rng.random())))


def _bare_point(die: Die, rng: np.random.Generator) -> Points:
    """Pick a place on the flat of the die with no ink on it, where a small defect is not hidden."""
    free = np.flatnonzero((die.ink == 0) & (die.x**2 + die.y**2 < 0.5))  # noqa: PLR2004 - short of the rim
    place = free[rng.integers(len(free))]
    return np.array([die.x.flat[place], die.y.flat[place]], np.float64)


def _axes(die: Die, middle: Points, turn: float) -> tuple[Field, Field]:
    """Measure each pixel's place from `middle` along an axis turned by `turn` radians, and across it."""
    x, y = die.x - np.float32(middle[0]), die.y - np.float32(middle[1])
    return toward(x, y, turn), toward(y, -x, turn)


def _turned(points: Points, angle: float) -> Points:
    c, s = np.cos(angle), np.sin(angle)
    return np.asarray(points @ np.array([[c, s], [-s, c]]))


def _rounded(points: Points) -> Points:
    """Cut the corners of a line, Chaikin's way, until it is a curve."""
    for _ in range(2):
        a, b = points[:-1], points[1:]
        cut = np.stack([0.75 * a + 0.25 * b, 0.25 * a + 0.75 * b], axis=1).reshape(-1, 2)
        points = np.vstack([points[:1], cut, points[-1:]])
    return points


def _from_line(die: Die, line: Points) -> tuple[Field, Field, Field]:
    """Measure each pixel's distance from a line, its signed distance, and its place along it in 0..1."""
    nearest = np.full(die.x.shape, np.inf, np.float32)
    across, along = np.zeros_like(nearest), np.zeros_like(nearest)
    for i, (a, b) in enumerate(pairwise(line)):
        dx, dy = die.x - np.float32(a[0]), die.y - np.float32(a[1])
        ux, uy = (b - a).astype(np.float32)
        t = np.clip((dx * ux + dy * uy) / (ux * ux + uy * uy + np.float32(1e-12)), 0, 1)
        distance = np.hypot(dx - t * ux, dy - t * uy)
        closer = distance < nearest
        np.copyto(nearest, distance, where=closer)
        np.copyto(across, np.sign(dx * uy - dy * ux) * distance, where=closer)
        np.copyto(along, (i + t) / (len(line) - 1), where=closer)
    return nearest, across, along


def _stroke(die: Die, line: Points, half: float) -> Field:
    """Cover the pixels within `half` of a line."""
    return step(_from_line(die, line)[0] - np.float32(half), die.pixel)


def _dry_stroke(die: Die, line: Points, half: float, rng: np.random.Generator) -> Field:
    """Cover the pixels within `half` of a line, but for streaks, most at its ends."""
    nearest, across, along = _from_line(die, line)
    bristles = np.clip(rng.normal(-0.1, 0.7, 18), 0, 1)
    streaks = np.interp(across, np.linspace(-half, half, 18), bristles).astype(np.float32)
    left = 1 - np.float32(0.9) * streaks * (np.float32(0.2) + (2 * along - 1) ** 6)
    return np.asarray(step(nearest - np.float32(half), die.pixel) * np.maximum(left, 0))


def _from_pip(die: Die, rng: np.random.Generator) -> tuple[Field, Field, Field]:
    """Pick a pip; return x, y and distance from its middle, in its radii."""
    pips, radius = PIPS[die.face], pip_radius(die.face)
    middle = pips[rng.integers(len(pips))]
    x, y = (die.x - np.float32(middle[0])) / radius, (die.y - np.float32(middle[1])) / radius
    return x, y, np.hypot(x, y)


def _pip_and_shade(distance: Field, size: float) -> Field:
    """Cover a pip and, the more of it is to go, the shade around it."""
    return step(distance - np.float32(1 + 0.7 * size), 0.2 + 0.6 * size)


def _scratch_tone(die: Die) -> Field:
    """Dirt in a scratch is dark on the bare die; through the ink the light ground shows."""
    return np.float32(0.2) + np.float32(0.45) * die.ink
