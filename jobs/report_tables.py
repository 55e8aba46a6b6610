"""The tables of a report: what its rows come to by face and by lot, and where in their order scores moved."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from dice_core.bank import Bank
from jobs import plots
from jobs.caveats import number
from jobs.scanned import BAD, GOOD, Scanned

LOTS_DRAWN = 300
"""Lots that a report lists, the gravest first; it counts them all."""

SMALL_WIDTH, SMALL_HEIGHT = 200, 60
"""Of the histogram of one face."""

Flags = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.floating]


def classes(scanned: Scanned, among: Flags | slice) -> dict[str, Floats]:
    """Part the scores of some rows by what their labels say."""
    truth, score = scanned.truth[among], scanned.score[among]
    names = {"unlabelled": (truth != GOOD) & (truth != BAD), "good": truth == GOOD, "defective": truth == BAD}
    return {name: score[which] for name, which in names.items()}


def face_lines(
    scanned: Scanned,
    is_called: Flags,
    ratio: Floats,
    bank: Bank,
    limits: npt.NDArray[np.float64],
    evaluation: Mapping[str, Any],
) -> list[dict[str, Any]]:
    """Tell of each face: counts, threshold, what its verdicts are worth, its scores and their course."""
    span = _span(ratio)
    lines = []
    for at, face in enumerate(bank.faces):
        own = scanned.face == at
        judged = evaluation["per_face"].get(face.name, {})
        lines.append(
            {
                "name": face.name,
                **_counts(scanned, is_called, own),
                "threshold": float(limits[at]),
                "ratios": {key: number(judged.get(key)) for key in ("precision", "recall", "f1")},
                "histogram": plots.histogram(
                    classes(scanned, own), float(limits[at]), SMALL_WIDTH, SMALL_HEIGHT
                )
                if own.any()
                else None,
                "series": _course(ratio[own], span),
            }
        )
    return lines


def lot_lines(
    scanned: Scanned, is_called: Flags, ratio: Floats, evaluation: Mapping[str, Any]
) -> tuple[list[dict[str, Any]], int]:
    """Tell of each lot: counts, drift, and the course of its scores; the gravest, and how many there are."""
    span = _span(ratio)
    rejected: Counter[str] = Counter()
    for (lot, _), count in scanned.rejected.items():
        rejected[lot] += count
    drift = {line["lot"]: line for line in evaluation["lots"]["listed"]}
    order = np.argsort(scanned.lot, kind="stable")
    bounds = np.searchsorted(scanned.lot[order], np.arange(len(scanned.lots) + 1))
    share = np.bincount(scanned.lot, is_called, len(scanned.lots)) / np.maximum(np.diff(bounds), 1)
    names = list(scanned.lots)
    gravest = sorted(
        range(len(names)),
        key=lambda at: (not (drift.get(names[at]) or {}).get("alarm"), -share[at], names[at]),
    )
    lines = []
    for at in gravest[:LOTS_DRAWN]:
        own = order[bounds[at] : bounds[at + 1]]
        told = drift.get(names[at]) or {}
        lines.append(
            {
                "name": names[at],
                **_counts(scanned, is_called, own),
                "rejected": rejected[names[at]],
                "shift": told.get("shift"),
                "alarm": told.get("alarm"),
                "series": _course(ratio[own], span),
            }
        )
    lots = set(names) | set(rejected)
    lines += [
        {"name": lot, "rejected": rejected[lot], **_NOTHING}
        for lot in sorted(lots.difference(names))[: LOTS_DRAWN - len(lines)]
    ]
    return lines, len(lots)


_NOTHING = dict.fromkeys(("images", "called", "unknown"), 0) | dict.fromkeys(("shift", "alarm", "series"))
"""Of a lot none of whose images has a score."""


def _counts(scanned: Scanned, is_called: Flags, own: Any) -> dict[str, int]:
    return {
        "images": len(scanned.score[own]),
        "called": int(np.count_nonzero(is_called[own])),
        "unknown": int(np.count_nonzero(scanned.unknown[own])),
    }


def _span(ratio: Floats) -> tuple[float, float]:
    """Give the least and the greatest value that every course shows, the threshold at 1 among them."""
    if not len(ratio):
        return 0.5, 2.0
    return min(float(np.quantile(ratio, 0.01)), 0.5), max(float(ratio.max()), 2.0)


def _course(ratio: Floats, span: tuple[float, float]) -> plots.Series | None:
    return plots.series(np.array_split(ratio, min(plots.BINS, max(len(ratio), 1))), span)
