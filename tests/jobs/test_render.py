import pyarrow as pa
import pytest

from jobs.render import render

LONG = "/data/line-4/2026-11/night-shift/camera-2/lots-of-november/n00017.tar"


def told(result, form="table"):
    return render(pa.table(result), form)


def test_a_row_is_one_line_whose_long_paths_are_cut_at_their_left():
    shown = told({"archive": [LONG, "/a.tar"], "defect_score": [123456.0, 0.5]})
    (line,) = [line for line in shown.splitlines() if "n00017.tar" in line]
    assert "│ …" in line
    assert "123456" in line
    assert len(shown.splitlines()) == 6
    assert all(len(line) <= 80 for line in shown.splitlines())
    assert "/a.tar" in shown


def test_paths_that_have_room_are_whole():
    assert LONG in told({"archive": [LONG]})


@pytest.mark.parametrize("form", ["csv", "json"])
def test_what_programs_read_is_whole(form):
    assert LONG in told({"archive": [LONG], "member": [LONG]}, form)


def test_wide_letters_count_for_two():
    shown = told({"archive": ["/写" * 60], "n": [1]})
    assert len(shown.splitlines()) == 5


def test_numbers_are_whole_beside_many_long_texts():
    shown = told({f"path{at}": [LONG] for at in range(6)} | {"n": [1234567890123]})
    assert "1234567890123" in shown
    assert len(shown.splitlines()) == 5
