from collections import Counter
from functools import reduce
from operator import add

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dice_core.tally import Kind, Tally

words = st.sampled_from(["a", "None", "ä\n", ""])
kinds = st.builds(
    Kind,
    lot=words,
    label=st.none() | words,
    face=st.none() | words,
    status=st.sampled_from(["ok", "rejected", "ignored"]),
    reason=st.none() | words,
    verdict=st.sampled_from([None, "good", "anomaly", "unknown_part"]),
)
counts = st.lists(st.tuples(kinds, st.integers(0, 5)), max_size=6)
tallies = st.builds(Tally, counts)
GOOD = Kind("lot", "lot", "a", "a", "ok", None, "good")
ANOMALY = Kind("lot", "lot", "ano", "a", "ok", None, "anomaly")
UNKNOWN = Kind("lot", "lot", None, "b", "ok", None, "unknown_part")
REJECTED = Kind("lot", "lot", None, None, "rejected", "truncated", None)
IGNORED = Kind("other", "other", None, None, "ignored", "archive_junk", None)


def table(rows):
    schema = pa.schema([(name, pa.string()) for name in Kind._fields])
    return pa.Table.from_pylist([kind._asdict() for kind in rows], schema)


@settings(max_examples=50)
@given(tallies, tallies, tallies)
def test_tallies_are_a_commutative_monoid(a, b, c):
    assert a + Tally() == a == Tally() + a
    assert a + b == b + a
    assert (a + b) + c == a + (b + c)


@settings(max_examples=30)
@given(tallies, tallies)
def test_plus_leaves_its_arguments_alone_and_loses_no_row(a, b):
    before = a.to_json(), b.to_json()
    assert (a + b).rows == a.rows + b.rows
    assert (a.to_json(), b.to_json()) == before


@settings(max_examples=50)
@given(counts)
def test_equal_tallies_have_equal_hashes_and_equal_json_which_reads_back(listed):
    tally, same = Tally(listed), Tally(reversed(listed))
    assert tally == same
    assert hash(tally) == hash(same)
    assert tally.to_json() == same.to_json()
    assert Tally.from_json(tally.to_json()) == tally


def test_no_label_and_a_label_called_none_are_two_kinds_in_one_order():
    none, called = GOOD._replace(label=None), GOOD._replace(label="None")
    assert Tally([(none, 1), (called, 1)]).to_json() == Tally([(called, 1), (none, 1)]).to_json()


def test_nothing_counted_is_zero_in_every_respect():
    none = Tally([(GOOD, 0)])
    assert none == Tally()
    assert hash(none) == hash(Tally())
    assert none.to_json() == Tally().to_json() == "[]"


@settings(max_examples=30)
@given(st.lists(kinds, max_size=12), st.integers(0, 12))
def test_a_table_counts_as_its_rows_do_however_it_is_divided(rows, at):
    assert Tally.of(table(rows)) == Tally(Counter(rows).items())
    assert reduce(add, map(Tally.of, [table(rows[:at]), table(rows[at:])])) == Tally.of(table(rows))


def test_rows_are_counted_by_what_became_of_them():
    tally = Tally([(GOOD, 10), (ANOMALY, 3), (UNKNOWN, 2), (REJECTED, 4), (IGNORED, 5)])
    assert (tally.rows, tally.ok, tally.rejected, tally.ignored) == (24, 15, 4, 5)
    assert (tally.unknown, tally.anomalies) == (2, 5)
    assert tally.by("face") == {"a": 13, "b": 2, None: 9}
    assert tally.by("lot") == {"lot": 19, "other": 5}
    assert tally.count(lambda kind: kind.reason == "truncated") == 4
    assert "24 rows of 5 kinds" in repr(tally)


def test_rejects_are_counted_by_their_reason_alone():
    tally = Tally([(REJECTED, 3), (REJECTED._replace(lot="other"), 2), (IGNORED, 4), (GOOD, 5)])
    assert tally.rejects() == {"truncated": 5}


def test_a_tally_is_not_equal_to_its_counts():
    assert Tally([(GOOD, 1)]) != {GOOD: 1}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "null",
        "5",
        "[5]",
        "[[1,2]]",
        '[["a",null,null,"ok",null,null,"x"]]',
        "[[[],1,1,1,1,1,1]]",
        '"abc"',
        '[["a",null,null,"ok",null,null,Infinity]]',
        "[" * 100000,
        "{",
        '[["a",null,null,"ok",null,null,null]]',
    ],
)
def test_what_is_no_tally_is_refused(text):
    with pytest.raises(ValueError):
        Tally.from_json(text)
