import pytest

from dice_core.member import Cut
from jobs import plan, planlist
from jobs.errors import Refusal
from jobs.plan import ArchiveRecord, Kind


def record(archive="/a.tar", identity="1-1", members=10, firsts=(0, 4, 8)):
    return ArchiveRecord(archive, Kind.TAR, identity, members, tuple(Cut(first, 0) for first in firsts))


@pytest.fixture
def out(tmp_path):
    return str(tmp_path)


def add(out, *records):
    """Tell whether the plan changed."""
    lines = planlist.merged(out, records)
    if lines is not None:
        planlist.write(out, lines)
    return lines is not None


def archives(out):
    return [(source.archive, source.identity) for source in planlist.read(out)]


def test_the_plan_names_the_parts_of_every_shard(out):
    records = [
        record(),
        record("/b.zip", members=0, firsts=()),
        record("/c.tar.gz", members=None, firsts=(0,)),
    ]
    add(out, *records)
    named = [part for source in planlist.read(out) for part in source.parts]
    assert named == [shard.part for shard in plan.shards(records)]


def test_a_shards_rows_are_told_where_they_are_known(out):
    add(out, record(), record("/c.tar.gz", members=None, firsts=(0,)))
    whole, stream = planlist.read(out)
    assert [whole.rows(shard) for shard in range(3)] == [4, 4, 2]
    assert stream.rows(0) is None


def test_without_a_file_there_is_no_plan(out):
    assert list(planlist.read(out)) == []


def test_an_empty_plan_is_a_plan(out):
    assert add(out)
    assert list(planlist.read(out)) == []
    assert not add(out)


def test_sources_are_added_and_none_is_forgotten(out):
    assert add(out, record("/b.tar"))
    assert add(out, record("/c.tar"), record("/a.tar"))
    assert archives(out) == [("/a.tar", "1-1"), ("/b.tar", "1-1"), ("/c.tar", "1-1")]
    assert not add(out, record("/b.tar"))
    assert not add(out, record("/c.tar"), record("/a.tar"))


def test_a_source_that_is_another_now_takes_its_own_place(out):
    add(out, record("/a.tar"), record("/b.tar"))
    assert add(out, record("/a.tar", "2-2", 3, (0,)))
    assert archives(out) == [("/a.tar", "2-2"), ("/b.tar", "1-1")]
    assert [source.members for source in planlist.read(out)] == [3, 10]


def test_a_name_that_is_not_utf8_is_printed_and_told_apart_by_its_parts(out):
    odd = record("/\udcff.tar")
    add(out, odd)
    (source,) = planlist.read(out)
    assert source.archive == r"/\xff.tar"
    assert list(source.parts) == [shard.part for shard in plan.shards([odd])]


TWINS = ("/night/3652599.tar", "/night/8985076.tar")
"""Two names that have the same hash of 48 bits."""


def test_two_sources_are_two_where_a_short_hash_of_their_names_is_one(out):
    add(out, record(TWINS[0]))
    add(out, record(TWINS[1]))
    assert archives(out) == [(name, "1-1") for name in TWINS]
    named = [part for source in planlist.read(out) for part in source.parts]
    assert len(set(named)) == 6
    assert list(planlist.live(out, named)) == named


@pytest.mark.parametrize("starts", [1, 2])
def test_two_sources_whose_parts_would_have_the_same_names_are_refused(out, starts, monkeypatch):
    monkeypatch.setattr(plan, "_DIGEST_BYTES", 6)
    one, other = map(record, TWINS)
    if starts == 2:
        add(out, one)
    with pytest.raises(Refusal, match=f"{TWINS[1]}: its parts would have the names of those of {TWINS[0]}"):
        add(out, *(one, other)[starts - 1 :])
    assert archives(out) == [(TWINS[0], "1-1")][: starts - 1]
    assert add(out, record(TWINS[0], "2-2"))


@pytest.mark.parametrize("starts", [1, 2])
def test_two_sources_whose_names_are_printed_alike_are_refused(out, starts):
    one, other = record("/\udcff.tar"), record(r"/\xff.tar")
    if starts == 2:
        add(out, one)
    with pytest.raises(Refusal, match=r"/\\xff\.tar: so the names of two sources are printed"):
        add(out, *(one, other)[starts - 1 :])
    assert len(archives(out)) == starts - 1


def test_a_damaged_plan_is_told_and_written_anew(out, tmp_path):
    (tmp_path / planlist.PLAN).write_bytes(b"nonsense")
    with pytest.raises(ValueError, match="not a plan"):
        list(planlist.read(out))
    assert add(out, record())
    assert archives(out) == [("/a.tar", "1-1")]
