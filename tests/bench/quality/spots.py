"""Uniform spots painted inside good parts, from their own brightness towards mid-grey."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from tests.bench.quality.carried import Carried
from tests.bench.quality.material import Flags, Grey, spread_evenly
from tests.bench.quality.outcome import Row, row
from tests.bench.quality.parts import parts_of

SIDES = (3, 5, 8)
LEVELS = (20, 40, 80)
ASKED = {(5, 80), (8, 40)}
LEAST_FOUND = 0.95
IMAGES = 600
"""Of each session, evenly spread."""
_MID_GREY = 128


@dataclass(frozen=True)
class Spot:
    """A square of `side` pixels that is off by `levels` grey levels."""

    side: int
    levels: int

    def paint(self, image: Grey, part: Flags, rng: np.random.Generator) -> Grey:
        """Paint it wholly inside the part, anywhere: darker where the image is bright, else brighter."""
        # A square structure erodes to the places of a square's corner from which it fits.
        low, high = self.side // 2, self.side - self.side // 2
        inside = ndimage.binary_erosion(part, np.ones((self.side, self.side), bool))
        places = np.argwhere(inside if inside.any() else part)
        y, x = places[rng.integers(len(places))]
        painted = image.copy()
        region = painted[max(y - low, 0) : y + high, max(x - low, 0) : x + high]
        by = self.levels if region.mean() <= _MID_GREY else -self.levels
        region[:] = np.clip(region.astype(np.int16) + by, 0, 255)
        return painted


@dataclass(frozen=True)
class Base:
    """Good photographs of a session that the other's bank does not call, and the parts seen in them."""

    way: Carried
    images: Grey
    parts: list[Flags]
    called: int
    """How many it did call, and were left out."""

    @classmethod
    def of(cls, way: Carried, most: int = IMAGES) -> "Base":
        good = np.flatnonzero(~way.scored.is_bad)
        chosen = good[spread_evenly(len(good), most)]
        silent = ~way.taught.called(way.columns)[chosen]
        part_of = parts_of(way.taught.bank)
        kept = chosen[silent]
        return cls(
            way,
            way.scored.images[kept],
            [part_of[name] for name in way.columns["face"][kept].tolist()],
            int((~silent).sum()),
        )

    def painted(self, spot: Spot, seed: int) -> Grey:
        """Paint one spot on each image."""
        return np.stack(
            [
                spot.paint(image, part, np.random.default_rng([seed, spot.side, spot.levels, number]))
                for number, (image, part) in enumerate(zip(self.images, self.parts, strict=True))
            ]
        )


def cells() -> Iterator[Spot]:
    return (Spot(side, levels) for side in SIDES for levels in LEVELS)


def spots(ways: list[Carried], most: int = IMAGES) -> tuple[list[Row], list[Row]]:
    """Share of spots found at the carried threshold: the detection table, and the cells asked for."""
    bases = [Base.of(way, most) for way in ways]
    rows, cases = [], []
    for spot in cells():
        found = [
            base.way.taught.called(base.way.taught.score(base.painted(spot, seed)))
            for seed, base in enumerate(bases)
        ]
        shares = [float(called.mean()) for called in found]
        rows.append(
            {
                "spot": f"{spot.side}x{spot.side}",
                "levels": spot.levels,
                **{base.way.name: share for base, share in zip(bases, shares, strict=True)},
                "all": float(np.concatenate(found).mean()),
                "images": sum(map(len, found)),
                "left out, called unpainted": sum(base.called for base in bases),
            }
        )
        if (spot.side, spot.levels) in ASKED:
            lowest = min(shares)
            cases.append(
                row(
                    f"spot {spot.side}x{spot.side} of {spot.levels} levels, the worse session",
                    f"{LEAST_FOUND:.0%} found",
                    f"{lowest:.1%}",
                    met=lowest >= LEAST_FOUND,
                )
            )
    return cases, rows
