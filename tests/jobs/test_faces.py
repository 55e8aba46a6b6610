import numpy as np
import pytest

from jobs.faces import counted, face_confusion, per_face, wrong_face
from jobs.limits import Limits

BAD = 3


@pytest.fixture
def bank(make_named_bank):
    return make_named_bank("a", "b", "c")


@pytest.fixture
def labelled(make_labelled):
    """Pairs of label and predicted face; the label 3 is of defective parts."""
    pairs = [(0, 0), (0, 0), (0, 1), (1, 1), (1, 0), (1, 0), (3, 0), (3, 2), (0, 0)]
    label, face = np.array(pairs).T
    return make_labelled(label=label, face=face, bad=label == BAD, defect_score=np.arange(9.0))


def test_good_rows_are_counted_by_label_and_by_the_face_they_were_taken_for(labelled, bank):
    confusion = face_confusion(labelled, bank)
    assert confusion == {"a": {"a": 3, "b": 1}, "b": {"a": 2, "b": 1}}


def test_false_alarms_on_a_wrong_face_are_counted(labelled):
    called = np.array([1, 0, 1, 0, 1, 0, 1, 1, 1], bool)
    assert wrong_face(labelled, called) == {"images": 3, "fp": 2}


def test_without_a_good_row_there_is_no_confusion(make_labelled, bank):
    bad = make_labelled(label=[3], face=[1], bad=[True])
    assert face_confusion(bad, bank) == {}
    assert wrong_face(bad, np.array([True])) == {"images": 0, "fp": 0}


def test_each_predicted_face_has_its_threshold_and_what_it_takes_to_read_its_f1(labelled, bank):
    limits = Limits("defect_score", 5.0, np.array([5.0, 2.5, 5.0]))
    group = np.array([0, 0, 0, 1, 1, 2, 2, 2, 2])
    told = per_face(labelled, limits.called(labelled), group, bank, limits)
    assert list(told) == ["a", "b", "c"]
    assert told["a"] == {
        "threshold": 5.0,
        "images": 6,
        "prevalence": 1 / 6,
        "independent_parts": 3,
        "tp": 1,
        "fp": 2,
        "fn": 0,
        "tn": 3,
        "precision": 1 / 3,
        "recall": 1.0,
        "f1": 0.5,
    }
    assert (told["b"]["threshold"], told["b"]["fp"], told["b"]["tn"]) == (2.5, 1, 1)
    assert (told["c"]["images"], told["c"]["recall"]) == (1, 1.0)


def test_no_row_has_no_prevalence(labelled):
    nothing = counted(labelled, np.zeros(9, bool), np.arange(9), np.zeros(9, bool))
    assert (nothing["images"], nothing["independent_parts"]) == (0, 0)
    assert (nothing["prevalence"], nothing["f1"]) == (None, None)
