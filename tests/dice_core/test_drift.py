import functools
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dice_core.drift import (
    ALLOWED_LOWER,
    CALLED_AT_MOST,
    CORRECTED_SHIFT,
    FEWEST,
    LARGEST_CORRECTION,
    LEAST_CALLED,
    Alarm,
    Counts,
    Drift,
    most_called,
)
from dice_core.reference import FaceReference, Reference

THRESHOLD = 6.0
"""In spreads: about where the thresholds of real parts lie."""

REFERENCE = Reference(
    {
        name: FaceReference(level, spread, 200.0)
        for name, level, spread in (("a", 0.5, 0.25), ("b", 1.0, 0.3))
    },
    (-0.674, 0.0, 0.674, 1.282),
    allowed_higher=1.0,
    repeats=1.0,
)
GRAVE = (Alarm.MANY_ANOMALIES, Alarm.PARTLY_HIGHER, Alarm.ALL_HIGHER)


def counts(z, called=None, reference=REFERENCE, fit=None):
    """Counts of a lot by its standardised scores, faces by turns."""
    z = np.asarray(z, float)
    face = np.arange(len(z)) % 2
    own = [*REFERENCE.faces.values()]
    logs = np.array([own[at].median for at in face]) + z * np.array([own[at].spread for at in face])
    called = z >= THRESHOLD if called is None else np.asarray(called, bool)
    fit = np.ones(len(z), bool) if fit is None else fit
    return Counts.of(reference, 2, np.exp(logs), face, called, fit)


def drift(z, called=None, reference=REFERENCE, may_be_called=CALLED_AT_MOST):
    return Drift.of(counts(z, called, reference), reference, may_be_called)


def good(seed, images, shift=0.0, spread=1.0):
    return shift + spread * np.random.default_rng(seed).standard_normal(images)


def partly_bad(seed, images, share, level):
    """Good parts, of which a share carries a defect that scores so many spreads higher than a good part."""
    rng = np.random.default_rng([seed, 1])
    z = good(seed, images)
    return np.where(np.arange(images) < share * images, np.maximum(z, rng.normal(level, 0.8, images)), z)


# Good lots


@pytest.mark.parametrize("images", [0, 1, 12, 60, 500])
def test_good_lots_raise_no_alarm(images):
    for seed in range(60):
        told = drift(good(seed, images))
        assert told.alarm is None
        assert told.correction == 1
        assert told.enough == (images >= FEWEST)


@pytest.mark.parametrize("shift", [-1.0, 0.5, 0.8])
def test_lots_that_moved_within_what_is_allowed_raise_none(shift):
    assert not [seed for seed in range(100) if drift(good(seed, 300, shift)).alarm]


def test_a_lot_of_few_images_says_so_and_is_no_alarm_however_bad():
    told = drift(np.full(FEWEST - 1, 20.0))
    assert (told.enough, told.alarm, told.correction) == (False, None, 1)
    assert told.shift == pytest.approx(20, abs=0.1)
    assert told.share_called == 1


def test_frames_that_repeat_each_other_count_for_fewer():
    reference = Reference(REFERENCE.faces, REFERENCE.quantiles, 1.0, repeats=12.0)
    assert not drift(good(0, 60), reference=reference).enough
    assert drift(good(0, 120), reference=reference).enough


def test_a_reference_of_few_images_tells_nothing():
    thin = {name: FaceReference(face.median, face.spread, 2.0) for name, face in REFERENCE.faces.items()}
    told = drift(good(0, 500, 5.0), reference=Reference(thin, REFERENCE.quantiles, 1.0, 1.0))
    assert (told.enough, told.alarm) == (False, None)


def test_a_stray_image_of_a_face_without_a_reference_spoils_no_lot():
    faces = {"a": REFERENCE.faces["a"], "b": FaceReference(1.0, 0.3, 0.0)}
    reference = Reference(faces, REFERENCE.quantiles, 1.0, 1.0)
    face = np.array([0] * 199 + [1])
    scores = np.exp(0.5 + 0.25 * good(0, 200, 3.0))
    never, all_of = np.zeros(200, bool), np.ones(200, bool)
    told = Drift.of(Counts.of(reference, 2, scores, face, never, all_of), reference, CALLED_AT_MOST)
    assert told.alarm is Alarm.ALL_HIGHER
    assert not Drift.of(Counts.of(reference, 2, scores, 1 - face, never, all_of), reference, 0.25).enough


# Bad lots


@pytest.mark.parametrize("images", [60, 300])
@pytest.mark.parametrize("level", [3.0, 4.0, 5.0, 6.0, 8.0, 15.0])
@pytest.mark.parametrize("share", [0.5, 1.0])
def test_a_lot_with_half_or_all_of_its_parts_bad_is_an_alarm(images, level, share):
    found = [drift(partly_bad(seed, images, share, level)) for seed in range(20)]
    assert all(told.alarm in (*GRAVE, Alarm.WIDER) for told in found)


@pytest.mark.parametrize("level", [3.0, 4.0, 5.0, 6.0, 8.0, 15.0])
def test_no_threshold_is_corrected_where_half_of_the_parts_are_bad(level):
    found = [drift(partly_bad(seed, 300, 0.5, level)) for seed in range(20)]
    assert {told.correction for told in found} == {1.0}


@pytest.mark.parametrize("level", [5.0, 6.0, 8.0])
def test_no_threshold_is_corrected_where_all_parts_are_as_bad_as_some_threshold(level):
    assert {drift(partly_bad(seed, 300, 1.0, level)).correction for seed in range(20)} == {1.0}


@pytest.mark.parametrize(
    ("z", "alarm"),
    [
        (good(0, 300), None),
        (good(0, 300, 2.5), Alarm.ALL_HIGHER),
        (good(0, 300, -2.5), Alarm.ALL_LOWER),
        (good(0, 300, spread=2.5), Alarm.PARTLY_HIGHER),
        (good(0, 300, -1.0, spread=2.1), Alarm.WIDER),
        (partly_bad(0, 300, 0.5, 4.0), Alarm.PARTLY_HIGHER),
        (partly_bad(0, 300, 0.5, 9.0), Alarm.MANY_ANOMALIES),
        (partly_bad(0, 300, 1.0, 9.0), Alarm.MANY_ANOMALIES),
        (partly_bad(0, 300, 0.04, 9.0), None),
        (np.full(300, np.inf), Alarm.MANY_ANOMALIES),
    ],
)
def test_each_reason(z, alarm):
    assert drift(z).alarm is alarm


def test_parts_of_unknown_kind_count_as_called_though_their_scores_are_left_out():
    z = good(0, 100)
    unknown = np.arange(100) < 60
    told = Drift.of(counts(np.where(unknown, 30.0, z), unknown, fit=~unknown), REFERENCE, CALLED_AT_MOST)
    assert told.alarm is Alarm.MANY_ANOMALIES
    assert told.share_called == pytest.approx(0.6)
    assert told.shift == pytest.approx(0, abs=0.5)


def test_a_lot_of_unknown_parts_alone_is_an_alarm_without_a_shift():
    told = Drift.of(counts(good(0, 50), np.ones(50), fit=np.zeros(50, bool)), REFERENCE, CALLED_AT_MOST)
    assert (told.alarm, told.shift, told.spread_ratio) == (Alarm.MANY_ANOMALIES, None, None)


def test_without_a_reference_the_share_called_is_judged_alone():
    moved = Drift.of(counts(good(0, 300, 4.0), np.zeros(300), None), None, CALLED_AT_MOST)
    assert (moved.alarm, moved.shift, moved.enough) == (None, None, True)
    bad = Drift.of(counts(good(0, 300), np.ones(300), None), None, CALLED_AT_MOST)
    assert bad.alarm is Alarm.MANY_ANOMALIES


# How many may be called


@pytest.mark.parametrize(
    ("alarms", "prevalence", "share"),
    [
        (None, None, CALLED_AT_MOST),
        (0.001, None, CALLED_AT_MOST),
        (None, 0.001, CALLED_AT_MOST),
        (0.0001, 0.0005, LEAST_CALLED),
        (0.002, 0.003, 0.05),
        (0.1, 0.3, CALLED_AT_MOST),
    ],
)
def test_how_many_may_be_called(alarms, prevalence, share):
    assert most_called(alarms, prevalence) == pytest.approx(share)


@pytest.mark.parametrize(
    ("called", "may_be_called", "alarmed"),
    [(10, 0.25, False), (40, 0.25, False), (60, 0.25, True), (10, 0.01, True), (2, 0.01, False)],
)
def test_more_called_than_can_be_expected_is_an_alarm(called, may_be_called, alarmed):
    told = drift(good(0, 150), np.arange(150) < called, may_be_called=may_be_called)
    assert (told.alarm is Alarm.MANY_ANOMALIES) == alarmed


@pytest.mark.parametrize("images", [8, 10, 12])
def test_half_of_the_parts_called_is_an_alarm_by_itself(images):
    assert drift(good(0, images), np.arange(images) < images / 2).alarm is Alarm.MANY_ANOMALIES


# Corrections


@given(
    shift=st.floats(-5, 12),
    spread=st.floats(0.1, 3),
    images=st.integers(0, 300),
    called=st.floats(0, 1),
    seed=st.integers(0, 99),
)
@settings(max_examples=150, deadline=None)
def test_a_correction_keeps_its_bounds_and_comes_with_an_alarm_of_its_own(
    shift, spread, images, called, seed
):
    told = drift(good(seed, images, shift, spread), np.arange(images) < called * images)
    assert 1 <= told.correction <= LARGEST_CORRECTION
    if told.correction > 1:
        assert told.alarm is Alarm.ALL_HIGHER
        assert told.share_called <= 0.05
        assert told.shift <= CORRECTED_SHIFT


def test_a_day_that_moves_all_good_parts_alike_is_corrected():
    assert drift(good(0, 300, 2.0)).correction == LARGEST_CORRECTION
    narrow = {name: FaceReference(face.median, 0.05, 200.0) for name, face in REFERENCE.faces.items()}
    reference = Reference(narrow, REFERENCE.quantiles, 1.0, 1.0)
    scores = np.exp(np.array([0.5, 1.0])[np.arange(300) % 2] + 0.05 * good(0, 300, 2.0))
    never, all_of = np.zeros(300, bool), np.ones(300, bool)
    moved = Counts.of(reference, 2, scores, np.arange(300) % 2, never, all_of)
    assert Drift.of(moved, reference, 0.25).correction == pytest.approx(np.exp(0.05 * 2), rel=0.02)


# Properties

lots = st.lists(st.floats(-12, 40), min_size=1, max_size=80)


@given(z=lots, seed=st.integers(0, 99))
def test_the_order_of_the_images_is_no_matter(z, seed):
    z = np.array(z)
    face = np.arange(len(z)) % 2
    scores, order = np.exp(z / 4), np.random.default_rng(seed).permutation(len(z))
    called, fit = z > 5, z < 30
    ordered = Counts.of(REFERENCE, 2, scores, face, called, fit)
    turned = Counts.of(REFERENCE, 2, scores[order], face[order], called[order], fit[order])
    assert turned == ordered


@given(z=lots, cuts=st.lists(st.integers(0, 80), max_size=4))
def test_counts_of_pieces_add_up_to_the_counts_of_the_whole(z, cuts):
    whole = np.array(z)
    edges = sorted({0, len(z), *(min(cut, len(z)) // 2 * 2 for cut in cuts)})
    pieces = [counts(whole[first:stop]) for first, stop in pairwise(edges)]
    zero = Counts.zero(2)
    assert functools.reduce(lambda one, other: one + other, pieces, zero) == counts(whole)
    assert functools.reduce(lambda one, other: other + one, pieces, zero) == counts(whole)
    assert hash(zero + counts(whole)) == hash(counts(whole))


@given(z=st.lists(st.floats(-10, 30), min_size=5, max_size=80), share=st.sampled_from([0.25, 0.5, 0.75]))
def test_quantiles_are_those_of_the_scores_to_a_bin(z, share):
    """A quantile by counts leaves no more than its share below it, and no less at or below."""
    value, z = counts(z).quantile(share), np.array(z)
    assert (z < value - 1 / 16).mean() <= share + 1e-9
    assert (z <= value + 1 / 16).mean() >= share - 1e-9


@given(z=lots, value=st.floats(-10, 30))
def test_shares_above_are_those_of_the_scores_to_a_bin(z, value):
    counted, z = counts(z).above(value), np.array(z)
    assert (z > value + 1 / 16).mean() - 1e-9 <= counted <= (z >= value - 1 / 16).mean() + 1e-9


@given(
    seed=st.integers(0, 99),
    share=st.floats(0, 1),
    level=st.floats(0, 8),
    raised=st.floats(0, 6),
    of=st.floats(0, 1),
)
@settings(max_examples=150, deadline=None)
def test_worse_scores_never_take_a_grave_alarm_away(seed, share, level, raised, of):
    z = partly_bad(seed, 120, share, level)
    more = z + raised * (np.random.default_rng(seed).random(120) < of)
    if drift(z).alarm in GRAVE:
        assert drift(more).alarm in GRAVE


def test_the_shift_and_the_ratio_are_in_spreads_of_the_reference():
    told = drift(good(0, 4000, 0.5, 0.8))
    assert told.shift == pytest.approx(0.5, abs=0.05)
    assert told.spread_ratio == pytest.approx(0.8, abs=0.1)
    assert drift(good(0, 400, -ALLOWED_LOWER - 1)).shift == pytest.approx(-ALLOWED_LOWER - 1, abs=0.15)
