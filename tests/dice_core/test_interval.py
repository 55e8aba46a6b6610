import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dice_core.interval import FEWEST_PARTS, group_confusions, intervals
from dice_core.threshold import Confusion

NAMES = ("precision", "recall", "f1")


def verdicts(seed=0, count=400, bad_share=0.3, errors=0.1):
    rng = np.random.default_rng(seed)
    bad = rng.random(count) < bad_share
    return bad, bad ^ (rng.random(count) < errors)


def bounds(bad, called, group, seed=0):
    return intervals(bad, called, np.asarray(group), np.random.default_rng(seed))


@settings(max_examples=30)
@given(st.lists(st.tuples(st.booleans(), st.booleans(), st.integers(-3, 6)), max_size=40))
def test_the_counts_of_all_groups_are_those_of_all_images(rows):
    bad, called, group = (
        np.array([row[at] for row in rows], kind) for at, kind in enumerate((bool, bool, int))
    )
    counts = group_confusions(bad, called, group)
    assert counts.shape == (len(set(group.tolist())), 4)
    assert Confusion(*counts.sum(axis=0).tolist()) == Confusion.of(bad, called)
    for number, own in enumerate(sorted(set(group.tolist()))):
        mine = group == own
        assert Confusion(*counts[number].tolist()) == Confusion.of(bad[mine], called[mine])


@pytest.mark.parametrize("seed", range(3))
def test_the_bounds_hold_the_estimate(seed):
    bad, called = verdicts(seed)
    found = bounds(bad, called, np.arange(400))
    estimate = Confusion.of(bad, called)
    for name in NAMES:
        low, high = found[name]
        assert 0 <= low < getattr(estimate, name) < high <= 1


def test_without_an_error_there_is_the_doubt_that_so_many_parts_leave():
    bad, _ = verdicts()
    parts = np.count_nonzero(bad)
    found = bounds(bad, bad, np.arange(400))
    for name in ("precision", "recall"):
        assert found[name] == (pytest.approx(0.05 ** (1 / parts)), 1.0)
    assert found["f1"] == (pytest.approx(0.025 ** (1 / parts)), 1.0)


@settings(max_examples=30)
@given(st.integers(10, 60), st.integers(1, 20), st.booleans())
def test_frames_of_a_part_without_an_error_add_nothing(parts, frames, all_called):
    bad = np.repeat([True, False], [parts, 10])
    called = bad if all_called else np.roll(bad, 1)
    group = np.arange(len(bad))
    found = bounds(bad, called, group)
    assert bounds(np.repeat(bad, frames), np.repeat(called, frames), np.repeat(group, frames)) == found
    if all_called:
        assert found["recall"][0] == pytest.approx(0.05 ** (1 / parts))


def test_false_alarms_alone_leave_the_recall_its_exact_bound_and_f1_reaches_as_far():
    bad = np.repeat([True, False], [40, 60])
    called = np.arange(100) < 60
    found = bounds(bad, called, np.arange(100))
    assert found["recall"] == (pytest.approx(0.05 ** (1 / 40)), 1.0)
    low, high = found["precision"]
    assert 0.5 < low < 2 / 3 < high < 0.85
    least = 0.025 ** (1 / 40)
    assert found["f1"][0] == pytest.approx(2 * low * least / (low + least))
    assert found["f1"][1] < 1


def test_single_frames_have_about_the_binomial_interval():
    bad, called = verdicts(count=4000)
    low, high = bounds(bad, called, np.arange(4000))["recall"]
    recall = Confusion.of(bad, called).recall
    expected = 2 * 1.96 * np.sqrt(recall * (1 - recall) / bad.sum())
    assert high - low == pytest.approx(expected, rel=0.15)


def test_frames_of_one_part_together_know_less_than_as_many_parts():
    bad, called = verdicts(count=60)
    bad, called = np.repeat(bad, 10), np.repeat(called, 10)
    single, grouped = bounds(bad, called, np.arange(600)), bounds(bad, called, np.repeat(np.arange(60), 10))
    for name in NAMES:
        assert np.ptp(grouped[name]) > 2 * np.ptp(single[name])


@pytest.mark.parametrize(
    ("good", "defective"), [(FEWEST_PARTS - 1, 50), (50, FEWEST_PARTS - 1), (0, 0), (50, 0)]
)
def test_too_few_parts_have_no_interval(good, defective):
    bad = np.repeat([False, True], [good, defective])
    assert bounds(bad, bad, np.arange(len(bad))) == dict.fromkeys(NAMES)


def test_many_frames_of_few_parts_are_few():
    bad = np.repeat([False, True], 500)
    assert bounds(bad, bad, np.arange(1000) // 100) == dict.fromkeys(NAMES)
    assert bounds(bad, bad, np.arange(1000) // 50)["recall"] == (pytest.approx(0.05 ** (1 / 10)), 1.0)


def test_what_is_undefined_in_every_draw_has_no_interval():
    bad, _ = verdicts()
    found = bounds(bad, np.zeros(400, bool), np.arange(400))
    parts = np.count_nonzero(bad)
    assert found["precision"] is None
    assert found["recall"] == (0.0, pytest.approx(1 - 0.05 ** (1 / parts)))
    # Whatever the precision is, F1 is at most what a perfect one makes it.
    most = 1 - 0.025 ** (1 / parts)
    assert found["f1"] == (0.0, pytest.approx(2 * most / (1 + most)))


def test_names_of_groups_do_not_matter_and_chance_is_the_callers():
    bad, called = verdicts()
    group = np.arange(400) // 4
    assert bounds(bad, called, group) == bounds(bad, called, group * 7 - 90)
    assert bounds(bad, called, group) != bounds(bad, called, group, seed=1)
