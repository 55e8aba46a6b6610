"""What can be wrong with a die: the kinds a face can have, how large and visible they are, and spoiling."""

from dataclasses import dataclass

import numpy as np

from dice_core import brushes
from dice_core.brushes import Brush
from dice_core.die import FACES, LOGO_TURNS, PIPS, Die, Field, check_face


@dataclass(frozen=True)
class _Kind:
    """One kind of defect: the faces that can have it, its usual sizes, its least contrast, its brush."""

    faces: tuple[str, ...]
    sizes: tuple[float, float]
    faintest: float
    brush: Brush


_PIPPED, _LOGOS = tuple(PIPS), tuple(LOGO_TURNS)
_KINDS = {
    "scribble": _Kind(FACES, (0.35, 1.0), 0.25, brushes.scribble),
    "cross_strokes": _Kind(FACES, (0.35, 1.0), 0.25, brushes.cross_strokes),
    "erased_pip": _Kind(_PIPPED, (0.2, 1.0), 0.3, brushes.erased_pip),
    "half_erased_pip": _Kind(_PIPPED, (0.2, 0.7), 0.3, brushes.half_erased_pip),
    "extra_specks": _Kind(FACES, (0.35, 1.0), 0.3, brushes.extra_specks),
    "broken_logo": _Kind(_LOGOS, (0.35, 1.0), 0.3, brushes.broken_logo),
    "filled_logo": _Kind(_LOGOS, (0.35, 1.0), 0.35, brushes.filled_logo),
    "scratch": _Kind(FACES, (0.3, 1.0), 0.3, brushes.scratch),
    "scratched_letters": _Kind(FACES, (0.2, 0.55), 0.3, brushes.scratched_letters),
    "smudge": _Kind(FACES, (0.4, 1.0), 0.35, brushes.smudge),
}
DEFECTS = tuple(_KINDS)
"""The kinds of defect."""


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
    kind = _KINDS[name]
    smallest, largest = kind.sizes
    size = smallest * (largest / smallest) ** rng.random()
    contrast = 1 - (1 - kind.faintest) * rng.random() ** 2
    return Defect(name, size, contrast)


def spoil(die: Die, defect: Defect, rng: np.random.Generator) -> Field:
    """Return the brightness (H, W) of a die with the defect on it; nothing changes off the die."""
    cover, target = _KINDS[defect.kind].brush(die, defect.size, rng)
    on_die = np.clip((0.93 - die.edge) / 0.03, 0, 1)
    change = np.float32(defect.contrast) * cover * on_die * (target - die.brightness)
    return np.asarray(die.brightness + change)
