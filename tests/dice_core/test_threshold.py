import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dice_core.threshold import Confusion, Sweep

counts = st.integers(0, 50)
confusions = st.builds(Confusion, counts, counts, counts, counts)
scores = st.sampled_from([-math.inf, -2.5, -1.0, 0.0, 1e-300, 0.5, 1.0, 1.5, 7.0, 1e300, math.inf])
labelled = st.lists(st.tuples(scores, st.booleans()), max_size=25)


def apart(rows):
    return np.array([row[0] for row in rows], float), np.array([row[1] for row in rows], bool)


def swept(rows):
    return Sweep.of(*apart(rows))


def called_at(rows, threshold):
    values, bad = apart(rows)
    return Confusion.of(bad, values >= threshold)


@pytest.mark.parametrize(
    ("confusion", "precision", "recall", "f1", "f1_normal"),
    [
        (Confusion(), None, None, None, None),
        (Confusion(tn=5), None, None, None, 1),
        (Confusion(tp=5), 1, 1, 1, None),
        (Confusion(fp=5), 0, None, 0, 0),
        (Confusion(fn=5), None, 0, 0, 0),
        (Confusion(tp=6, fp=2, fn=4, tn=8), 0.75, 0.6, 2 / 3, 16 / 22),
    ],
)
def test_a_ratio_of_nothing_is_undefined(confusion, precision, recall, f1, f1_normal):
    found = (confusion.precision, confusion.recall, confusion.f1, confusion.f1_normal)
    assert found == pytest.approx((precision, recall, f1, f1_normal))


@given(confusions, confusions, confusions)
def test_confusions_add_up_from_zero_in_any_order(a, b, c):
    assert a + Confusion() == a
    assert a + b == b + a
    assert (a + b) + c == a + (b + c)
    assert (a + b).errors == a.errors + b.errors == a.fp + a.fn + b.fp + b.fn


@given(confusions)
def test_f1_is_the_harmonic_mean_where_both_are_defined(confusion):
    precision, recall = confusion.precision, confusion.recall
    if precision and recall:
        assert confusion.f1 == pytest.approx(2 / (1 / precision + 1 / recall))


@settings(max_examples=100)
@given(labelled)
def test_a_sweep_counts_at_every_value_what_is_called_there(rows):
    sweep = swept(rows)
    assert sweep.values.tolist() == sorted({row[0] for row in rows}, reverse=True)
    for at, value in enumerate(sweep.values):
        confusion = called_at(rows, value)
        assert (sweep.tp[at], sweep.fp[at]) == (confusion.tp, confusion.fp)
        assert sweep.f1[at] == pytest.approx(confusion.f1 or 0)
        middle = sweep.middle(at)
        assert called_at(rows, middle) == confusion
        assert middle <= value


@settings(max_examples=100)
@given(labelled)
def test_auroc_is_the_share_of_pairs_in_order(rows):
    pairs = [(b > g) + (b == g) / 2 for b, bad in rows if bad for g, other in rows if not other]
    assert swept(rows).auroc == pytest.approx(np.mean(pairs) if pairs else None)


@settings(max_examples=100)
@given(labelled)
def test_average_precision_is_precision_by_the_recall_gained(rows):
    expected, before = 0.0, 0.0
    for value in sorted({row[0] for row in rows}, reverse=True):
        confusion = called_at(rows, value)
        if confusion.recall is not None:
            expected += (confusion.recall - before) * confusion.precision
            before = confusion.recall
    assert swept(rows).average_precision == pytest.approx(expected if any(row[1] for row in rows) else None)


@settings(max_examples=100)
@given(labelled)
def test_the_best_threshold_reaches_the_best_f1_of_all(rows):
    best = swept(rows).best()
    f1 = [called_at(rows, value).f1 for value, _ in rows]
    if not any(row[1] for row in rows):
        assert best is None
    else:
        assert best[1] == pytest.approx(max(f1))
        assert called_at(rows, best[0]).f1 == pytest.approx(best[1])


def test_ranking_does_not_change_under_a_rising_function(rng):
    values, bad = rng.normal(size=200), rng.random(200) < 0.3
    one, other = Sweep.of(values, bad), Sweep.of(np.exp(values), bad)
    assert (one.auroc, one.average_precision) == (other.auroc, other.average_precision)
    assert Sweep.of(-values, bad).auroc == pytest.approx(1 - one.auroc)


@pytest.mark.parametrize(("bad", "auroc"), [([False, True], 1.0), ([True, False], 0.0)])
def test_perfect_and_inverted_ranking(bad, auroc):
    assert Sweep.of(np.array([1.0, 2.0]), np.array(bad)).auroc == auroc


def test_constant_scores_rank_by_chance():
    sweep = Sweep.of(np.ones(10), np.arange(10) < 3)
    assert (sweep.auroc, sweep.average_precision, sweep.best()) == (0.5, 0.3, (1.0, pytest.approx(6 / 13)))


def test_a_score_that_is_no_number_is_refused():
    with pytest.raises(ValueError, match="not a number"):
        Sweep.of(np.array([1.0, np.nan]), np.array([True, False]))


@pytest.mark.parametrize(
    ("values", "expected"), [([8, 2], 4), ([1, -3], -1), ([1, 0], 0.5), ([math.inf, 3], math.nextafter(3, 4))]
)
def test_the_middle_is_far_from_its_neighbours(values, expected):
    assert Sweep.of(np.array(values, float), np.array([True, False])).middle(0) == pytest.approx(
        expected, abs=0
    )
