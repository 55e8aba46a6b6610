import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dice_core.policy import EXPECTED_FPR, Policy, _Missed, highest_f1
from dice_core.tail import Tail
from dice_core.threshold import Confusion, Sweep

scores = st.sampled_from([-math.inf, -2.5, -1.0, 0.0, 1e-300, 0.5, 1.0, 1.5, 7.0, 1e300, math.inf])
labelled = st.lists(st.tuples(scores, st.booleans()), max_size=25)
numbers = st.floats(1e-300, 1, exclude_max=True)
positive = st.floats(min_value=1e-300, max_value=1e300)
GOOD = np.arange(1.0, 101.0)
NONE = np.empty(0)
COST = Policy("cost", 50, 1)


def apart(rows):
    return np.array([row[0] for row in rows], float), np.array([row[1] for row in rows], bool)


def called_at(rows, threshold):
    values, bad = apart(rows)
    return Confusion.of(bad, values >= threshold)


# Texts


@pytest.mark.parametrize(
    ("text", "policy"),
    [
        ("f1", Policy("f1")),
        ("recall=1.0", Policy("recall", 1)),
        ("recall=0.995", Policy("recall", 0.995)),
        ("recall=0.99999999", Policy("recall", 0.99999999)),
        ("fpr=1e-3", Policy("fpr", 0.001)),
        ("quantile=0.5", Policy("quantile", 0.5)),
        ("value=-12.5", Policy("value", -12.5)),
        ("value=0", Policy("value", 0)),
        ("value=9.346199170334557", Policy("value", 9.346199170334557)),
        ("cost=miss:50,alarm:1", COST),
        ("cost=miss:0.3,alarm:1e-5", Policy("cost", 0.3, 1e-5)),
        ("budget=200/100000", Policy("budget", 200, 100_000)),
        ("budget=2.5/1e6", Policy("budget", 2.5, 1e6)),
    ],
)
def test_a_policy_reads_and_says_the_same_again(text, policy):
    assert Policy.parse(text) == policy
    assert Policy.parse(str(policy)) == policy


@given(
    st.one_of(
        st.builds(Policy, st.sampled_from(["recall", "fpr", "quantile"]), numbers),
        st.builds(Policy, st.just("value"), st.floats(-3e38, 3e38)),
        st.builds(Policy, st.just("cost"), positive, positive),
        st.builds(lambda share, images: Policy("budget", share * images, images), numbers, st.floats(1, 1e9)),
    )
)
def test_a_policy_loses_no_digit_as_a_text(policy):
    assert Policy.parse(str(policy)) == policy


def test_a_policy_is_written_plainly():
    texts = ["f1", "recall=1", "fpr=0.001", "cost=miss:50,alarm:1", "budget=200/100000", "value=-2.5"]
    assert [str(Policy.parse(text)) for text in texts] == texts


@pytest.mark.parametrize(
    "text",
    [
        *("", "F1", "f1=0.5", "f1=", "f2", "=1", "0.5"),
        *("recall", "recall=", "recall=x", "recall=1.01", "recall=-0.1", "recall=nan", "recall==1"),
        *(
            "fpr=2",
            "fpr=inf",
            "fpr=0",
            "quantile=1.5",
            "quantile=1",
            "value",
            "value=nan",
            "value=inf",
            "value=1e39",
        ),
        *("cost", "cost=50", "cost=miss:50", "cost=alarm:1,miss:50", "cost=miss:50,alarm:"),
        *("cost=miss:0,alarm:1", "cost=miss:1,alarm:-1", "cost=miss:inf,alarm:1", "cost=miss:nan,alarm:1"),
        *("budget", "budget=200", "budget=200/", "budget=/5", "budget=0/100", "budget=100/100"),
        *("budget=200/100", "budget=-1/100", "budget=1/2/3", "budget=1/inf"),
    ],
)
def test_what_is_no_policy_is_refused_by_name(text):
    with pytest.raises(ValueError) as refused:
        Policy.parse(text)
    assert repr(text) in str(refused.value)


# Counting


@settings(max_examples=100)
@given(labelled.filter(lambda rows: len({row[1] for row in rows}) == 2), st.floats(0, 1))
def test_recall_has_the_fewest_false_alarms_with_at_least_that_recall(rows, recall):
    values, bad = apart(rows)
    confusion = called_at(rows, Policy("recall", recall).choose(values[~bad], values[bad]))
    assert confusion.recall >= recall
    enough = [other for value in values if (other := called_at(rows, value)).recall >= recall]
    assert confusion.fp == min(other.fp for other in enough)
    assert called_at(rows, Policy("recall", 1.0).choose(values[~bad], values[bad])).fn == 0


@pytest.mark.parametrize("caught", range(1, 101))
def test_recall_asks_for_no_anomaly_more_than_it_says(caught):
    bad = GOOD + 100
    assert (bad >= Policy("recall", caught / 100).choose(GOOD, bad)).sum() == caught


def test_f1_lies_between_what_is_separate_and_is_the_best_otherwise(rng):
    assert 100 < Policy().choose(GOOD, GOOD + 200) <= 201
    good, bad = rng.normal(0, 1, 300), rng.normal(2, 1, 60)
    threshold = Policy().choose(good, bad)
    rows = [(value, False) for value in good] + [(value, True) for value in bad]
    assert called_at(rows, threshold).f1 == pytest.approx(Sweep.of(*apart(rows)).best()[1])


# Expecting


def f1_of(threshold, good, bad, prevalence):
    recall, alarms = (bad >= threshold).mean(), (good >= threshold).mean()
    return 2 * prevalence * recall / (prevalence * recall + (1 - prevalence) * alarms + prevalence)


@pytest.mark.parametrize("prevalence", [0.001, 0.05, 0.3])
def test_the_f1_to_expect_is_about_the_highest_that_could_be(prevalence):
    rng = np.random.default_rng(0)
    threshold = highest_f1(rng.normal(0, 1, 5000), rng.normal(4, 1, 300), prevalence)
    good, bad = rng.normal(0, 1, 400_000), rng.normal(4, 1, 400_000)
    best = max(f1_of(other, good, bad, prevalence) for other in np.linspace(0, 6, 200))
    # That fainter defects than the known are expected costs some of it, the more the rarer they are.
    assert f1_of(threshold, good, bad, prevalence) > (0.93 if prevalence < 0.01 else 0.97) * best


@pytest.mark.parametrize("bad", [[50.0], [50.0] * 30, [20.0, 50.0, 80.0]])
def test_the_f1_to_expect_leans_on_no_single_image(bad):
    good = np.random.default_rng(0).exponential(size=2000)
    threshold = highest_f1(good, np.array(bad), 0.02)
    assert good.max() < threshold < 0.8 * min(bad)
    wild = np.append(good, 0.9 * min(bad))
    assert highest_f1(wild, np.array(bad), 0.02) < 0.8 * min(bad)


def test_the_f1_to_expect_hangs_less_on_the_sample_than_the_one_counted():
    rng = np.random.default_rng(0)
    drawn = [(rng.exponential(size=300), rng.normal(14, 2, 40)) for _ in range(40)]
    expected, counted = (
        [choose(good, bad, 0.05) for good, bad in drawn] for choose in (highest_f1, Policy().choose)
    )
    assert np.std(expected) < 0.7 * np.std(counted)


def test_the_rarer_defects_are_the_higher_the_threshold():
    rng = np.random.default_rng(0)
    good, bad = rng.exponential(size=2000), rng.normal(10, 3, 100)
    of = [highest_f1(good, bad, prevalence) for prevalence in (0.2, 0.05, 0.01, 0.0001)]
    assert of == sorted(of)
    assert len(set(of)) == 4


@settings(max_examples=60)
@given(
    st.lists(st.floats(-10, 10), min_size=1, max_size=20),
    st.lists(st.floats(-10, 30), min_size=1, max_size=20),
    st.lists(st.floats(-40, 60), min_size=1, max_size=20),
)
def test_what_is_missed_falls_off_below_every_known_defect(good, bad, thresholds):
    missed = _Missed(np.array(good), np.array(bad))
    for threshold, share in zip(thresholds, missed.share(np.array(thresholds)), strict=True):
        below = [
            1.0
            if value < threshold
            else math.exp((threshold - value) / missed.distance)
            if missed.distance
            else 0.0
            for value in bad
        ]
        assert share == pytest.approx(sum(below) / len(bad), abs=1e-9)


def test_a_distance_that_is_hardly_one_is_a_step():
    missed = _Missed(np.zeros(3), np.array([1e-300, 2e-300, 5.0]))
    assert 0 < missed.distance < 1e-300
    assert missed.share(np.array([-1e300, -40.0, 1.0, 6.0])).tolist() == pytest.approx([0, 0, 2 / 3, 1])


def test_an_f1_without_good_images_or_of_scores_that_are_not_finite_is_refused():
    with pytest.raises(ValueError, match="good"):
        highest_f1(NONE, GOOD, 0.05)
    for wild in (math.inf, math.nan):
        with pytest.raises(ValueError, match="finite"):
            highest_f1(GOOD, np.append(GOOD, wild), 0.05)


# Shares of the good


@settings(max_examples=60)
@given(st.integers(0, 1000), st.integers(1, 400), st.floats(1e-4, 1), st.integers(0, 3))
def test_fpr_never_calls_more_than_that_share_where_one_image_is_as_much(seed, count, rate, digits):
    good = np.random.default_rng(seed).exponential(size=count).round(digits)
    threshold = Policy("fpr", rate).choose(good, NONE)
    assert math.isfinite(threshold)
    if rate * count >= 1:
        assert (good >= threshold).mean() <= rate * (1 + 1e-9)


@pytest.mark.parametrize("rate", [0.05, 0.1, 0.5])
def test_fpr_calls_that_share_of_the_good(rate):
    assert (Policy("fpr", rate).choose(GOOD, GOOD) <= GOOD).mean() == pytest.approx(rate)


def test_a_single_wild_image_does_not_decide_a_rate_that_it_is_more_than():
    good = np.append(np.random.default_rng(0).exponential(size=500), 1e6)
    assert Policy("fpr", 0.001).choose(good, NONE) < 1e5
    assert Policy("fpr", 0.004).choose(good, NONE) < 1e5


def test_quantile_and_value_are_what_they_say():
    assert Policy("quantile", 0.5).choose(GOOD, GOOD) == 50.5
    assert Policy("quantile", 0.0).choose(GOOD, GOOD) < 1
    assert Policy("value", -3.5).choose(NONE, NONE) == -3.5


def test_a_budget_of_good_parts_alone_is_a_rate():
    good = np.random.default_rng(1).exponential(size=3000)
    budget = Policy("budget", 200, 100_000).choose(good, GOOD)
    assert budget == Policy("fpr", 0.002).choose(good, GOOD)


@pytest.mark.parametrize("prevalence", [0.0005, 0.01])
@pytest.mark.parametrize("bad", [NONE, GOOD + 100, np.array([3.0, 4.0, 50.0])])
def test_a_budget_holds_good_and_bad_alarms_together(prevalence, bad):
    good = np.random.default_rng(1).exponential(size=3000)
    tail = Tail.fit(good)

    def alarms(threshold):
        recall = (bad >= threshold).mean() if len(bad) else 1.0
        return prevalence * recall + (1 - prevalence) * tail.rate(threshold)

    threshold = Policy("budget", 2, 100).choose(good, bad, prevalence)
    assert alarms(threshold) <= 0.02
    # Lower, more would be called than may be, up to defects fainter than those known.
    assert alarms(threshold * 0.8) > 0.02
    assert threshold > Policy("budget", 4, 100).choose(good, bad, prevalence)


def test_a_budget_under_the_defective_parts_lets_defects_pass_if_it_must():
    good = np.random.default_rng(1).exponential(size=3000)
    bad = np.linspace(50, 100, 101)
    threshold = Policy("budget", 1, 100).choose(good, bad, 0.02)
    assert 0.4 <= (bad >= threshold).mean() <= 0.5
    with pytest.raises(ValueError, match="exceed the budget"):
        Policy("budget", 1, 100).choose(good, NONE, 0.02)


def test_a_budget_wide_enough_for_good_parts_leaves_the_gap_between_them():
    good = np.arange(100.0)
    threshold = Policy("budget", 30, 100).choose(good, GOOD + 1000, 0.1)
    assert threshold % 1 == 0.5
    assert 0.9 * (good >= threshold).mean() + 0.1 <= 0.3


# Costs


def cost(threshold, good, bad, miss, prevalence):
    return prevalence * miss * (bad < threshold).mean() + (1 - prevalence) * (good >= threshold).mean()


@pytest.mark.parametrize(("miss", "prevalence"), [(1, 0.5), (50, 0.0005), (1000, 0.01), (1, 0.01)])
def test_costs_are_about_the_least_that_could_be(miss, prevalence):
    rng = np.random.default_rng(0)
    good, bad = rng.normal(0, 1, 20_000), rng.normal(3, 1, 2000)
    threshold = Policy("cost", miss, 1).choose(good, bad, prevalence)
    fresh_good, fresh_bad = rng.normal(0, 1, 400_000), rng.normal(3, 1, 400_000)
    found = cost(threshold, fresh_good, fresh_bad, miss, prevalence)
    least = min(cost(t, fresh_good, fresh_bad, miss, prevalence) for t in np.linspace(-2, 8, 200))
    # That fainter defects than the known are expected costs some false alarms, the more the dearer a miss is.
    assert found <= 1.15 * least


def test_a_dearer_miss_a_cheaper_alarm_and_a_higher_prevalence_lower_the_threshold():
    rng = np.random.default_rng(0)
    good, bad = rng.exponential(size=2000), rng.normal(12, 2, 100)
    of = [
        Policy("cost", 1, 1).choose(good, bad, 0.0005),
        COST.choose(good, bad, 0.0005),
        Policy("cost", 50, 0.1).choose(good, bad, 0.0005),
        Policy("cost", 50, 0.1).choose(good, bad, 0.01),
    ]
    assert of == sorted(of, reverse=True)
    assert len(set(of)) == 4
    assert Policy("cost", 500, 10).choose(good, bad, 0.0005) == of[1]


@pytest.mark.parametrize("bad", [[50.0], [50.0] * 30, [20.0, 50.0, 80.0]])
def test_costs_do_not_lean_on_the_faintest_defect_that_is_known(bad):
    good = np.random.default_rng(0).exponential(size=2000)
    threshold = COST.choose(good, np.array(bad), 0.0005)
    assert good.max() < threshold < 0.7 * min(bad)


def test_costs_without_a_prevalence_cannot_be_weighed():
    assert [Policy(name).needs_prevalence for name in ("cost", "budget", "f1")] == [True, False, False]
    with pytest.raises(ValueError, match="prevalence"):
        COST.choose(GOOD, GOOD)


def test_costs_of_what_ranks_the_wrong_way_round_are_finite():
    for prevalence in (1e-6, 0.5, 0.999):
        assert math.isfinite(COST.choose(GOOD + 100, GOOD, prevalence))


# Edges

ALL = [
    *(Policy(), Policy("recall", 0.9), Policy("fpr", 0.001), Policy("quantile", 0.999)),
    *(COST, Policy("budget", 200, 100_000)),
]


@pytest.mark.parametrize("policy", ALL, ids=str)
def test_without_good_scores_there_is_nothing_to_choose_from(policy):
    with pytest.raises(ValueError, match="good"):
        policy.choose(NONE, GOOD, 0.01)


@pytest.mark.parametrize("policy", [Policy(), Policy("recall", 1.0), COST], ids=str)
def test_without_defective_scores_the_threshold_is_beyond_the_good(policy):
    assert policy.choose(GOOD, NONE, 0.01) == Tail.fit(GOOD).threshold(EXPECTED_FPR) > 100


@pytest.mark.parametrize("policy", ALL, ids=str)
@pytest.mark.parametrize("good", [[1.0], [2.0, 2.0], [0.0] * 5, [-3.0, 5.0], [0.0] * 99 + [1.0]])
@pytest.mark.parametrize("bad", [[1.0], [-4.0, 1.0], [7.0] * 3])
def test_few_or_equal_scores_have_a_threshold(policy, good, bad):
    assert math.isfinite(policy.choose(np.array(good), np.array(bad), 0.0001))


def test_scores_in_single_precision_choose_as_in_double():
    good, bad = GOOD.astype(np.float32), (GOOD + 200).astype(np.float32)
    for policy in ALL:
        found = policy.choose(good, bad, 0.01)
        assert found == pytest.approx(policy.choose(GOOD, GOOD + 200, 0.01), rel=1e-6)
