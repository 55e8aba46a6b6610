"""What each ingredient of the judgement is worth: one left out at a time, and thresholds carried on."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest.mock import patch

import numpy as np
import numpy.typing as npt

from dice_core.gaussian import half_gaussian, smooth
from dice_core.register import Registration
from dice_core.residual import SMOOTHING
from dice_core.spread import Spread, Spreads
from tests.bench.photographs import days, synthetic_day
from tests.bench.quality.carried import Carried
from tests.bench.quality.material import Material
from tests.bench.quality.outcome import auroc
from tests.bench.quality.spots import Base, Spot
from tests.bench.quality.taught import Taught
from tests.bench.report import Report

Images = npt.NDArray[np.float32]

SPOTS = (Spot(5, 80), Spot(8, 40))
NEVER = 1e6


def _unmoved(self: Registration, images: Images) -> Images:  # noqa: ARG001 - stands in for a method
    return np.tile(np.eye(2, 3, dtype=np.float32), (len(images), 1, 1))


def _smoothed(values: Images) -> Images:
    return smooth(values, half_gaussian(SMOOTHING * max(values.shape[1:])))


def _one_sided(close: Callable[[Spreads], Spread]) -> Callable[[Spreads], Spread]:
    def pooled(self: Spreads) -> Spread:
        dark, bright = close(self)
        both = np.sqrt((dark**2 + bright**2) / 2)
        return Spread(both, both)

    return pooled


INGREDIENTS: Mapping[str, Mapping[str, Any]] = {
    "nothing": {},
    "registration": {"dice_core.register.Registration.transforms": _unmoved},
    "unsteadiness of the copies": {
        "dice_core.affine.JITTER_SHIFT": 0.0,
        "dice_core.affine.JITTER_LINEAR": 0.0,
    },
    "light spots on the copies": {"dice_core.augment.SPOT_GAIN": (0.0, 0.0)},
    "cut of highlights": {"dice_core.exposure.LEAST_CEILING": NEVER},
    "band-pass: surroundings stay": {
        f"dice_core.{module}.band_pass": _smoothed for module in ("residual", "learn", "suspect")
    },
    "two sides of the spread": {"dice_core.spread.Spreads.close": _one_sided(Spreads.close)},
    "floor of the spread": {"dice_core.spread.FLOOR_DARK": 0.5, "dice_core.spread.FLOOR_BRIGHT": 0.5},
    "leaving out suspects": {"dice_core.teach.FACTOR": NEVER},
    "all but ten variation templates": {"components": 10},
}
"""What is left out, and what it takes: names with what they stand for instead, or a setting of `Learning`."""


def run(*, tiny: bool) -> Report:
    """Leave out one ingredient at a time, both ways between two days."""
    if tiny:
        about, sessions = "SYNTHETIC dice: a self-test", [synthetic_day(day, 66, 0.15) for day in (1, 2)]
        chosen: tuple[str, ...] = ("nothing", "registration")
    else:
        about, found = days(tiny=False)
        sessions, chosen = list(found.values()), tuple(INGREDIENTS)
    first, second = map(Material.of, sessions)
    rows = []
    for name in chosen:
        changes = dict(INGREDIENTS[name])
        settings = {key: changes.pop(key) for key in tuple(changes) if "." not in key}
        with _changed(changes):
            for way, taught, scored in (("A on B", first, second), ("B on A", second, first)):
                told = _carried(way, Taught.by(taught, **settings), scored, 20 if tiny else 200)
                rows.append({"left out": name, "way": way, **told})
    return Report("ablation", f"Thresholds carried to another day, on {about}.", {"ablation": rows})


@contextmanager
def _changed(changes: Mapping[str, Any]) -> Iterator[None]:
    with ExitStack() as stack:
        for name, instead in changes.items():
            stack.enter_context(patch(name, instead))
        yield


def _carried(way: str, taught: Taught, scored: Material, images: int) -> dict[str, Any]:
    carried = Carried.of(way, taught, scored, 0)
    bad = carried.scored.is_bad
    confusion = carried.confusion()
    base = Base.of(carried, images)
    found = {spot: taught.called(taught.score(base.painted(spot, 0))) for spot in SPOTS}
    return {
        "false alarms": confusion.fp,
        "misses": confusion.fn,
        "AUROC": auroc(carried.columns, bad, carried.unknown),
        **{
            f"{spot.side}x{spot.side} of {spot.levels}": float(called.mean())
            for spot, called in found.items()
        },
    }
