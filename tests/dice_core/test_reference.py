import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dice_core.reference import FEWEST_OF_FACE, FaceReference, Reference

NAMES = ("one", "two")


def columns(scores, faces):
    return {"defect_score": np.asarray(scores, np.float32), "face": np.asarray(faces)}


def drawn(seed, each=400, levels=(2.0, 3.0), spreads=(0.2, 0.4), shift=0.0, names=NAMES):
    """Scores of faces that differ in level and spread, as many of each, frames in runs of twelve."""
    rng = np.random.default_rng(seed)
    logs = [
        np.log(level) + spread * (rng.standard_normal(each) + shift)
        for level, spread in zip(levels, spreads, strict=True)
    ]
    return columns(np.exp(np.concatenate(logs)), np.repeat(names, each))


def reference(good, shifted=None, runs=None):
    runs = np.arange(len(good["face"])) if runs is None else runs
    return Reference.of(NAMES, good, good if shifted is None else shifted, runs)


def test_every_face_has_its_own_median_and_spread():
    found = reference(drawn(0))
    assert [np.exp(found.faces[name].median) for name in NAMES] == pytest.approx([2, 3], rel=0.05)
    assert [found.faces[name].spread for name in NAMES] == pytest.approx([0.2, 0.4], rel=0.15)
    assert found.quantiles == pytest.approx([-0.674, 0, 0.674, 1.282], abs=0.1)
    z = found.standardise(np.array([2.0, 3.0], np.float32), np.array([0, 1]))
    assert z == pytest.approx([0, 0], abs=0.2)


def test_a_few_gross_outliers_among_the_good_move_nothing():
    good = drawn(0)
    spoilt = columns(np.where(np.arange(800) % 33 == 0, 50, good["defect_score"]), good["face"])
    clean, found = reference(good), reference(spoilt)
    for name in NAMES:
        assert found.faces[name].median == pytest.approx(clean.faces[name].median, abs=0.05)
        assert found.faces[name].spread == pytest.approx(clean.faces[name].spread, rel=0.1)


@given(factor=st.floats(0.01, 100))
def test_the_scale_of_the_scores_is_no_matter(factor):
    good = drawn(1)
    scaled = columns(good["defect_score"] * np.float32(factor), good["face"])
    one, other = reference(good), reference(scaled)
    assert other.quantiles == pytest.approx(one.quantiles, abs=1e-4)
    assert other.allowed_higher == pytest.approx(one.allowed_higher, abs=1e-4)


def test_a_face_with_few_images_goes_by_all_and_rests_on_little():
    good = drawn(2)
    kept = np.r_[0:400, 400 : 400 + FEWEST_OF_FACE - 1]
    found = reference({name: values[kept] for name, values in good.items()})
    assert found.faces["two"].median == pytest.approx(np.log(2), abs=0.1)
    assert found.faces["two"].independent < FEWEST_OF_FACE
    assert found.faces["one"].independent > 10 * found.faces["two"].independent


def test_a_face_without_an_image_rests_on_nothing():
    good = drawn(2)
    found = reference({name: values[:400] for name, values in good.items()})
    assert found.faces["two"].independent == 0


@pytest.mark.parametrize(("moved", "allowed"), [(0.0, 1.0), (0.9, 1.0), (1.5, 1.5), (4.0, 2.0)])
def test_as_much_is_allowed_as_copies_for_another_day_move_within_bounds(moved, allowed):
    assert reference(drawn(3), drawn(4, shift=moved)).allowed_higher == pytest.approx(allowed, abs=0.15)


def test_frames_that_repeat_each_other_are_told_from_frames_that_do_not():
    good = drawn(5, each=480)
    runs = np.arange(960) // 12
    apart = reference(good, runs=runs)
    repeated = columns(np.repeat(good["defect_score"][::12], 12), good["face"])
    alike = reference(repeated, runs=runs)
    assert apart.repeats == pytest.approx(1, abs=0.6)
    assert alike.repeats == pytest.approx(12)
    assert alike.faces["one"].independent == pytest.approx(40)


def test_that_days_differ_makes_no_frames_alike():
    one, other = drawn(6, each=480), drawn(7, each=480, shift=2.0)
    days = columns(
        np.concatenate([one["defect_score"], other["defect_score"]]),
        np.concatenate([one["face"], other["face"]]),
    )
    assert reference(days, runs=np.arange(1920) // 12).repeats < 2


@pytest.mark.parametrize("runs", [np.zeros(24, int), np.arange(24)])
def test_one_run_is_one_and_runs_of_one_are_all(runs):
    good = {name: values[:24] for name, values in drawn(8).items()}
    assert reference(good, runs=runs).repeats == pytest.approx(1 if runs.any() else 24)


def test_equal_scores_and_scores_of_zero_have_a_spread():
    for level in (0.0, 2.0):
        found = reference(columns(np.full(50, level), ["one"] * 50))
        assert found.faces["one"].spread > 0
        assert np.isfinite(found.standardise(np.array([0.0, 1e30]), np.array([0, 0]))).all()


def test_without_a_good_image_there_is_none():
    assert reference(columns([], np.array([], str))) is None


def test_a_score_that_is_no_number_is_refused():
    with pytest.raises(ValueError, match="not a number"):
        reference(drawn(0)).standardise(np.array([np.nan]), np.array([0]))


def test_it_reads_back_what_it_told():
    found = reference(drawn(9))
    assert Reference.read(json.loads(json.dumps(found.told())), NAMES) == found


GOOD = Reference({"one": FaceReference(0.5, 0.2, 30.0)}, (-0.7, 0.0, 0.7, 1.3), 1.0, 1.0)


@pytest.mark.parametrize(
    "changes",
    [
        {"faces": {"one": FaceReference(np.nan, 0.2, 30.0)}},
        {"faces": {"one": FaceReference(0.5, 0.0, 30.0)}},
        {"faces": {"one": FaceReference(0.5, 0.2, -1.0)}},
        {"faces": {"one": FaceReference(0.5, 0.2, np.inf)}},
        {"quantiles": (-0.7, 0.0, 0.7)},
        {"quantiles": (0.7, 0.0, -0.7, 1.3)},
        {"quantiles": (-0.7, 0.0, 0.7, np.inf)},
        {"allowed_higher": -1.0},
        {"repeats": 0.5},
    ],
)
def test_a_reference_that_cannot_be_is_refused(changes):
    assert Reference.read(GOOD.told(), ("one",)) == GOOD
    with pytest.raises(ValueError, match="cannot be"):
        Reference.read(replace(GOOD, **changes).told(), ("one",))
