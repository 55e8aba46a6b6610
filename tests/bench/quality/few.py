"""A handful of good images of each face, and what a bank of them is worth on all that it did not see."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from dice_core.sample import Sample
from dice_core.threshold import Confusion
from tests.bench.quality.carried import Carried
from tests.bench.quality.material import Flags, Material, Numbers, defect_runs, take
from tests.bench.quality.outcome import Row, f1_over_seeds
from tests.bench.quality.taught import Taught

LEAST_F1 = {10: 0.95, 30: 0.98}
SEEDS = (0, 1, 2)
_HALVES = 2


@dataclass(frozen=True)
class Handful:
    """A bank of few images of each face, and the images whose runs had no part in it."""

    taught: Taught
    unseen: Flags
    """Of the material, (N,)."""

    @classmethod
    def of(cls, material: Material, count: int, rng: np.random.Generator) -> "Handful":
        """Draw the images evenly from at most half of each face's runs, the other half being to judge."""
        good, unseen = {}, []
        for face, sample in material.good.items():
            chosen = draw(sample, count, rng)
            good[face] = take(sample, chosen)
            unseen.append(~np.isin(sample.runs, sample.runs[chosen]))
        unseen.append(np.ones(len(material.bad), bool))
        return cls(Taught.by(Material(good, material.bad)), np.concatenate(unseen))


def draw(sample: Sample, count: int, rng: np.random.Generator) -> Numbers:
    """Draw positions from at most half of the runs, one of each run before a second of any."""
    runs = rng.permutation(np.unique(sample.runs))
    queues = [rng.permutation(np.flatnonzero(sample.runs == run)).tolist() for run in runs]
    queues = queues[: max(1, min(count, len(queues) // 2))]
    drawn: list[int] = []
    while len(drawn) < count and any(queues):
        drawn += [queue.pop() for queue in queues if queue]
    return np.array(drawn[:count])


def few(
    material: Material, ways: list[Carried], counts: Sequence[int] = (10, 30), seeds: Sequence[int] = SEEDS
) -> tuple[list[Row], list[Row]]:
    """Judge the runs that did not teach, and, with nothing asked, the other session's photographs."""
    cases: list[Row] = []
    rows: list[Row] = []
    for count in counts:
        for name in ("other runs", *(way.name for way in ways)):
            drawn = []
            for seed in seeds:
                rng = np.random.default_rng([seed, count])
                own = [way for way in ways if way.name == name]
                drawn.append(_carried(own[0], count, rng) if own else _other_runs(material, count, rng))
                rows += [
                    {"images": count, "judged": name, "draw": seed, "defects known": known}
                    | {"false alarms": found.fp, "misses": found.fn, "F1": found.f1}
                    for known, found in zip(("yes", "no"), drawn[-1], strict=True)
                ]
            least = LEAST_F1[count] if name == "other runs" else None
            case = f"{count} good images a face, {name}"
            for what, found_by in zip(("defects", "no defect"), zip(*drawn, strict=True), strict=True):
                cases.append(f1_over_seeds(f"{case}, {what} known", least, list(found_by)))
    return cases, rows


def _other_runs(material: Material, count: int, rng: np.random.Generator) -> tuple[Confusion, Confusion]:
    """Errors with and without known defects.

    Where they are known, each half of their runs is judged by thresholds that know the other half, and so is
    each half of the good runs.
    """
    handful = Handful.of(material, count, rng)
    columns = handful.taught.score(material.images)
    bad, unseen = material.is_bad, handful.unseen
    known = np.zeros(len(bad), bool)
    half_of = _half_of(material)
    for half, taught in _knowing_half(handful.taught, material.bad):
        known[half_of == half] = taught.called(columns)[half_of == half]
    unknown = handful.taught.without_defects().called(columns)
    return Confusion.of(bad[unseen], known[unseen]), Confusion.of(bad[unseen], unknown[unseen])


def _carried(way: Carried, count: int, rng: np.random.Generator) -> tuple[Confusion, Confusion]:
    taught = Handful.of(way.taught.material, count, rng).taught
    columns = taught.score(way.scored.images)
    bad = way.scored.is_bad
    return (
        Confusion.of(bad, taught.called(columns)),
        Confusion.of(bad, taught.without_defects().called(columns)),
    )


def _knowing_half(taught: Taught, bad: Sample) -> Iterator[tuple[int, Taught]]:
    """Thresholds for each half of the runs, which know the defects of the other."""
    _, dense = np.unique(defect_runs(bad), return_inverse=True)
    for half in range(_HALVES):
        yield half, taught.knowing(dense % _HALVES != half)


def _half_of(material: Material) -> Numbers:
    """Half of each image, (N,): good runs and those of defective frames by turns."""
    numbered = []
    for runs in (*(sample.runs for sample in material.good.values()), defect_runs(material.bad)):
        _, dense = np.unique(runs, return_inverse=True)
        numbered.append(dense % _HALVES)
    return np.concatenate(numbered)
