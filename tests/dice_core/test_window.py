"""A window gives what the stream holds, and reads it no oftener than it must."""

import io

from hypothesis import given
from hypothesis import strategies as st

from dice_core.window import Window

DATA = bytes(range(256)) * 8


class Counted(io.BytesIO):
    asked = 0

    def read(self, size):
        self.asked += size
        return super().read(size)


@given(
    st.lists(st.tuples(st.integers(0, len(DATA) + 50), st.integers(0, 300)), max_size=20),
    st.sampled_from([0, 1, 64, 4096]),
)
def test_any_question_in_any_order_is_answered_with_the_bytes_of_the_stream(questions, piece):
    stream = io.BytesIO(DATA)
    window = Window(stream, piece)
    for position, size in questions:
        assert window.at(position, size) == DATA[position : position + size]
        stream.seek(7)  # others move about in it


def test_what_is_asked_for_in_order_is_read_once():
    stream = Counted(DATA)
    window = Window(stream, piece=512)
    assert b"".join(window.at(position, 16) for position in range(0, len(DATA), 16)) == DATA
    assert stream.asked == len(DATA)


def test_after_a_leap_no_more_is_read_than_asked_for():
    stream = Counted(DATA)
    window = Window(stream, piece=64)
    for position in (0, 500, 1000, 1500):
        window.at(position, 8)
    assert stream.asked == 64 + 3 * 8
    window.at(1508, 8)
    assert stream.asked == 64 + 3 * 8 + 64


def test_the_first_question_is_no_leap_where_it_was_foretold():
    stream = Counted(DATA)
    window = Window(stream, piece=64, start=1000)
    window.at(1000, 8)
    window.at(1056, 8)
    assert stream.asked == 64


def test_what_is_larger_than_a_piece_is_not_kept():
    window = Window(io.BytesIO(DATA), piece=64)
    assert window.at(0, 1000) == DATA[:1000]
    assert window.data == b""
