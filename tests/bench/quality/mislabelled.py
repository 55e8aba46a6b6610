"""Defective images among the good ones that teach."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from dice_core.sample import Sample
from dice_core.threshold import Confusion
from tests.bench.quality.carried import Carried
from tests.bench.quality.material import Flags, Material, defect_runs, spread_evenly
from tests.bench.quality.outcome import Row, f1_over_seeds
from tests.bench.quality.taught import Taught

LEAST_F1 = {0.03: 0.98, 0.10: 0.95}
SEEDS = (0, 1, 2)
MOST_SLIPPED = 0.75
"""Of the defects at most so many slip among the good; the rest are known for what they are."""


def mislabel(
    material: Material, faces: npt.NDArray[np.str_], share: float, rng: np.random.Generator
) -> tuple[Material, int]:
    """Let random defects slip among the good of the face each shows, until they are such a share of it all.

    Where there are too few defects for that, fewer good images are taken, evenly of each face.

    Returns
    -------
    Material
        To teach with.
    int
        How many defects slipped.
    """
    goods = sum(map(len, material.good.values()))
    wanted = round(goods * share / (1 - share))
    slipped = min(wanted, int(MOST_SLIPPED * len(material.bad)))
    kept = slipped / wanted
    is_slipped = np.zeros(len(material.bad), bool)
    is_slipped[rng.choice(len(material.bad), slipped, replace=False)] = True
    good = {}
    for face, sample in material.good.items():
        own = spread_evenly(len(sample), max(1, round(kept * len(sample))))
        good[face] = _join(_some(sample, own), material.bad, is_slipped & (faces == face))
    return Material(good, _some(material.bad, np.flatnonzero(~is_slipped))), slipped


def mislabelled(
    ways: list[Carried], shares: Sequence[float] = (0.03, 0.10), seeds: Sequence[int] = SEEDS
) -> tuple[list[Row], list[Row]]:
    """Judge the other session's photographs by banks that mislabelled images taught."""
    cases: list[Row] = []
    rows: list[Row] = []
    for share in shares:
        for way in ways:
            known: list[Confusion] = []
            unknown: list[Confusion] = []
            for seed in seeds:
                rng = np.random.default_rng([seed, round(100 * share)])
                clean = way.taught.crossfit.bad["face"]
                material, slipped = mislabel(way.taught.material, clean, share, rng)
                taught = Taught.by(material)
                columns = taught.score(way.scored.images)
                for found, by in ((known, taught), (unknown, taught.without_defects())):
                    found.append(Confusion.of(way.scored.is_bad, by.called(columns)))
                rows.append(
                    {
                        "way": way.name,
                        "share": share,
                        "draw": seed,
                        "good": sum(map(len, material.good.values())) - slipped,
                        "slipped": slipped,
                        "known": len(material.bad),
                        "false alarms": known[-1].fp,
                        "misses": known[-1].fn,
                        "F1": known[-1].f1,
                        "F1, no defect known": unknown[-1].f1,
                    }
                )
            cases.append(
                f1_over_seeds(f"{share:.0%} of the good are defective, {way.name}", LEAST_F1[share], known)
            )
            cases.append(
                f1_over_seeds(
                    f"{share:.0%} of the good are defective, {way.name}, no defect known", None, unknown
                )
            )
    return cases, rows


def _some(sample: Sample, which: npt.NDArray[np.int64]) -> Sample:
    """Keep some images, in the runs they were in."""
    return Sample(
        images=sample.images[which],
        runs=sample.runs[which],
        repeats=sample.repeats[which],
        hashes=tuple(sample.hashes[at] for at in which),
        names=tuple(sample.names[at] for at in which),
    )


def _join(good: Sample, bad: Sample, slipped: Flags) -> Sample:
    """Put defective images behind good ones, in runs of their own."""
    own = _some(bad, np.flatnonzero(slipped))
    runs = defect_runs(bad)[slipped] + int(good.runs.max(initial=-1)) + 1
    return Sample(
        images=np.concatenate([good.images, own.images]),
        runs=np.concatenate([good.runs, runs]),
        repeats=np.concatenate([good.repeats, own.repeats]),
        hashes=(*good.hashes, *own.hashes),
        names=(*good.names, *own.names),
    )
