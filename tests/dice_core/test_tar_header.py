"""The headers of plain files are followed as far as they are plain, and not a byte further."""

import io
import tarfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dice_core import tar
from dice_core.tar import walk_tar
from dice_core.tar_header import BLOCK, BrokenError, checksum_holds, parse_number, plain_headers

FAR = 1 << 40


def member(name="a.jpg", payload=b"hello", kind=tarfile.REGTYPE, tar_format=tarfile.USTAR_FORMAT):
    info = tarfile.TarInfo(name)
    info.type, info.size, info.linkname = kind, len(payload), "b" if kind == tarfile.SYMTYPE else ""
    return info.tobuf(tar_format) + payload + bytes(-len(payload) % BLOCK)


def with_field(header, at, field):
    """Replace a field and make the checksum hold again."""
    changed = bytearray(header)
    changed[at : at + len(field)] = field
    changed[148:156] = b" " * 8
    changed[148:156] = b"%06o\0 " % sum(changed[:BLOCK])
    return bytes(changed)


def extended(records, kind=b"x", payload=b"hello"):
    """Put an extension header before a member."""
    header = with_field(member("PaxHeader", records), 156, kind)
    return header + member(payload=payload)


@pytest.mark.parametrize("tar_format", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.text("abc/.", min_size=1, max_size=100), st.binary(max_size=1500))))
def test_every_plain_file_is_told_by_name_and_size(tar_format, listed):
    data, expected = b"x" * 7, []
    for name, payload in listed:
        at = len(data)
        expected.append([at, at, at + len(name), at + BLOCK, len(payload)])
        data += member(name, payload, tar_format=tar_format)
    assert plain_headers(data, 7, len(data)) == expected


@pytest.mark.parametrize(
    "odd",
    [
        member(kind=tarfile.SYMTYPE, payload=b""),
        member(kind=tarfile.DIRTYPE, payload=b""),
        member("f/" * 60 + "a.jpg"),  # a name in two parts
        member("f/" * 60 + "a.jpg", kind=tarfile.SYMTYPE, payload=b"", tar_format=tarfile.PAX_FORMAT),
        extended(b"18 path=new_name.j\n"),  # a byte short
        extended(b"19 path=new_name.jp\n"),  # and one too many
        extended(b"x9 path=new_name.j\n"),
        extended(b"-9 path=new_name.j\n"),
        extended(b"19 path:new_name.j\n"),
        extended(b"8 path=\n"),
        extended(b"9 size=x\n"),
        extended(b"27 size=9999999999999999999\n"),
        extended(b"22 GNU.sparse.major=1\n"),
        extended(b"99 path=a\n"),
        extended(b"", kind=b"g"),
        bytes(2 * BLOCK),
        b"\xff" * BLOCK,
        b"b" + member()[1:],  # its checksum does not hold
        with_field(member(), 124, b"\x80" + bytes(10) + b"\5"),  # base 256
        with_field(member(), 124, b"          5\0"),
        with_field(member(), 124, b"0000000000x\0"),
        with_field(member(), 124, b"000 0000005\0"),
        with_field(member(), 124, bytes(12)),
    ],
)
def test_what_is_not_plain_ends_the_list(odd):
    assert plain_headers(odd, 0, FAR) == []
    before = member("before", bytes(BLOCK))
    assert plain_headers(before + odd + member(), 0, FAR) == [[0, 0, 6, BLOCK, BLOCK]]


@pytest.mark.parametrize("size", [b"00000000005 ", b"000000000005", b"5\0" + bytes(10), b"00005\0junk!!"])
def test_digits_may_end_with_a_blank_a_nul_or_their_field(size):
    header = with_field(member(), 124, size)
    assert checksum_holds(header[:BLOCK])
    assert parse_number(size) == 5
    assert plain_headers(header, 0, FAR) == [[0, 0, 5, BLOCK, 5]]


def test_a_header_that_is_not_whole_is_left_to_others():
    assert plain_headers(member()[: BLOCK - 1], 0, FAR) == []


def test_a_payload_beyond_the_archive_is_left_to_others():
    data = member() + member("b.jpg", bytes(600))
    assert len(plain_headers(data, 0, len(data))) == 2
    assert len(plain_headers(data, 0, 3 * BLOCK + 599)) == 1


def test_a_payload_may_reach_beyond_the_piece():
    data = member("long", bytes(10 * BLOCK))
    assert plain_headers(data[:BLOCK], 0, FAR) == [[0, 0, 4, BLOCK, 10 * BLOCK]]


@pytest.mark.parametrize("field", [b"x", b"-1", b"\x80" + b"\xff" * 11, b"9"])
def test_a_number_that_is_none_breaks_the_archive(field):
    with pytest.raises(BrokenError):
        parse_number(field)


@settings(max_examples=200, deadline=None)
@given(st.integers(0, BLOCK - 1), st.integers(0, 255))
def test_a_plain_header_with_a_changed_byte_is_plain_only_where_its_checksum_holds(at, byte):
    changed = bytearray(member(tar_format=tarfile.GNU_FORMAT)[:BLOCK])
    changed[at] = byte
    found = plain_headers(bytes(changed), 0, FAR)
    if found:
        assert checksum_holds(bytes(changed))
        with tarfile.open(fileobj=io.BytesIO(changed + bytes(4 * BLOCK))) as archive:
            assert [info.size for info in archive] == [found[0][4]]


@pytest.mark.parametrize(
    ("records", "name", "size"),
    [
        (b"", b"a.jpg", 5),
        (b"30 mtime=1700000000.123456789\n", b"a.jpg", 5),
        (b"14 path=b.jpg\n", b"b.jpg", 5),
        (b"14 path=b.jpg\n14 path=c.jpg\n", b"c.jpg", 5),
        (b"10 size=7\n16 path=a=\n.jpg\n", b"a=\n.jpg", 7),
        (b"0000015 path=b\n", b"b", 5),
    ],
)
def test_usual_extension_headers_are_plain(records, name, size):
    data = extended(records, payload=b"hello") + bytes(BLOCK)
    ((start, begin, end, payload, told),) = plain_headers(data, 0, len(data))
    assert (start, data[begin:end], payload, told) == (0, name, len(data) - 2 * BLOCK, size)


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from([tarfile.GNU_FORMAT, tarfile.PAX_FORMAT]),
    st.lists(
        st.tuples(st.text("aü/", min_size=1, max_size=210), st.binary(max_size=600), st.floats(0, 1e9)),
        min_size=1,
        max_size=4,
    ),
    st.lists(st.tuples(st.integers(0, 1 << 20), st.integers(0, 255)), max_size=2),
)
def test_extension_headers_are_read_alike_in_bulk_and_one_by_one(tar_format, listed, flipped):
    data = bytearray()
    for name, payload, changed in listed:
        info = tarfile.TarInfo(name)
        info.size, info.mtime = len(payload), changed
        data += info.tobuf(tar_format) + payload + bytes(-len(payload) % BLOCK)
    data += bytes(2 * BLOCK)
    for at, byte in flipped:
        data[at % len(data)] = byte
        for block in range(0, len(data), BLOCK):  # so that what is flipped is looked at
            if data[block + 257 : block + 262] == b"ustar":
                data[block : block + BLOCK] = with_field(data[block : block + BLOCK], 0, b"")
    stream = io.BytesIO(data)
    bulk = list(walk_tar(stream))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tar._Seeking, "plain", lambda reader: (0, b"", []))
        assert list(walk_tar(stream)) == bulk
