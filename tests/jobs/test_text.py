import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.text import ago, duration, for_spreadsheet, in_json, plain, several, size, utc


def test_what_does_not_print_is_written_out():
    assert plain("a\x1b[31m\nä") == "a\\x1b[31m\\nä"


@given(st.recursive(st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)))
def test_json_means_the_same_without_what_does_not_print(value):
    told = in_json(json.dumps(value, ensure_ascii=False, indent=1))
    assert json.loads(told) == value
    assert all(letter.isprintable() or letter == "\n" for letter in told)


def test_a_time_is_written_as_iso_8601_has_it():
    assert utc(0.0) == "1970-01-01T00:00:00.000Z"
    assert utc(1_000_000_000.1234) == "2001-09-09T01:46:40.123Z"


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (-3.0, "0 s"),
        (0.4, "0 s"),
        (119.4, "119 s"),
        (120.0, "2 minutes"),
        (7199.0, "120 minutes"),
        (7200.0, "2 hours"),
        (3 * 86400.0, "3 days"),
    ],
)
def test_a_span_is_in_its_largest_unit(seconds, expected):
    assert ago(seconds) == expected


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("=cmd()", "'=cmd()"),
        ("+1", "'+1"),
        ("-1", "'-1"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("\uff1d1", "'\uff1d1"),
        ("'quoted", "''quoted"),
        ("\t=1", r"\t=1"),
        ("05", "'05"),
        ("12345678901234567890123456789e12", "'12345678901234567890123456789e12"),
        ("1.5", "'1.5"),
        ("05/a=1.jpg", "05/a=1.jpg"),
        ("f94b8b", "f94b8b"),
        ("", ""),
    ],
)
def test_a_spreadsheet_takes_text_for_text(text, shown):
    assert for_spreadsheet(text) == shown


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        (several(1, "image"), "1 image"),
        (several(0, "image"), "0 images"),
        (several(2000, "image"), "2,000 images"),
        (size(999), "999 bytes"),
        (size(16_410_000), "16.4 MB"),
        (size(2.5e15), "2,500.0 TB"),
        (duration(4.23), "4.2 s"),
        (duration(59.96), "1 min 0 s"),
        (duration(725), "12 min 5 s"),
        (duration(12_000), "3 h 20 min"),
    ],
)
def test_numbers_have_units_that_show_figures(told, expected):
    assert told == expected
