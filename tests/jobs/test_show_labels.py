import pytest

from jobs.show_labels import label_lines

ALL = {"lines": 3, "matched": 3, "unmatched": 0, "first_unmatched": [], "unknown": {}}
SOME = {
    "lines": 1300,
    "matched": 1298,
    "unmatched": 2,
    "first_unmatched": ["line 7: a b", "line 9: a c"],
    "unknown": {"nok": 12},
}


@pytest.mark.parametrize(
    ("told", "lines"),
    [
        (None, []),
        (ALL, ["labels: 3 of 3 lines name an image that is there"]),
        (
            SOME,
            [
                "labels: 1,298 of 1,300 lines name an image that is there",
                "NO IMAGE for 2 lines, first line 7: a b",
                "label that the model does not know: nok (12)",
            ],
        ),
    ],
)
def test_what_came_of_a_table_of_labels_is_told(told, lines):
    assert label_lines(told) == lines
