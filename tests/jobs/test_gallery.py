from collections import Counter

import numpy as np
import pytest

from jobs import gallery
from jobs.gallery import Why, choose
from jobs.scanned import BAD, GOOD, UNLABELLED, Scanned


@pytest.fixture
def make():
    def scanned(score, truth=UNLABELLED, unknown=False):  # noqa: FBT002
        count = len(score)
        zeros = np.zeros(count, np.int32)
        return Scanned(
            archives=("a.tar",),
            lots=("a.tar",),
            archive=zeros,
            lot=zeros,
            index=np.arange(count),
            face=zeros.astype(np.int16),
            truth=np.broadcast_to(np.int8(truth), count),
            unknown=np.broadcast_to(unknown, count),
            score=np.array(score, np.float32),
            rejected=Counter(),
            rejects=(),
        )

    return scanned


def chosen(scanned, each=2, limit=10.0):
    limits = np.array([limit])
    called, ratio = gallery.called(scanned, limits), gallery.ratios(scanned, limits)
    return choose(scanned, called, ratio, each)


def test_those_nearest_to_the_threshold_on_both_sides_and_the_worst_are_chosen(make):
    found = chosen(make([1, 9, 30, 11, 40, 8, 12, 10]))
    assert found == {
        7: [Why.NEAREST_ABOVE],
        3: [Why.NEAREST_ABOVE],
        1: [Why.NEAREST_BELOW],
        5: [Why.NEAREST_BELOW],
        4: [Why.WORST],
        2: [Why.WORST],
    }


def test_misses_come_first_and_then_false_alarms(make):
    found = chosen(make([5, 20, 6, 21], truth=[BAD, GOOD, GOOD, BAD]))
    assert list(found)[:2] == [0, 1]
    assert found[0] == [Why.MISS, Why.NEAREST_BELOW]
    assert found[1][0] is Why.FALSE_ALARM


def test_parts_of_unknown_kind_are_called_whatever_they_score_and_shown_apart(make):
    scanned = make([1, 2, 30], unknown=[True, False, False])
    assert gallery.called(scanned, np.array([10.0])).tolist() == [True, False, True]
    assert chosen(scanned)[0] == [Why.UNKNOWN_PART]


def test_faces_have_thresholds_of_their_own(make):
    scanned = make([5, 5])
    scanned = Scanned(**{**vars(scanned), "face": np.array([0, 1], np.int16)})
    assert gallery.called(scanned, np.array([4.0, 6.0])).tolist() == [True, False]
    assert gallery.ratios(scanned, np.array([4.0, 10.0])).tolist() == [1.25, 0.5]


def test_equal_scores_are_taken_in_their_order(make):
    assert [at for at, why in chosen(make([5] * 9), each=3).items() if why == [Why.NEAREST_BELOW]] == [
        0,
        1,
        2,
    ]


def test_what_is_chosen_is_among_the_candidates(make):
    scanned = make([5, 20, 6, 21, 40], truth=[BAD, GOOD, GOOD, BAD, BAD], unknown=[False] * 4 + [True])
    among = gallery.candidates(scanned, gallery.called(scanned, np.array([10.0])))
    assert {why: np.flatnonzero(which).tolist() for why, which in among.items()} == {
        Why.MISS: [0],
        Why.FALSE_ALARM: [1],
        Why.NEAREST_ABOVE: [1, 3],
        Why.NEAREST_BELOW: [0, 2],
        Why.WORST: [1, 3],
        Why.UNKNOWN_PART: [4],
    }
    assert {at for at, reasons in chosen(scanned).items() for why in reasons if not among[why][at]} == set()


def test_none_of_each_is_none(make):
    assert chosen(make([1, 20]), each=0) == {}
