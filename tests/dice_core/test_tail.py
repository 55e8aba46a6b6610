import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from dice_core.tail import LEVEL, MOST_EXCESSES, Tail, share_bounds

DISTRIBUTIONS = {
    "exponential": stats.expon(scale=2),
    "heavy": stats.genpareto(0.2),
    "bounded": stats.genpareto(-0.2),
    "normal": stats.norm(5, 2),
}
DISTRIBUTION = pytest.mark.parametrize("name", DISTRIBUTIONS)
ODD = [
    *([3.0], [2.5, 2.5], [-1.0] * 30, [0.0] * 5, [1.0, 2.0], [1e-30, 0.0], [-1e30, 0, 1e30]),
    *([0.0] * 97 + [1.0, 2.0, 3.0], [0.0] * 29 + [1.0], [0.0] + [1.0] * 29, [1.0] * 50 + [2.0] * 50),
    [*np.arange(40.0), 1e9],
]


def drawn(name, seed, count=2000):
    return DISTRIBUTIONS[name].rvs(count, random_state=seed)


samples = st.builds(
    lambda seed, count, digits: np.random.default_rng(seed).exponential(size=count).round(digits),
    st.integers(0, 1000),
    st.integers(1, 300),
    st.integers(0, 6),
)


# Thresholds and rates


@settings(max_examples=60, deadline=None)
@given(samples, st.lists(st.floats(1e-9, 1), min_size=2, max_size=8))
def test_a_lower_rate_never_has_a_lower_threshold(good, rates):
    tail = Tail.fit(good)
    found = [tail.threshold(rate) for rate in sorted(rates)]
    assert all(low >= high for low, high in itertools.pairwise(found))
    assert np.isfinite(found).all()


@settings(max_examples=60, deadline=None)
@given(samples, st.lists(st.floats(-2, 20), min_size=2, max_size=8))
def test_a_higher_threshold_never_has_a_higher_rate(good, thresholds):
    tail = Tail.fit(good)
    rates = [tail.rate(threshold) for threshold in sorted(thresholds)]
    assert all(high >= low for high, low in itertools.pairwise(rates))
    assert all(0 <= rate <= 1 for rate in rates)


@settings(max_examples=60, deadline=None)
@given(samples, st.floats(1e-9, 1))
def test_a_threshold_is_reached_by_no_more_than_its_rate(good, rate):
    tail = Tail.fit(good)
    threshold = tail.threshold(rate)
    assert tail.rate(threshold) <= rate * (1 + 1e-9)
    if rate < tail.share:
        assert tail.rate(threshold) == pytest.approx(rate, rel=1e-3)
    else:
        assert (good >= threshold).mean() <= rate * (1 + 1e-9)
    assert len(good) == 1 or threshold not in good


@DISTRIBUTION
@pytest.mark.parametrize(("rate", "tolerance"), [(0.01, 0.04), (0.001, 0.08), (0.0001, 0.2)])
def test_the_tail_of_known_distributions_is_found(name, rate, tolerance):
    true = DISTRIBUTIONS[name].isf(rate)
    found = np.array([Tail.fit(drawn(name, seed, 20_000)).threshold(rate) for seed in range(20)])
    assert np.median(found) == pytest.approx(true, rel=tolerance / 2)
    assert np.abs(found / true - 1).mean() < tolerance


@pytest.mark.parametrize(("name", "shape"), [("exponential", 0), ("heavy", 0.2), ("bounded", -0.2)])
def test_the_shape_is_found_where_there_is_enough_to_tell(name, shape):
    found = [Tail.fit(drawn(name, seed, 20_000)).shape for seed in range(10)]
    assert np.mean(found) == pytest.approx(shape, abs=0.04)


def test_few_excesses_are_taken_for_exponential():
    assert {Tail.fit(drawn("heavy", seed, 300)).shape for seed in range(5)} == {0.0}


def test_a_few_hundred_scores_promise_nothing_wild():
    true = DISTRIBUTIONS["heavy"].isf(0.001)
    found = [Tail.fit(drawn("heavy", seed, 500)).threshold(0.001) for seed in range(100)]
    assert 0.5 * true < min(found)
    assert max(found) < 2 * true


def test_units_do_not_matter():
    good = drawn("exponential", 0)
    one, other = Tail.fit(good), Tail.fit(7 * good - 3)
    assert other.threshold(1e-4) == pytest.approx(7 * one.threshold(1e-4) - 3, rel=1e-3)
    assert other.upper(7 * 12 - 3) == pytest.approx(one.upper(12), rel=1e-2)


def test_the_tail_of_many_scores_begins_later():
    tail = Tail.fit(drawn("normal", 0, 100_000))
    assert tail.share == MOST_EXCESSES / 100_000


# Bounds


@DISTRIBUTION
@pytest.mark.parametrize("rate", [0.02, 0.001, 0.0001])
def test_the_upper_bound_holds_the_true_rate_nearly_always(name, rate):
    threshold = DISTRIBUTIONS[name].isf(rate)
    seeds = 60
    held = sum(Tail.fit(drawn(name, seed, 1000)).upper(threshold) >= rate for seed in range(seeds))
    # Three standard deviations of a count that is right nineteen times in twenty.
    assert held >= seeds * LEVEL - 3 * math.sqrt(seeds * LEVEL * (1 - LEVEL))


@DISTRIBUTION
def test_the_lower_bound_does_too(name):
    threshold = DISTRIBUTIONS[name].isf(0.001)
    held = sum(Tail.fit(drawn(name, seed, 1000)).lower(threshold) <= 0.001 for seed in range(40))
    assert held >= 33


def clustered(seed, groups=100, each=12):
    """Scores of runs of frames that hardly differ within a run."""
    rng = np.random.default_rng(seed)
    return (
        np.repeat(rng.exponential(size=groups), each) + rng.normal(0, 0.01, groups * each),
        np.repeat(np.arange(groups), each),
    )


@pytest.mark.parametrize("rate", [0.02, 0.001])
def test_frames_of_one_part_are_no_independent_witnesses(rate):
    threshold = -math.log(rate)
    grouped, single = [], []
    for seed in range(60):
        good, groups = clustered(seed)
        grouped.append(Tail.fit(good, groups).upper(threshold) >= rate)
        single.append(Tail.fit(good).upper(threshold) >= rate)
    assert np.mean(grouped) >= 0.87
    assert np.mean(single) < np.mean(grouped)


@settings(max_examples=15, deadline=None)
@given(samples, st.lists(st.floats(0, 20), min_size=2, max_size=6))
def test_bounds_hold_the_rate_and_fall_with_the_threshold(good, thresholds):
    tail = Tail.fit(good, np.arange(len(good)) // 3)
    bounds = [(tail.lower(t), tail.rate(t), tail.upper(t)) for t in sorted(thresholds)]
    assert all(0 <= low <= rate <= high <= 1 for low, rate, high in bounds)
    assert all(one[2] >= other[2] - 1e-12 for one, other in itertools.pairwise(bounds))


def test_the_upper_bound_is_no_higher_than_counting_allows_nor_lower_than_what_was_counted():
    good = drawn("exponential", 0, 500)
    tail = Tail.fit(good)
    assert tail.upper(1e9) <= share_bounds(0.0, 500)[1]
    wild = np.append(good, [1e3] * 5)
    assert Tail.fit(wild).upper(900.0) >= 5 / 505


@pytest.mark.parametrize(
    ("share", "groups", "expected"),
    [(0.0, 100, (0.0, 0.0295)), (0.5, 10, (0.2224, 0.7776)), (1.0, 59, (0.9505, 1.0)), (0.3, 0, (0.0, 1.0))],
)
def test_bounds_of_a_share_are_the_exact_ones(share, groups, expected):
    assert share_bounds(share, groups) == pytest.approx(expected, abs=1e-4)


# Edges


@pytest.mark.parametrize("good", ODD, ids=lambda good: f"{len(good)}")
def test_few_and_tied_scores_have_a_tail_too(good):
    good = np.array(good, float)
    tail = Tail.fit(good, np.arange(len(good)) // 2)
    rates = (1.0, 0.5, 0.05, 0.001, 1e-9)
    thresholds = [tail.threshold(rate) for rate in rates]
    assert np.isfinite(thresholds).all()
    assert all(low <= high for low, high in itertools.pairwise(thresholds))
    for threshold in thresholds:
        found = (tail.lower(threshold), tail.rate(threshold), tail.upper(threshold))
        assert np.isfinite(found).all()
        assert 0 <= found[0] <= found[1] <= found[2] <= 1


@pytest.mark.parametrize("good", [[3.0], [2.5] * 30, [-0.9] * 500])
def test_what_all_good_images_score_is_not_called(good):
    threshold = Tail.fit(np.array(good)).threshold(0.001)
    assert threshold > good[0]
    assert threshold == pytest.approx(good[0], rel=1e-4)
    # Nor where it is kept in single precision.
    assert np.float32(threshold) > np.float32(good[0])


def test_nothing_that_is_no_score_is_fitted():
    for good, told in (([], "needs scores"), ([1.0, math.nan], "finite"), ([1.0, math.inf], "finite")):
        with pytest.raises(ValueError, match=told):
            Tail.fit(np.array(good))


@pytest.mark.parametrize("count", [1, 2, 30])
def test_of_equal_scores_a_lower_rate_has_no_lower_threshold(count):
    tail = Tail.fit(np.full(count, 1.5))
    thresholds = [tail.threshold(rate) for rate in (1.0, 0.9, 0.5, 0.26, 0.25, 0.033, 0.01)]
    assert thresholds == sorted(thresholds)
    assert all(np.float32(threshold) != np.float32(1.5) for threshold in thresholds)


@pytest.mark.parametrize("rate", [0.0, -1.0, math.nan])
def test_no_threshold_keeps_every_good_image(rate):
    with pytest.raises(ValueError, match="no threshold"):
        Tail.fit(np.arange(50.0)).threshold(rate)
