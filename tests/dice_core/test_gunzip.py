import gzip
import io
import zlib

import pytest

from dice_core.gunzip import ExpansionError, Gunzip
from dice_core.member import FREE_EXPANSION


def read_all(packed, max_expansion):
    content, stream = bytearray(), Gunzip(io.BytesIO(packed), max_expansion)
    try:
        while piece := stream.read(1 << 16):
            content += piece
    except ExpansionError:
        return len(content), ExpansionError
    return bytes(content), None


def test_what_it_gives_is_what_gzip_gives_members_after_the_first_too():
    data = bytes(range(256)) * 999
    assert read_all(gzip.compress(data) + gzip.compress(b"more"), 1000) == (data + b"more", None)


def test_it_ends_where_more_comes_than_may():
    zeros = gzip.compress(bytes(8 << 20))
    given, error = read_all(zeros, 100)
    assert error is ExpansionError
    assert given <= FREE_EXPANSION + 100 * len(zeros)
    assert read_all(gzip.compress(bytes(FREE_EXPANSION)), 1) == (bytes(FREE_EXPANSION), None)


def test_damage_is_told_as_gzip_tells_it():
    whole = gzip.compress(b"hello" * 100)
    for packed, error in (
        (whole[:-9], EOFError),
        (whole[:-8] + b"x" + whole[-7:], gzip.BadGzipFile),
        (whole[:10] + b"\xff" * 40, zlib.error),
    ):
        with pytest.raises(error):
            read_all(packed, 100)
