from collections import Counter
from types import SimpleNamespace

import numpy as np
import pytest

from jobs import report_figures

EVALUATION = {
    "images": 5,
    "rejected": 1,
    "f1": 0.99996,
    "precision": 1.0,
    "recall": None,
    "auroc": 0.9999954,
    "intervals": {"f1": (0.71, 0.99999), "precision": None},
}


@pytest.fixture
def scanned():
    return SimpleNamespace(
        score=np.arange(4.0),
        unknown=np.array([False, False, False, True]),
        rejected=Counter({("a.tar", "empty"): 2, ("b.tar", "empty"): 1, ("b.tar", "not_an_image"): 1}),
    )


def test_figures_have_their_bounds_and_none_short_of_1_is_shown_as_1(scanned):
    called = np.array([False, False, True, True])
    assert report_figures.counts(scanned, called, EVALUATION) == [
        ("images", "4", "and 1 rejected"),
        ("anomalies", "1", "25.00 % of the images"),
        ("parts of unknown kind", "1", "25.00 % of the images"),
        ("F1", "0.9999", "95 % between 0.7100 and 0.9999"),
        ("precision", "1.0000", "no interval"),
        ("AUROC", "0.9999", "of the ranking, whatever the threshold"),
    ]


def test_rejects_are_counted_by_reason_with_their_lots(scanned):
    assert report_figures.reasons(scanned) == [("empty", 3, 2), ("not_an_image", 1, 1)]


def test_a_job_without_images_says_so():
    assert report_figures.headline({"images": 0}) == [
        "No image: the sources held none, or none was scored yet."
    ]
