import dataclasses
import json

import numpy as np
import pyarrow as pa
import pyarrow.dataset as ds
import pytest

from dice_core.bank import Bank
from dice_core.drift import Alarm, Drift
from dice_core.expectation import Estimate, Expectation
from dice_core.reference import FaceReference, Reference
from dice_core.rows import SCHEMA
from jobs import lots
from jobs.labelled import Labelled
from jobs.lots import LOTS_TOLD, Lots, correct, judge_lots

REFERENCE = Reference(
    {"a": FaceReference(0.5, 0.25, 200.0), "b": FaceReference(1.0, 0.3, 200.0)},
    (-0.674, 0.0, 0.674, 1.282),
    1.0,
    1.0,
)
TAUGHT = "ab" * 16


class Face:
    def __init__(self, name):
        self.name = name


BANK = Bank(
    (2, 2), (2, 2), (Face("a"), Face("b")), ("ano",), 0.3, {}, frozenset({TAUGHT}), reference=REFERENCE
)


def rows(lot, z, verdict="good", status="ok", content="00" * 16):
    """Rows of a lot by their standardised scores, faces by turns."""
    count = len(z)
    faces = [*REFERENCE.faces.values()]
    logs = [faces[at % 2].median + faces[at % 2].spread * value for at, value in enumerate(z)]
    told = {
        **dict.fromkeys(("archive", "lot"), [lot] * count),
        "index": range(count),
        **dict.fromkeys(("member", "folder"), ["x"] * count),
        **dict.fromkeys(("offset", "size"), [0] * count),
        "status": [status] * count,
        "content_hash": [content] * count,
        "face": ["ab"[at % 2] for at in range(count)],
        "defect_score": np.exp(np.array(logs), dtype=np.float32),
        "verdict": [verdict] * count,
    }
    return pa.table(
        [pa.array(told[name], kind) if name in told else pa.nulls(count, kind) for name, kind in _kinds()],
        schema=SCHEMA,
    )


def _kinds():
    return [(field.name, field.type) for field in SCHEMA]


def good(seed, images=60, shift=0.0):
    return shift + np.random.default_rng(seed).standard_normal(images)


def judged(*tables, bank=BANK):
    return dict(
        judge_lots(ds.dataset([ds.dataset(table) for table in (SCHEMA.empty_table(), *tables)]), bank)
    )


def test_every_lot_is_judged_by_its_own_rows():
    told = judged(rows("one", good(0)), rows("two", good(1, shift=4.0)), rows("three", good(2)))
    assert list(told) == ["one", "two", "three"]
    assert [drift.alarm for drift in told.values()] == [None, Alarm.ALL_HIGHER, None]
    assert [drift.images for drift in told.values()] == [60] * 3


@pytest.mark.parametrize("held", [1, 2, 10])
def test_lots_whose_rows_do_not_follow_each_other_are_judged_as_if_they_did(held, monkeypatch):
    monkeypatch.setattr(lots, "LOTS_HELD", held)
    own = {"c": rows("c", good(0)), "a": rows("a", good(1, shift=4.0)), "b": rows("b", good(2))}
    together = judged(*own.values())
    mixed = pa.concat_tables(table.slice(at, 20) for at in (0, 20, 40) for table in own.values())
    assert judged(mixed) == together
    order = np.random.default_rng(0).permutation(len(mixed))
    shuffled = judged(mixed.take(order).slice(0, 100), mixed.take(order).slice(100))
    assert shuffled == together
    assert list(judged(mixed)) == ["c", "a", "b"]


def test_the_parts_of_a_lot_are_one_lot():
    z = good(0, 90, 3.0)
    whole = judged(rows("one", z))
    assert judged(rows("one", z[:30]), rows("one", z[30:32]), rows("one", z[32:])) == whole
    assert judged(pa.concat_tables([rows("one", z), rows("two", good(1))]))["one"] == whole["one"]


def test_rows_without_a_score_say_nothing():
    z = good(0)
    assert judged(rows("one", z), rows("one", good(1, 500, 9.0), status="rejected")) == judged(rows("one", z))
    assert judged(rows("one", z, status="ignored")) == {}
    assert judged() == {}


def test_images_that_taught_the_model_say_nothing_of_a_drift_but_are_counted():
    seen = rows("one", good(0, shift=-4.0), content=TAUGHT)
    told = judged(seen)["one"]
    assert (told.images, told.enough, told.shift, told.alarm) == (60, True, None, None)
    mixed = judged(seen, rows("one", good(1)))["one"]
    assert mixed.images == 120
    assert mixed.shift == pytest.approx(0, abs=0.4)
    bad = judged(rows("one", good(0), "anomaly", content=TAUGHT))["one"]
    assert bad.alarm is Alarm.MANY_ANOMALIES


def test_parts_of_unknown_kind_are_called_and_not_compared():
    told = judged(rows("one", good(0, 40)), rows("one", good(1, 60, 15.0), "unknown_part"))["one"]
    assert (told.images, told.share_called, told.alarm) == (100, 0.6, Alarm.MANY_ANOMALIES)
    assert told.shift == pytest.approx(0, abs=0.5)


def test_a_model_without_a_reference_has_the_share_called_alone():
    bank = dataclasses.replace(BANK, reference=None)
    told = judged(rows("one", good(0, shift=5.0)), rows("two", good(0), "anomaly"), bank=bank)
    assert [drift.alarm for drift in told.values()] == [None, Alarm.MANY_ANOMALIES]
    assert [drift.shift for drift in told.values()] == [None, None]
    assert Lots.of(told.items(), bank).told["reference"] is False


def test_a_known_prevalence_lowers_what_may_be_called():
    table = pa.concat_tables([rows("one", good(0, 80)), rows("one", np.full(20, 8.0), "anomaly")])
    assert judged(table)["one"].alarm is not Alarm.MANY_ANOMALIES
    expected = {"defect_score": _expectation(0.0005)}
    bank = dataclasses.replace(BANK, prevalence=0.0005, expected=expected)
    assert judged(table, bank=bank)["one"].alarm is Alarm.MANY_ANOMALIES


def _expectation(most):
    return Expectation(100, 10, Estimate(0.0, 0.0, most), 0, 0, None)


def drift(alarm=None, share=0.0, shift=0.0, correction=1.0, images=50, *, enough=True):
    return Drift(images, share, shift, 1.0, enough, alarm, correction)


def test_all_are_counted_and_the_gravest_listed():
    quiet = [(f"quiet-{number:03d}", drift(shift=number / 1000)) for number in range(LOTS_TOLD)]
    alarmed = [
        ("half", drift(Alarm.MANY_ANOMALIES, 0.5, 3.0)),
        ("drifted", drift(Alarm.ALL_HIGHER, 0.0, 2.0, 1.25)),
        ("farther", drift(Alarm.ALL_LOWER, 0.0, -2.5)),
    ]
    few = [("few", drift(images=3, enough=False))]
    told = Lots.of([*quiet, *alarmed, *few], BANK)
    counts = {name: told.told[name] for name in ("count", "alarmed", "too_few", "corrected", "reference")}
    assert counts == {"count": 104, "alarmed": 3, "too_few": 1, "corrected": 1, "reference": True}
    assert [line["lot"] for line in told.told["listed"][:4]] == ["half", "farther", "drifted", "quiet-099"]
    assert len(told.told["listed"]) == LOTS_TOLD
    assert told.corrections == {"drifted": 1.25}
    assert told.alarms == {
        "alarmed_lots": 3,
        "lot_alarms": [
            {"lot": "half", "reason": "many_anomalies", "shift": 3.0, "images": 50, "share_called": 0.5},
            {"lot": "farther", "reason": "all_lower", "shift": -2.5, "images": 50, "share_called": 0.0},
            {"lot": "drifted", "reason": "all_higher", "shift": 2.0, "images": 50, "share_called": 0.0},
        ],
    }
    json.dumps(told.told, allow_nan=False)


def test_more_alarms_than_are_listed_are_counted():
    lots = [(str(number), drift(Alarm.WIDER)) for number in range(LOTS_TOLD + 7)]
    told = Lots.of(iter(lots), BANK)
    assert told.alarms["alarmed_lots"] == LOTS_TOLD + 7
    assert len(told.alarms["lot_alarms"]) == LOTS_TOLD


def test_the_order_of_the_lots_is_no_matter():
    lots = [(f"{number:03d}", drift(Alarm.WIDER if number % 3 else None)) for number in range(2 * LOTS_TOLD)]
    assert Lots.of(reversed(lots), BANK) == Lots.of(lots, BANK)


def test_no_lot_at_all_is_told():
    told = Lots.of([], BANK)
    assert told.told == {
        **dict.fromkeys(("count", "alarmed", "too_few", "corrected"), 0),
        "reference": True,
        "listed": [],
    }
    assert told.alarms == {"alarmed_lots": 0, "lot_alarms": []}


def test_a_correction_moves_the_thresholds_of_its_lot_alone():
    labelled = Labelled(
        bad=np.array([False, False, True, False, True]),
        unknown=np.array([False, False, False, False, True]),
        seen=np.zeros(5, bool),
        label=np.array([0, 0, 2, 1, 2]),
        face=np.array([0, 0, 0, 1, 0]),
        run=np.arange(5),
        lot=np.array([0, 1, 1, 1, 1]),
        content=np.arange(5, dtype=np.uint64),
        scores={"defect_score": np.array([4.5, 4.5, 6.0, 5.5, 0.1], np.float32)},
        lots=("one", "two"),
    )
    limits = np.array([4.0, 5.0])
    plain, corrected = correct(labelled, limits, {}), correct(labelled, limits, {"two": 1.25})
    assert (plain.fp, plain.tp, plain.fn) == (3, 2, 0)
    assert (corrected.fp, corrected.tp, corrected.fn) == (1, 2, 0)
