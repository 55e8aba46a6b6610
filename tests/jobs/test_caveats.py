import pytest

from jobs.caveats import expected, incomplete, number, wrong_faces

EXPECTED = {
    "from": "rows",
    "good": 900,
    "good_parts": 80,
    "alarms_per_million": 15_000.0,
    "alarms_per_million_bounds": [4_000.0, 45_000.0],
    "supported_per_million": 12_500.0,
    "extrapolated": False,
    "bad": 60,
    "bad_parts": 9,
    "recall": 0.9,
    "recall_bounds": [0.6, 0.99],
    "prevalence": None,
    "precision": None,
    "precision_bounds": None,
    "level": 0.95,
}


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, "-"),
        (0.0, "0.0000"),
        (1, "1.0000"),
        (0.12345, "0.1235"),
        (0.99994, "0.9999"),
        (0.9999954, "0.9999"),
    ],
)
def test_a_ratio(value, shown):
    assert number(value) == shown


def test_expected_alarms_are_told_with_their_bound_and_what_they_rest_on():
    (line,) = expected(EXPECTED)
    assert line == (
        "expected false alarms: 15,000 per million good images, at most 45,000 (95 %), "
        "from 900 good images in 80 runs"
    )
    (from_fit,) = expected({**EXPECTED, "from": "model"})
    assert from_fit.endswith("in 80 runs, as fit measured it")


def test_alarms_that_nobody_will_see_are_not_told_in_powers_of_ten():
    (line,) = expected({**EXPECTED, "alarms_per_million": 3e-7, "alarms_per_million_bounds": [0.0, 0.5]})
    assert "alarms: under 0.01 per million good images, at most 0.5 (95 %)" in line
    (line,) = expected({**EXPECTED, "alarms_per_million": 3e-9, "alarms_per_million_bounds": [0.0, 3e-7]})
    assert "alarms: under 0.01 per million good images, at most 0.01 (95 %)" in line


def test_a_rate_beyond_what_the_good_images_support_is_marked():
    found = {**EXPECTED, "alarms_per_million": 0.0321, "alarms_per_million_bounds": [0.0, 5.5]}
    (line,) = expected({**found, "extrapolated": True})
    assert "0.0321 per million good images, at most 5.5 (95 %), EXTRAPOLATED: 900 good images" in line
    assert line.endswith("in 80 runs support no rate under 12,500")
    assert "EXTRAPOLATED" not in expected(found)[0]


def test_precision_is_told_at_the_prevalence_with_its_bounds():
    found = {**EXPECTED, "prevalence": 0.0005}
    assert expected(found)[1] == "no precision: no labelled defective image to measure the recall on"
    told = expected({**found, "precision": 0.25, "precision_bounds": [0.0625, 0.5]})[1]
    assert told == (
        "at a prevalence of 0.0005: precision 25.00% (6.25% to 50.00%), "
        "with recall 90.00%, at least 60.00%, from 60 defective images in 9 runs"
    )


def test_where_nothing_can_be_expected_it_says_so():
    assert expected(None)[0].startswith("no expectation of false alarms: no labelled good image")


def test_confusions_between_faces_are_told_the_commonest_first():
    confusion = {
        "a": {"a": 1000, "b": 2, "c": 1},
        "b": {"a": 5, "b": 190},
        "c": {"a": 1, "b": 1},
    }
    told = {"face_confusion": confusion, "wrong_face": {"images": 10, "fp": 3}, "fp": 7}
    (line,) = wrong_faces(told)
    assert line == (
        "taken for another face: 10 of 1,200 good images, with 3 of the 7 false alarms: "
        "b for a (5), a for b (2), a for c (1)"
    )
    (line,) = wrong_faces({**told, "fp": 0})
    assert line == "taken for another face: 10 of 1,200 good images: b for a (5), a for b (2), a for c (1)"
    assert wrong_faces({"face_confusion": {"a": {"a": 1000}, "b": {"b": 2}}}) == []


ALL = "all 3,000 planned shards are there"
GOES_ON = "the same score command goes on"
MISSING = {
    "planned_shards": 3000,
    "missing_shards": 1200,
    "archives": 12,
    "listed": [{"name": "/a.tar", "missing_shards": 1, "shards": 2, "missing_rows": 2000, "rows": 3500}],
    "unplanned_parts": 0,
    "ended": True,
    "compacted": False,
}


@pytest.mark.parametrize(
    ("changes", "lines"),
    [
        (
            {},
            [
                f"INCOMPLETE: 1,200 of 3,000 planned shards (40.00%) are missing; {GOES_ON}",
                "  /a.tar: 1 of 2 shards, 2,000 of 3,500 rows missing",
                "  and 11 more",
            ],
        ),
        (
            {"missing_shards": 0, "archives": 0, "listed": [], "ended": False},
            [f"INCOMPLETE: {ALL}, but the job has not ended; {GOES_ON}"],
        ),
        (
            {"missing_shards": 0, "archives": 0, "listed": [], "unplanned_parts": 2},
            [f"INCOMPLETE: {ALL}, and 2 that were not planned; verify names them"],
        ),
        (
            {"planned_shards": None, "missing_shards": 0, "archives": 0, "listed": [], "ended": False},
            [f"INCOMPLETE: the job has not ended, and what was planned is not told; {GOES_ON}"],
        ),
    ],
)
def test_what_is_missing_is_told_with_its_share_and_names(changes, lines):
    assert incomplete(MISSING | changes) == lines


def test_nothing_is_said_of_a_complete_job():
    assert incomplete(None) == []
