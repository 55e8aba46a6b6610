import json

import numpy as np
import pytest

from dice_core.expectation import Estimate, Expectation
from dice_core.policy import Policy
from jobs.errors import Refusal
from jobs.expected import check, foresee, told

STORED = Expectation(500, 40, Estimate(0.001, 0.0002, 0.08), 30, 5, Estimate(0.9, 0.5, 1.0))


@pytest.fixture
def rows(make_labelled):
    """Good rows in runs of four, the first half of which taught the model, and two defective ones, seen."""

    def make(good=400, bad=2, seen=None):
        count = good + bad
        is_bad = np.arange(count) >= good
        taught = (np.arange(count) < good // 2) | is_bad if seen is None else np.full(count, seen)
        return make_labelled(
            label=is_bad, face=np.zeros(count), bad=is_bad, seen=taught, run=np.arange(count) // 4
        )

    return make


def margins(labelled):
    scores = np.random.default_rng(0).exponential(size=len(labelled.bad)) - 9
    return np.where(labelled.bad, np.where(np.cumsum(labelled.bad) == 1, 5.0, -5.0), scores)


def test_rows_that_taught_the_model_promise_nothing(rows):
    labelled = rows()
    beyond = margins(labelled)
    beyond[:200] = 5.0
    found = foresee(beyond, labelled, STORED, None)
    assert found == told(
        Expectation.of(
            beyond[200:400],
            np.zeros(200, bool),
            np.arange(200) // 4,
            np.array([True, False]),
            np.array([0, 1]) // 4,
        ),
        "rows",
        None,
    )
    # Defective rows teach no template: these have all been seen.
    assert (found["good"], found["good_parts"], found["bad"], found["recall"]) == (200, 50, 2, 0.5)
    assert found["alarms_per_million"] < 5000


def test_defective_rows_that_are_new_stand_for_all(rows, make_labelled):
    old = rows()
    labelled = make_labelled(
        label=old.label, face=old.face, bad=old.bad, run=old.run, seen=old.seen & (np.arange(402) != 401)
    )
    found = foresee(margins(labelled), labelled, STORED, None)
    assert (found["bad"], found["recall"]) == (1, 0.0)


def test_an_unknown_part_is_an_alarm_or_a_hit(rows, make_labelled):
    old = rows(seen=False)
    unknown = np.isin(np.arange(402), [0, 401])
    labelled = make_labelled(label=old.label, face=old.face, bad=old.bad, run=old.run, unknown=unknown)
    found = foresee(margins(labelled), labelled, None, None)
    assert found["recall"] == 1.0
    assert found["alarms_per_million"] >= 1e6 / 400


def test_without_a_new_good_row_the_models_own_figure_stands(rows):
    labelled = rows(seen=True)
    assert foresee(margins(labelled), labelled, STORED, 0.01) == told(STORED, "model", 0.01)
    assert foresee(margins(labelled), labelled, None, 0.01) is None
    empty = rows(good=0, bad=0)
    assert foresee(np.empty(0), empty, None, None) is None


def test_a_rate_under_what_the_good_parts_support_is_marked_extrapolated(rows):
    labelled = rows(seen=False)
    low = foresee(margins(labelled), labelled, None, None)
    assert low["supported_per_million"] == pytest.approx(1e6 / 100)
    assert low["extrapolated"]
    assert low["alarms_per_million_bounds"][1] > low["alarms_per_million"]
    assert not foresee(margins(labelled) + 7, labelled, None, None)["extrapolated"]


def test_it_is_told_in_plain_numbers_with_bounds_and_level():
    found = told(STORED, "model", 0.01)
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert found["alarms_per_million"] == pytest.approx(1000)
    assert found["alarms_per_million_bounds"] == pytest.approx([200, 80_000])
    assert (found["recall"], found["recall_bounds"], found["level"]) == (0.9, [0.5, 1.0], 0.95)
    low, high = found["precision_bounds"]
    assert low < found["precision"] == STORED.precision(0.01).value < high
    assert told(STORED, "fit", None)["precision"] is None


@pytest.mark.parametrize("prevalence", [0.0, 1.0, -0.1, 2, float("nan")])
def test_refuses_a_prevalence_that_is_none(prevalence):
    with pytest.raises(Refusal, match=r"--prevalence .*: give a share between 0 and 1, such as 0.0005"):
        check(None, prevalence)


def test_refuses_costs_without_a_prevalence():
    cost = Policy.parse("cost=miss:50,alarm:1")
    with pytest.raises(Refusal, match=r"--threshold cost=miss:50,alarm:1: needs .* give --prevalence"):
        check(cost, None)
    check(cost, 0.0005)
    check(Policy.parse("budget=2/100"), None)
