"""A stream over ranges gives what is there, in few requests, and fetches ahead of who reads in order."""

import io
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs import ranges
from jobs.ranges import Ranges

DATA = bytes(range(256)) * 16
BLOCK = 512


@pytest.fixture(autouse=True)
def _small(monkeypatch):
    monkeypatch.setattr(ranges, "BLOCK", BLOCK)


class Fetched(list):
    """Ranges that were asked for."""

    def __call__(self, start, stop):
        self.append((start, stop))
        return DATA[start:stop]


@given(
    st.lists(
        st.tuples(st.sampled_from([0, 1, 2]), st.integers(0, len(DATA) + 50), st.integers(-1, 1500)),
        max_size=20,
    ),
    st.none() | st.integers(0, len(DATA) + 100),
    st.integers(0, len(DATA)),
)
def test_it_reads_as_a_file_does_wherever_one_goes(steps, until, size):
    plain, fetched = io.BytesIO(DATA[:size]), Fetched()
    with Ranges(fetched, size, until) as stream:
        for whence, offset, count in steps:
            by = -min(offset, size) if whence == io.SEEK_END else offset
            assert stream.seek(by, whence) == plain.seek(by, whence)
            assert stream.read(count) == plain.read(count)
            assert stream.tell() == plain.tell()
    assert all(0 <= start < stop <= size for start, stop in fetched)


def test_what_is_read_in_order_is_fetched_once_and_in_blocks():
    fetched = Fetched()
    with Ranges(fetched, len(DATA)) as stream:
        assert b"".join(iter(lambda: stream.read(100), b"")) == DATA
    assert fetched == [(start, start + BLOCK) for start in range(0, len(DATA), BLOCK)]


def test_the_next_block_is_fetched_while_one_is_read():
    fetched, second = [], threading.Event()

    def fetch(start, stop):
        fetched.append(start)
        if start == BLOCK:
            second.set()
        return DATA[start:stop]

    with Ranges(fetch, len(DATA)) as stream:
        stream.read(BLOCK // 2)
        assert fetched == [0]
        stream.read(10)
        assert second.wait(5)
        assert stream.tell() < BLOCK


def test_where_the_end_is_known_nothing_beyond_it_is_fetched_and_the_next_block_at_once():
    fetched = Fetched()
    with Ranges(fetched, len(DATA), until=1300) as stream:
        stream.seek(100)
        stream.read(1)
        stream.read(1100)
        assert fetched == [(100, 100 + BLOCK), (100 + BLOCK, 100 + 2 * BLOCK), (100 + 2 * BLOCK, 1300)]
        assert stream.read(200) == DATA[1201:1401]
        assert fetched[3] == (1300, 1300 + BLOCK)


def test_what_is_smaller_than_a_block_is_fetched_as_a_whole():
    fetched = Fetched()
    with Ranges(fetched, 300) as stream:
        stream.seek(-8, io.SEEK_END)
        stream.read(8)
        stream.seek(10)
        stream.read(100)
    assert fetched == [(0, 300)]


def test_leaps_fetch_a_block_each_and_go_back_to_those_that_are_held():
    fetched = Fetched()
    with Ranges(fetched, len(DATA)) as stream:
        for start in (0, 2000, 50, 2050):
            stream.seek(start)
            stream.read(20)
    assert fetched == [(0, BLOCK), (2000, 2000 + BLOCK)]


def test_a_fetch_that_fails_is_told_where_its_bytes_are_read():
    def fetch(start, stop):
        if start:
            raise OSError("gone")
        return DATA[start:stop]

    with Ranges(fetch, len(DATA)) as stream:
        assert len(stream.read(BLOCK)) == BLOCK
        with pytest.raises(OSError, match="gone"):
            stream.read(1)


def test_no_position_lies_before_the_first():
    with Ranges(Fetched(), 10) as stream, pytest.raises(ValueError, match="before the first"):
        stream.seek(-1)


def test_it_can_be_read_through_a_buffer():
    with Ranges(Fetched(), len(DATA)) as stream, io.BufferedReader(stream, 64) as buffered:
        assert buffered.read() == DATA
