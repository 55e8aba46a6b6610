"""Cases 1 to 5 and per face: cross-fitted scores, and thresholds carried from one session to the other."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from dice_core.rows import SCORE_DIRECTIONS
from dice_core.score import Columns
from dice_core.threshold import Confusion, Sweep
from tests.bench.quality.material import Flags, Material, defect_runs
from tests.bench.quality.outcome import Row, at_most, auroc, f1_at_least, row
from tests.bench.quality.peer import cross_fitted_variation_score, variation_score
from tests.bench.quality.taught import Taught

PEER = "variation_model"
LEAST_AUROC = 0.9999


@dataclass(frozen=True)
class Carried:
    """One session's bank on the other's photographs, which taught it nothing."""

    name: str
    taught: Taught
    scored: Material
    columns: Columns
    limit: int
    """Errors that may be."""

    @classmethod
    def of(cls, name: str, taught: Taught, scored: Material, limit: int) -> "Carried":
        seen = taught.bank.taught.intersection(scored.hashes)
        if seen:
            raise ValueError(f"{name}: {len(seen)} of the photographs to score taught the bank")
        return cls(name, taught, scored, taught.score(scored.images), limit)

    @property
    def unknown(self) -> Flags:
        return np.asarray(self.columns["ncc"] < self.taught.bank.ncc_floor)

    def confusion(self, taught: Taught | None = None) -> Confusion:
        """Errors of the verdicts, or of those by other thresholds."""
        return Confusion.of(self.scored.is_bad, (taught or self.taught).called(self.columns))


def cross_fitted(everything: Taught) -> list[Row]:
    """Errors of a fit on everything, each image judged by a bank without it."""
    called = everything.called(everything.cross_fitted)
    return [at_most("cross-fitted", 2, Confusion.of(everything.material.is_bad, called))]


def carried(ways: list[Carried]) -> list[Row]:
    """Thresholds carried to the other session, with and without known defects."""
    rows = []
    for way in ways:
        area = auroc(way.columns, way.scored.is_bad, way.unknown)
        rows.append(at_most(f"carried, {way.name}", way.limit, way.confusion()))
        rows.append(
            row(f"ranking, {way.name}", f"AUROC {LEAST_AUROC}", f"{area:.5f}", met=area >= LEAST_AUROC)
        )
    return [
        *rows,
        *(
            f1_at_least(f"no known defect, {way.name}", 0.96, way.confusion(way.taught.without_defects()))
            for way in ways
        ),
    ]


def runs_left_out(everything: Taught) -> list[Row]:
    """Each run of defective frames judged by thresholds that were chosen without it.

    A good image is judged by every one of these thresholds, and the threshold that calls the most of them
    counts.
    """
    columns, bad = everything.cross_fitted, everything.material.is_bad
    runs = defect_runs(everything.material.bad)
    found, alarms = 0, 0
    for run in np.unique(runs):
        called = everything.knowing(runs != run).called(columns)
        found += int(called[bad][runs == run].sum())
        alarms = max(alarms, int(called[~bad].sum()))
    confusion = Confusion(tp=found, fp=alarms, fn=int(bad.sum()) - found, tn=int((~bad).sum()) - alarms)
    case = f"threshold without the run it judges, {len(np.unique(runs))} runs"
    return [f1_at_least(case, 0.98, confusion)]


def per_face(everything: Taught, ways: list[Carried]) -> tuple[list[Row], list[Row]]:
    """Errors of each face, as recognised, of the cross-fitted and the carried verdicts; and the worst."""
    tables: list[dict[str, Confusion]] = [
        _by_face(everything.cross_fitted, everything.material, everything),
        *(_by_face(way.columns, way.scored, way.taught) for way in ways),
    ]
    names = ["cross-fitted", *(way.name for way in ways)]
    rows = [
        {"face": face, **{name: _pair(table[face]) for name, table in zip(names, tables, strict=True)}}
        for face in sorted(tables[0])
    ]
    highest = []
    for name, table in zip(names, tables, strict=True):
        found = [(face, confusion.errors) for face, confusion in table.items() if confusion.errors]
        told = ", ".join(f"{errors} on {face}" for face, errors in found) or "none"
        met = all(errors <= 1 for _, errors in found)
        highest.append(row(f"per face, {name}", "at most 1 error each", told, met=met))
    return highest, rows


def _pair(confusion: Confusion) -> str:
    return f"{confusion.fp}+{confusion.fn}"


def _by_face(columns: Columns, material: Material, taught: Taught) -> dict[str, Confusion]:
    called, bad = taught.called(columns), material.is_bad
    return {
        face.name: Confusion.of(bad[own], called[own])
        for face in taught.bank.faces
        for own in [columns["face"] == face.name]
    }


def errors(ways: list[Carried]) -> list[Row]:
    """Every photograph that was judged wrongly, how far from the threshold it scored."""
    rows: list[Row] = []
    for way in ways:
        called, bad = way.taught.called(way.columns), way.scored.is_bad
        names = [name for sample in (*way.scored.good.values(), way.scored.bad) for name in sample.names]
        limits = way.taught.bank.limits("defect_score")
        limit_of = dict(zip([face.name for face in way.taught.bank.faces], limits.tolist(), strict=True))
        for at in np.flatnonzero(called != bad):
            face = str(way.columns["face"][at])
            rows.append(
                {
                    "way": way.name,
                    "photograph": names[at],
                    "is": "defective" if bad[at] else "good",
                    "face": face,
                    "defect_score": float(way.columns["defect_score"][at]),
                    "threshold": limit_of[face],
                    "ncc": float(way.columns["ncc"][at]),
                }
            )
    return rows


def scores(ways: list[Carried]) -> list[Row]:
    """Every score column and the variation model: the threshold of the best cross-fitted F1, carried."""
    rows: list[Row] = []
    for way in ways:
        material, bank = way.taught.material, way.taught.bank
        own: dict[str, Any] = dict(way.taught.cross_fitted)
        own[PEER] = cross_fitted_variation_score(material, own["face"], bank)
        other: dict[str, Any] = dict(way.columns)
        other[PEER] = variation_score(way.scored.images, other["face"], material, bank)
        for column, direction in {**SCORE_DIRECTIONS, PEER: 1}.items():
            best = Sweep.of(direction * own[column].astype(np.float64), material.is_bad).best()
            if best is None:
                continue
            called = direction * other[column].astype(np.float64) >= best[0]
            confusion = Confusion.of(way.scored.is_bad, called)
            rows.append(
                {
                    "way": way.name,
                    "score": column,
                    "threshold": direction * best[0],
                    "false alarms": confusion.fp,
                    "misses": confusion.fn,
                    "errors": confusion.errors,
                    "F1": confusion.f1,
                    "AUROC": auroc(other, way.scored.is_bad, column=column),
                }
            )
    return rows
