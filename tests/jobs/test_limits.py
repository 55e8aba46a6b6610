from dataclasses import replace

import numpy as np
import pytest

from dice_core.crossfit import FEWEST_PER_FACE
from dice_core.policy import Policy
from dice_core.rows import SCORE_DIRECTIONS
from jobs.errors import Refusal
from jobs.limits import Limits


@pytest.fixture
def bank(make_named_bank):
    return replace(
        make_named_bank("a", "b"),
        thresholds=dict.fromkeys(SCORE_DIRECTIONS, 0.1),
        face_thresholds={"b": {"ssim": 0.7}},
    )


@pytest.fixture
def rows(make_labelled):
    """Good rows of a quiet face and of a loud one, and two defective ones that the loud face has."""
    rng = np.random.default_rng(0)
    face = np.repeat([0, 1, 1], [80, FEWEST_PER_FACE, 2])
    bad = np.arange(len(face)) >= len(face) - 2
    scores = np.where(bad, 400.0, rng.exponential(size=len(face)) * np.where(face, 10, 1))
    return make_labelled(label=np.where(bad, 2, face), face=face, bad=bad, defect_score=scores, ssim=scores)


def test_those_of_the_model_are_in_the_precision_of_scores(bank):
    limits = Limits.of_model(bank, "ssim")
    assert limits.threshold == float(np.float32(0.1)) != 0.1
    assert limits.faces.tolist() == [float(np.float32(0.1)), float(np.float32(0.7))]


def test_a_value_holds_for_every_face(rows):
    limits = Limits.chosen(rows, "ssim", Policy("value", 0.25), None, 2, per_face=True)
    assert (limits.threshold, limits.faces.tolist()) == (0.25, [0.25, 0.25])


@pytest.mark.parametrize("column", ["defect_score", "ssim"])
def test_a_policy_chooses_from_all_rows_or_from_those_of_each_face(rows, column):
    policy, direction = Policy("fpr", 0.05), SCORE_DIRECTIONS[column]
    scores, good = rows.scores[column], ~rows.bad
    whole = Limits.chosen(rows, column, policy, None, 2, per_face=False)
    assert whole.threshold == direction * policy.choose(scores[good], scores[rows.bad])
    assert whole.faces.tolist() == [whole.threshold] * 2
    own = Limits.chosen(rows, column, policy, None, 2, per_face=True)
    assert own.threshold == whole.threshold
    expected = [policy.choose(scores[good & (rows.face == face)], scores[rows.bad]) for face in (0, 1)]
    assert (direction * own.faces).tolist() == expected
    assert expected[0] < direction * whole.threshold < expected[1]


def test_a_face_with_few_good_rows_goes_by_the_threshold_of_all(make_labelled):
    fewest = FEWEST_PER_FACE - 1
    face = np.repeat([0, 1], [fewest, 200])
    few = make_labelled(label=face, face=face, bad=face > 1, defect_score=np.arange(len(face)) % 97 + face)
    limits = Limits.chosen(few, "defect_score", Policy("fpr", 0.05), None, 2, per_face=True)
    assert limits.faces[0] == limits.threshold != limits.faces[1]


def test_what_is_called_is_at_or_beyond_its_faces_threshold_or_unknown(make_labelled):
    rows = make_labelled(
        label=[0] * 5,
        face=[0, 0, 1, 1, 1],
        bad=[False] * 5,
        unknown=[False] * 4 + [True],
        ssim=[-0.5, -0.4, -0.5, -0.3, -0.9],
    )
    limits = Limits("ssim", 0.5, np.array([0.5, 0.3]))
    assert limits.beyond(rows).tolist() == pytest.approx([0, 0.1, -0.2, 0, -0.6])
    assert limits.called(rows).tolist() == [True, True, False, True, True]


def test_refuses_a_policy_that_cannot_be_kept(make_labelled):
    none = make_labelled(label=[], face=[], bad=[])
    with pytest.raises(Refusal, match=r"--threshold fpr=0.1: .* label some images, or give value=X"):
        Limits.chosen(none, "defect_score", Policy("fpr", 0.1), None, 1, per_face=False)
