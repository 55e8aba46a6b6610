"""Synthetic defects, whose masks tell where the box and the peak should be."""

from collections.abc import Sequence
from itertools import chain

import numpy as np
from scipy import ndimage

from dice_core.decode import decode
from dice_core.defects import DEFECTS, Defect, defects_of, draw_defect
from dice_core.die import FACES
from dice_core.lot import draw_lot
from dice_core.score import Columns
from dice_core.synth import Photograph, encode_jpeg, render
from jobs.reader import Limits
from tests.bench.photographs import synthetic_day
from tests.bench.quality.material import Grey, Material
from tests.bench.quality.outcome import Row, row
from tests.bench.quality.taught import Taught

LEAST_INSIDE, LEAST_OVERLAP = 0.97, 0.5
TAUGHT_ON, SCORED_ON = 11, 12
"""Days: they share no lot."""
LOTS = 3
GOOD_EACH = 5
"""Good parts of the same lots for each defect of a kind."""
PEAK = ("defect_peak_x", "defect_peak_y")
"""Score columns of the peak; where there are none, the middle of the box stands in for it."""
_SLACK = 1
"""Pixels that a peak may lie beside its mask: what JPEG and the lens carry over its edge."""


def masks(teaching: int, each: int, faces: tuple[str, ...] = FACES) -> tuple[list[Row], list[Row]]:
    """Teach on so many synthetic photographs, and find so many defects of each kind in other lots."""
    taught = Taught.by(Material.of(synthetic_day(TAUGHT_ON, teaching, faces=faces)))
    rows: list[Row] = []
    pooled: list[tuple[list[bool], list[float]]] = []
    for number, kind in enumerate(DEFECTS):
        photographs = [_spoilt(kind, number, at, faces) for at in range(each)]
        columns = taught.score(_as_photographed(photographs))
        called = taught.called(columns)
        seen = np.flatnonzero(called).tolist()
        inside = [_inside(photographs[at], columns, at) for at in seen]
        overlaps = [_overlap(photographs[at], columns, at) for at in seen]
        pooled.append((inside, overlaps))
        rows.append(_told(kind, len(photographs), inside, overlaps))
    inside, overlaps = (list(chain.from_iterable(found)) for found in zip(*pooled, strict=True))
    rows.append(_told("all", each * len(DEFECTS), inside, overlaps))
    cases = _cases(rows, has_peak=PEAK[0] in columns)
    good = [_good(at, faces) for at in range(GOOD_EACH * each)]
    alarms = int(taught.called(taught.score(_as_photographed(good))).sum())
    cases.append(row("masks, false alarms", "", f"{alarms} of {len(good)} good", met=None))
    return cases, rows


def _cases(rows: Sequence[Row], *, has_peak: bool) -> list[Row]:
    asked = (
        ("peak" if has_peak else "box middle", "peak inside", LEAST_INSIDE, f"{LEAST_INSIDE:.0%} inside"),
        ("box", "median IoU", LEAST_OVERLAP, f"median IoU {LEAST_OVERLAP}"),
    )
    cases = []
    for what, column, least, target in asked:
        lowest = min((told for told in rows[:-1] if told["detected"]), key=lambda told: float(told[column]))
        for told, name in ((rows[-1], "all kinds"), (lowest, f"the worst kind, {lowest['kind']}")):
            figure = float(told[column])
            cases.append(row(f"masks, {what}, {name}", target, figure, met=figure >= least))
    return cases


def _told(kind: str, count: int, inside: Sequence[bool], overlaps: Sequence[float]) -> Row:
    found = len(inside)
    return {
        "kind": kind,
        "defects": count,
        "detected": found,
        "recall": found / count,
        "peak inside": float(np.mean(inside)) if found else None,
        "median IoU": float(np.median(overlaps)) if found else None,
    }


def _good(at: int, faces: Sequence[str]) -> Photograph:
    lot = draw_lot(np.random.default_rng([SCORED_ON, at % LOTS]))
    return render(faces[at % len(faces)], lot, np.random.default_rng([SCORED_ON, 97, at]))


def _spoilt(kind: str, number: int, at: int, faces: Sequence[str]) -> Photograph:
    """Render a part with a defect of a kind that shows; every call with the same numbers the same one."""
    fitting = [face for face in faces if kind in defects_of(face)]
    face = fitting[at % len(fitting)]
    lot = draw_lot(np.random.default_rng([SCORED_ON, at % LOTS]))
    rng = np.random.default_rng([SCORED_ON, 98, number, at])
    while True:
        rendered = render(face, lot, rng, _of_kind(kind, face, rng))
        if rendered.mask.any():
            return rendered


def _of_kind(kind: str, face: str, rng: np.random.Generator) -> Defect:
    while True:
        drawn = draw_defect(rng, face)
        if drawn.kind == kind:
            return drawn


def _as_photographed(photographs: Sequence[Photograph]) -> Grey:
    decoded = [decode(encode_jpeg(photograph.pixels), Limits().max_pixels) for photograph in photographs]
    return np.stack([image for image in decoded if isinstance(image, np.ndarray)])


def _inside(photograph: Photograph, columns: Columns, at: int) -> bool:
    if PEAK[0] in columns:
        x, y = (int(columns[name][at]) for name in PEAK)
    else:
        left, top, width, height = _box(columns, at)
        x, y = left + width // 2, top + height // 2
    near = ndimage.binary_dilation(photograph.mask, np.ones((3, 3), bool), iterations=_SLACK)
    return bool(near[y, x])


def _box(columns: Columns, at: int) -> tuple[int, int, int, int]:
    x, y, width, height = (int(columns[f"defect_{name}"][at]) for name in ("x", "y", "width", "height"))
    return x, y, width, height


def _overlap(photograph: Photograph, columns: Columns, at: int) -> float:
    """Intersection of the found box and the mask's over their union."""
    box = photograph.box
    if box is None:
        return 0.0
    other = _box(columns, at)
    across, down = (
        max(0, min(box[axis] + box[axis + 2], other[axis] + other[axis + 2]) - max(box[axis], other[axis]))
        for axis in (0, 1)
    )
    common = across * down
    return common / (box[2] * box[3] + other[2] * other[3] - common)
