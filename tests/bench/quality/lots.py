"""Lots of which nothing, half or all carries the same defect: found one by one, or alarmed at as a whole."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from dice_core.bank import Bank
from dice_core.drift import Counts, Drift, most_called
from dice_core.score import Columns
from dice_core.threshold import Confusion
from tests.bench.quality.carried import Carried
from tests.bench.quality.material import Flags, Grey, spread_evenly
from tests.bench.quality.outcome import Row, row
from tests.bench.quality.parts import parts_of

LEAST_RECALL = 0.97
PLACES = 5
_MID_GREY = 128


@dataclass(frozen=True)
class Mark:
    """A bar of `height` by `width` pixels that is off by `levels` grey levels towards mid-grey."""

    name: str
    height: int
    width: int
    levels: int

    def paint(self, image: Grey, y: int, x: int) -> Grey:
        painted = image.copy()
        region = painted[y : y + self.height, x : x + self.width]
        by = self.levels if region.mean() <= _MID_GREY else -self.levels
        region[:] = np.clip(region.astype(np.int16) + by, 0, 255)
        return painted

    def places(self, part: Flags, rng: np.random.Generator, count: int) -> Iterator[tuple[int, int]]:
        """Draw corners from which the bar lies in the part."""
        windows = np.lib.stride_tricks.sliding_window_view(part, (self.height, self.width))
        fitting = np.argwhere(windows.all(axis=(2, 3)))
        for y, x in fitting[rng.integers(len(fitting), size=count)]:
            yield int(y), int(x)


MARKS = (
    Mark("spot 5x5 of 80 levels", 5, 5, 80),
    Mark("spot 8x8 of 40 levels", 8, 8, 40),
    Mark("line 2x24 of 60 levels", 2, 24, 60),
)


def lots(ways: list[Carried], parts: int = 200) -> tuple[list[Row], list[Row]]:
    """Judge lots in which the same mark lies at the same place, and lots of the real defective frames."""
    rows: list[Row] = []
    for way in ways:
        rows += _of_marks(way, parts)
        rows += _of_real_defects(way)
    cases = []
    for share in (0.5, 1.0):
        own = [told for told in rows if told["share"] == share]
        hidden = [told for told in own if told["recall"] < LEAST_RECALL and not told["alarm"]]
        cases.append(
            row(
                f"lots with the same defect on {share:.0%}",
                f"recall {LEAST_RECALL}, or alarm",
                f"{len(own) - len(hidden)} of {len(own)} lots",
                met=not hidden,
                confusion=sum(
                    (Confusion(fp=told["false alarms"], fn=told["misses"]) for told in hidden), Confusion()
                ),
            )
        )
    own = [told for told in rows if told["share"] == 0]
    wrong = sum(told["alarm"] is not None for told in own)
    cases.append(row("lots without a defect", "", f"{wrong} of {len(own)} alarmed at", met=None))
    return cases, rows


def _of_marks(way: Carried, parts: int) -> Iterator[Row]:
    good = np.flatnonzero(~way.scored.is_bad)
    images = way.scored.images[good[spread_evenly(len(good), parts)]]
    none = np.zeros(len(images), bool)
    half = np.arange(len(images)) % 2 == 1
    yield _judged(way, "none", 0.0, images, none)
    common = np.logical_and.reduce(list(parts_of(way.taught.bank).values()))
    for number, mark in enumerate(MARKS):
        for y, x in mark.places(common, np.random.default_rng(number), PLACES):
            marked = np.stack([mark.paint(image, y, x) for image in images])
            for share, spoilt in ((0.5, half), (1.0, ~none)):
                lot = np.where(spoilt[:, None, None], marked, images)
                yield _judged(way, f"{mark.name} at {x}, {y}", share, lot, spoilt)


def _of_real_defects(way: Carried) -> Iterator[Row]:
    bad = way.scored.images[way.scored.is_bad]
    good = way.scored.images[~way.scored.is_bad]
    half = good[spread_evenly(len(good), len(bad))]
    for share, lot in ((0.5, np.concatenate([half, bad])), (1.0, bad)):
        spoilt = np.arange(len(lot)) >= len(lot) - len(bad)
        yield _judged(way, "the known defective frames", share, lot, spoilt)


def _judged(way: Carried, name: str, share: float, images: Grey, spoilt: Flags) -> Row:
    columns = way.taught.score(images)
    called = way.taught.called(columns)
    confusion = Confusion.of(spoilt, called)
    return {
        "way": way.name,
        "defect": name,
        "share": share,
        "parts": len(images),
        "recall": 1.0 if confusion.recall is None else confusion.recall,
        "false alarms": confusion.fp,
        "misses": confusion.fn,
        "alarm": _alarm(way.taught.bank, columns, called),
    }


def _alarm(bank: Bank, columns: Columns, called: Flags) -> str | None:
    """Judge the lot as the jobs do, from its scores alone."""
    number = {face.name: at for at, face in enumerate(bank.faces)}
    face = np.array([number[name] for name in columns["face"].tolist()])
    known = columns["ncc"] >= bank.ncc_floor
    counts = Counts.of(bank.reference, len(bank.faces), columns["defect_score"], face, called, known)
    expected = bank.expected.get("defect_score")
    most = most_called(expected.alarms.most if expected else None, bank.prevalence)
    return Drift.of(counts, bank.reference, most).alarm
