import pyarrow as pa
import pytest

from dice_core.rows import SCHEMA, SCORE_DIRECTIONS, Reason, Status, Verdict

ALWAYS = {"archive", "index", "member", "folder", "lot", "offset", "size", "status"}
SCORES = SCHEMA.names[SCHEMA.get_field_index("face") : SCHEMA.get_field_index("ncc_shifted")]


def test_a_column_has_a_name_of_its_own():
    assert len(set(SCHEMA.names)) == len(SCHEMA.names)


def test_what_every_member_has_is_never_null_and_what_images_have_may_be():
    assert {field.name for field in SCHEMA if not field.nullable} == ALWAYS


def test_the_scores_are_the_last_columns_but_the_lists():
    assert SCORES[0] == "face"
    assert SCORES[-1] == "verdict"
    assert set(SCORE_DIRECTIONS) < set(SCORES)


@pytest.mark.parametrize("column", SCORE_DIRECTIONS)
def test_a_score_is_a_float_with_a_direction(column):
    assert SCHEMA.field(column).type == pa.float32()
    assert abs(SCORE_DIRECTIONS[column]) == 1


def test_only_the_defect_score_rises_with_the_defect():
    assert [column for column, direction in SCORE_DIRECTIONS.items() if direction > 0] == ["defect_score"]


@pytest.mark.parametrize("words", [Status, Reason, Verdict])
def test_words_are_their_own_text_in_lower_case(words):
    for word in words:
        assert f"{word}" == word.value == word.name.lower()
        assert pa.array([word.value], pa.string()).to_pylist() == [word]
