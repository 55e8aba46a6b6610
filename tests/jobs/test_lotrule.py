import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.errors import Refusal
from jobs.lotrule import LotRule

MEMBERS = ["day3/cam1/a.jpg", "day12/b.jpg", "c.jpg", "other\nday4/d.jpg", "day5é/e.jpg"]
FOLDERS = ["cam1", "day12", "", "other\nday4", "day5é"]


@pytest.mark.parametrize(
    ("by", "expected"),
    [
        ("archive", ["/in/lot1.tar"] * 5),
        ("folder", ["cam1", "day12", "/in/lot1.tar", "other\nday4", "day5é"]),
        ("day([0-9]+)", ["3", "12", "/in/lot1.tar", "4", "5"]),
        ("(day.)", ["day3", "day1", "/in/lot1.tar", "day4", "day5"]),
        ("/(lot[0-9]+)[.]tar/", ["lot1"] * 5),
        ("lot1.tar/([^/]*)/", ["day3", "day12", "/in/lot1.tar", "other\nday4", "day5é"]),
        ("([^/]*).jpg$", ["a", "b", "c", "d", "e"]),
        ("(cam1)?/a", ["cam1", *["/in/lot1.tar"] * 4]),
        ("(?i)(DAY)|c", ["day", "day", "/in/lot1.tar", "day", "day"]),
        ("5(.)/", [*["/in/lot1.tar"] * 4, "é"]),
    ],
)
def test_a_lot_is_the_archive_the_folder_or_the_group(by, expected):
    assert LotRule.parse(by).names("/in/lot1.tar", MEMBERS, FOLDERS).to_pylist() == expected


@given(st.lists(st.text(max_size=8)), st.text(max_size=8))
def test_every_member_has_a_lot(members, archive):
    for by in ("archive", "folder", "(.)/", "(?s)(.*)"):
        lots = LotRule.parse(by).names(archive, members, members).to_pylist()
        assert len(lots) == len(members)
        assert None not in lots


@pytest.mark.parametrize(
    ("by", "told"),
    [
        ("", "has no group"),
        ("arcive", "has no group"),
        ("(a)(b)", "more than one group"),
        ("((a))", "more than one group"),
        ("(a", "missing"),
        ("a)(b", "unexpected"),
        ("(?=a)(b)", "invalid perl operator"),
        ("(a)\\1", "invalid escape"),
        ("(a{1,9999})", "invalid repetition"),
    ],
)
def test_what_names_no_lot_is_refused(by, told):
    with pytest.raises(Refusal, match=told) as refused:
        LotRule.parse(by)
    assert str(refused.value).startswith(f"--lot {by}: ")


def test_a_pattern_that_others_go_back_and_forth_on_for_ever_is_told_at_once():
    began = time.process_time()
    (lot,) = LotRule.parse("((?:a+a+)+)$").names("x", ["a" * 5000 + "!"], [""]).to_pylist()
    assert lot == "x"
    assert time.process_time() - began < 10  # by backtracking it would be years
