"""Teaching is learning, cross-fitting and choosing, in that order and from the same images."""

import numpy as np
import pytest

from dice_core.crossfit import choose_face_thresholds, choose_thresholds, ncc_floor
from dice_core.policy import Policy
from dice_core.rows import SCORE_DIRECTIONS
from dice_core.sample import runs_of
from dice_core.suspect import FACTOR
from dice_core.teach import set_thresholds, teach


@pytest.fixture(scope="module")
def taught(samples, nothing, learning):
    return teach(samples, nothing, learning, anomaly_labels=("ano",))


def test_the_bank_holds_what_its_images_taught(taught, samples, lessons, crossfit, learning):
    bank = taught.bank
    assert [face.name for face in bank.faces] == list(samples)
    assert bank.image_size == bank.size == learning.size
    assert bank.anomaly_labels == ("ano",)
    assert bank.taught == {content for sample in samples.values() for content in sample.hashes}
    assert bank.ncc_floor == ncc_floor(crossfit)
    np.testing.assert_array_equal(taught.crossfit.good["defect_score"], crossfit.good["defect_score"])
    np.testing.assert_array_equal(bank.faces[1].components, lessons[1].face.components)


def test_lots_are_measured_by_the_copies_of_every_draw(samples, nothing, learning, crossfit, monkeypatch):
    given = []
    monkeypatch.setattr("dice_core.teach.Reference.of", lambda *told: given.append(told))
    teach(samples, nothing, learning)
    [(names, _, copies, runs)] = given
    assert names == list(samples)
    np.testing.assert_array_equal(copies["defect_score"], crossfit.every_copy["defect_score"])
    np.testing.assert_array_equal(runs, runs_of(samples.values()))


def test_thresholds_are_chosen_from_the_cross_fitted_scores(taught):
    bank, crossfit = taught.bank, taught.crossfit
    for policy in (Policy(), Policy.parse("fpr=0.1")):
        chosen = set_thresholds(bank, crossfit, policy)
        assert chosen.thresholds == choose_thresholds(crossfit, policy)
        assert chosen.policy == str(policy)
        assert not chosen.face_thresholds


def test_faces_have_thresholds_of_their_own_only_where_asked(taught, monkeypatch):
    bank, crossfit = taught.bank, taught.crossfit
    monkeypatch.setattr("dice_core.crossfit.FEWEST_PER_FACE", 10)
    chosen = set_thresholds(bank, crossfit, per_face=True)
    assert chosen.face_thresholds == choose_face_thresholds(crossfit, Policy())
    assert set(chosen.face_thresholds) == {"one", "two"}
    assert set(chosen.thresholds) == set(SCORE_DIRECTIONS)


def test_a_policy_that_cannot_be_kept_is_refused(taught):
    bank, crossfit = taught.bank, taught.crossfit
    with pytest.raises(ValueError, match="budget"):
        set_thresholds(bank, crossfit, Policy.parse("budget=1/100000"), 0.5)


def test_images_that_look_mislabelled_teach_nothing_and_are_named_the_oddest_first(
    samples, nothing, learning, draw_faces, sample_of
):
    images = draw_faces(0, 24)
    images[5, 18:21, 8:20] = 0
    images[11] = draw_faces(1, 1, seed=9)[0]
    mixed = {"one": sample_of(images), "two": samples["two"]}
    found = teach(mixed, nothing, learning)
    assert {(suspect.face, suspect.name) for suspect in found.suspects} == {
        ("one", "5.png"),
        ("one", "11.png"),
    }
    oddities = [suspect.oddity for suspect in found.suspects]
    assert oddities == sorted(oddities, reverse=True)
    assert min(oddities) >= FACTOR
    assert [len(found.good[face]) for face in mixed] == [22, 24]
    assert [face.images for face in found.bank.faces] == [22, 24]
    assert len(found.crossfit.good["ncc"]) == 46
    # What was looked at is known as seen all the same.
    assert found.bank.taught == {content for sample in mixed.values() for content in sample.hashes}


def test_of_good_ones_none_is_suspected(taught):
    assert taught.suspects == ()
    assert {face: len(sample) for face, sample in taught.good.items()} == {"one": 24, "two": 24}
