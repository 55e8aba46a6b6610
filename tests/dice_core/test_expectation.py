import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dice_core.expectation import Estimate, Expectation
from dice_core.tail import Tail, share_bounds

NONE = np.empty(0)
NOBODY = np.empty(0, bool)


def of(margins, unknown=None, groups=None, called=NOBODY, bad_groups=None):
    margins = np.asarray(margins, float)
    return Expectation.of(
        margins,
        np.zeros(len(margins), bool) if unknown is None else np.asarray(unknown),
        np.arange(len(margins)) if groups is None else np.asarray(groups),
        np.asarray(called, bool),
        np.arange(len(called)) if bad_groups is None else np.asarray(bad_groups),
    )


def exponential(count, threshold, seed=0):
    return np.random.default_rng(seed).exponential(size=count) - threshold


def test_the_alarms_are_those_of_the_tail_at_the_threshold():
    margins = exponential(2000, 6)
    found, tail = of(margins), Tail.fit(margins)
    assert found.alarms == Estimate(tail.rate(0.0), tail.lower(0.0), tail.upper(0.0))
    assert found.alarms.least < math.exp(-6) < found.alarms.most
    assert (found.good, found.good_groups, found.bad, found.recall) == (2000, 2000, 0, None)


def test_a_rate_under_one_in_all_independent_groups_is_extrapolated():
    margins = exponential(1200, 3)
    single, grouped = of(margins), of(margins, groups=np.arange(1200) // 60)
    assert (single.supported, single.extrapolated) == (1 / 1200, False)
    assert (grouped.supported, grouped.extrapolated) == (1 / 20, False)
    assert of(exponential(1200, 4), groups=np.arange(1200) // 60).extrapolated
    assert not of(exponential(1200, 4)).extrapolated
    assert of(exponential(1200, 12)).extrapolated


def test_good_images_taken_for_unknown_parts_are_alarms_too():
    margins = exponential(1000, 100)
    unknown = np.arange(1000) < 50
    found = of(margins, unknown)
    assert found.alarms.value == pytest.approx(0.05)
    assert found.alarms.least == pytest.approx(share_bounds(0.05, 1000)[0])
    assert found.alarms.most >= share_bounds(0.05, 1000)[1]
    assert of(margins, np.ones(1000, bool)).alarms.value == 1
    # An image that is called for both reasons is one alarm.
    both = of(np.where(unknown, 5.0, margins), unknown)
    assert both.alarms.value == pytest.approx(0.05)


def test_the_recall_is_of_independent_parts():
    called = np.repeat([True, False], [90, 10])
    single, grouped = of([0.0], called=called), of([0.0], called=called, bad_groups=np.arange(100) // 10)
    assert single.recall == pytest.approx((0.9, *share_bounds(0.9, 100)))
    assert grouped.recall == pytest.approx((0.9, *share_bounds(0.9, 10)))
    assert (grouped.bad, grouped.bad_groups) == (100, 10)


def test_without_a_good_image_nothing_is_expected():
    assert of([], called=[True, False]) is None


def test_precision_follows_bayes():
    found = Expectation(100, 100, Estimate(0.001, 0.0, 0.01), 10, 10, Estimate(0.9, 0.5, 1.0))
    value, least, most = found.precision(0.01)
    assert value == pytest.approx(0.01 * 0.9 / (0.01 * 0.9 + 0.99 * 0.001))
    assert least == pytest.approx(0.01 * 0.5 / (0.01 * 0.5 + 0.99 * 0.01))
    assert most == 1.0
    assert found.precision(0.0001).value < value


def test_precision_needs_a_known_defect_and_an_alarm():
    assert of([-1.0]).precision(0.01) is None
    silent = Expectation(9, 9, Estimate(0.0, 0.0, 0.1), 5, 5, Estimate(0.0, 0.0, 0.4))
    assert silent.precision(0.01) == (0.0, 0.0, 1.0)


@given(
    st.lists(st.tuples(st.integers(-20, 5), st.booleans(), st.integers(0, 5)), min_size=1, max_size=40),
    st.lists(st.tuples(st.booleans(), st.integers(0, 5)), max_size=20),
    st.floats(1e-9, 0.999),
)
def test_every_estimate_is_a_share_within_its_bounds(good, bad, prevalence):
    found = of(
        [row[0] for row in good],
        [row[1] for row in good],
        [row[2] for row in good],
        [row[0] for row in bad],
        [row[1] for row in bad],
    )
    for estimate in (found.alarms, found.recall, found.precision(prevalence)):
        assert estimate is None or 0 <= estimate.least <= estimate.value <= estimate.most <= 1
    assert Expectation.read(json.loads(json.dumps(found.told()))) == found


def test_the_upper_bound_of_a_chosen_threshold_holds_the_alarms_to_come():
    """Frames in runs of four, the threshold chosen from the very scores the bound is measured on."""
    held = 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        good = np.repeat(rng.exponential(size=150), 4) + rng.normal(0, 0.01, 600)
        threshold = Tail.fit(good).threshold(0.002)
        found = of(good - threshold, groups=np.arange(600) // 4)
        held += math.exp(-threshold) <= found.alarms.most
    assert held >= 52
