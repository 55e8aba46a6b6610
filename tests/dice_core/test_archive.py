"""The readers agree with tarfile and zipfile, resume at every cut, and survive any damage."""

import gzip
import io
import os
import struct
import tarfile
import tracemalloc
import warnings
import zipfile
from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dice_core.archive import read_member, sniff
from dice_core.decode import decode
from dice_core.gunzip import Gunzip
from dice_core.member import START, Member, folder_of, is_junk
from dice_core.rows import Reason
from dice_core.tar import read_tar, stream_tar, walk_tar
from dice_core.window import PIECE
from dice_core.zip import read_zip, walk_zip

QUICK = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
LIMIT = 1 << 20
BROKEN = Reason.BROKEN_ARCHIVE
TAR_FORMATS = [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT]

parts = st.text(st.characters(codec="utf-8", exclude_characters="/\\\0"), min_size=1, max_size=30).filter(
    lambda part: part not in (".", "..")
)
long_parts = st.builds("{}{}".format, st.sampled_from(["x" * 60, "ü" * 70, "w" * 140]), parts)
names = st.lists(parts | long_parts, min_size=1, max_size=3).map("/".join)
payloads = st.binary(max_size=1500)
kinds = st.sampled_from(["file", "file", "file", "folder", "link", "fifo"])
entries = st.lists(st.tuples(kinds, names, payloads), max_size=8)


def tar_bytes(listed, tar_format=tarfile.GNU_FORMAT):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tar_format) as archive:
        for kind, name, payload in listed:
            info = tarfile.TarInfo(name)
            info.type = {
                "file": tarfile.REGTYPE,
                "folder": tarfile.DIRTYPE,
                "link": tarfile.SYMTYPE,
                "fifo": tarfile.FIFOTYPE,
            }[kind]
            info.linkname = name if kind == "link" else ""
            info.size = len(payload) if kind == "file" else 0
            try:
                archive.addfile(info, io.BytesIO(payload))
            except ValueError:  # a name that this format has no room for
                assert tar_format == tarfile.USTAR_FORMAT
    return buffer.getvalue()


def zip_bytes(listed, method=zipfile.ZIP_STORED, comment=b"", *, zip64=False):
    buffer = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(buffer, "w", method) as archive:
        warnings.simplefilter("ignore", UserWarning)  # of two members with one name
        for kind, name, payload in listed:
            info = zipfile.ZipInfo(name + "/" * (kind == "folder"))
            info.compress_type = method
            with archive.open(info, "w", force_zip64=zip64) as file:
                file.write(payload if kind == "file" else b"")
        archive.comment = comment
    return buffer.getvalue()


def walked(walk, data, start=START, stop=None):
    return list(walk(io.BytesIO(data), start, stop))


READ = {walk_tar: read_tar, walk_zip: read_zip}


def rows(walk, data):
    """Read member by member; in order it must be the same."""
    stream = io.BytesIO(data)
    found = [(member, read_member(stream, member, LIMIT)) for _, member in walk(stream)]
    assert list(READ[walk](io.BytesIO(data), LIMIT)) == found
    return found


def by_tarfile(data):
    expected = []
    with tarfile.open(fileobj=io.BytesIO(data), errors="backslashreplace", encoding="utf-8") as archive:
        for info in archive:
            if info.isdir():
                continue
            content = archive.extractfile(info).read() if info.isreg() else Reason.NOT_A_FILE
            expected.append((info.name, info.offset_data, info.size, content))
    return expected


# Tar against tarfile.


@QUICK
@given(entries, st.sampled_from(TAR_FORMATS))
def test_tar_members_are_those_of_tarfile(listed, tar_format):
    data = tar_bytes(listed, tar_format)
    found = rows(walk_tar, data)
    assert [(m.name, m.offset, m.size, content) for m, content in found] == by_tarfile(data)
    assert [member.index for member, _ in found] == list(range(len(found)))


@QUICK
@given(entries, st.sampled_from(TAR_FORMATS))
def test_streamed_tar_is_the_walked_tar(listed, tar_format):
    data = tar_bytes(listed, tar_format)
    with gzip.open(io.BytesIO(gzip.compress(data, 1))) as content:
        assert list(stream_tar(content, LIMIT)) == rows(walk_tar, data)


@QUICK
@given(entries, st.sampled_from(TAR_FORMATS))
def test_a_tar_resumes_at_every_cut(listed, tar_format):
    data = tar_bytes(listed, tar_format)
    whole = walked(walk_tar, data)
    for at, (cut, _) in enumerate(whole):
        assert walked(walk_tar, data, cut) == whole[at:]
        assert walked(walk_tar, data, cut, at + 1) == whole[at : at + 1]
        ((member, _),) = read_tar(io.BytesIO(data), LIMIT, cut, at + 1)
        assert member == whole[at][1]


@pytest.fixture(scope="module")
def listed_at_length():
    """More than is read at once: of small members, of one that no piece holds, and of one over the limit."""
    rng = np.random.default_rng(0)
    sizes = [*rng.integers(0, 3000, 300), 2 * PIECE, *rng.integers(0, 3000, 200), LIMIT + 1, 700]
    return [("file", f"lot/{number:04d}.jpg", rng.bytes(size)) for number, size in enumerate(sizes)]


def test_a_tar_of_many_pieces_is_that_of_tarfile(listed_at_length):
    data = tar_bytes(listed_at_length)
    found = rows(walk_tar, data)
    expected = [
        (*told, Reason.TOO_LARGE if told[2] > LIMIT else content) for *told, content in by_tarfile(data)
    ]
    assert [(m.name, m.offset, m.size, content) for m, content in found] == expected
    assert list(stream_tar(io.BytesIO(data), LIMIT)) == found


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_zip_of_many_pieces_is_that_of_zipfile(listed_at_length, method):
    found = rows(walk_zip, zip_bytes(listed_at_length, method))
    assert [(member.name, content) for member, content in found] == [
        (name, Reason.TOO_LARGE if len(content) > LIMIT else content) for _, name, content in listed_at_length
    ]


# Tar, header by header.


def padded(payload):
    return payload + bytes(-len(payload) % 512)


def header(name=b"a/b.png", size=b"5", kind=b"0", magic=b"ustar\00000", prefix=b"", *, signed=False):
    block = bytearray(512)
    block[: len(name)] = name
    block[124 : 124 + len(size)] = size
    block[148:156] = b" " * 8
    block[156:157] = kind
    block[257 : 257 + len(magic)] = magic
    block[345 : 345 + len(prefix)] = prefix
    block[148:156] = b"%06o\0 " % sum(struct.unpack("512b" if signed else "512B", block))
    return bytes(block)


def extension(kind, payload):
    return header(b"././@Extension", b"%o" % len(payload), kind) + padded(payload)


HELLO = padded(b"hello")
END = bytes(1024)
TOO_BIG = b"\x80" + (2**88 - 1).to_bytes(11, "big")
NEGATIVE = b"\xff" * 12


@pytest.mark.parametrize(
    "headers",
    [
        header(),
        header(b"b.png", prefix=b"a"),
        header(size=b"\x80" + (5).to_bytes(11, "big")),
        header(size=b"          5 "),
        header(kind=b"\0", magic=b""),
        header(kind=b"7"),
        header(magic=b"ustar  \0", prefix=b"14241234123"),  # a time where ustar has a prefix
        extension(b"L", b"a/b.png\0") + header(b"cut of"),
        extension(b"K", b"target\0") + header(),
        extension(b"g", b"14 path=other\n") + header(),
        extension(b"x", b"16 path=a/b.png\n9 size=5\n") + header(b"", b"7777"),
        extension(b"X", b"16 path=a/b.png\n") + header(b""),
    ],
)
def test_every_dialect_of_a_tar_header(headers):
    data = headers + HELLO + END
    ((member, content),) = rows(walk_tar, data)
    assert (member.name, member.size, member.reason, content) == ("a/b.png", 5, None, b"hello")
    assert list(stream_tar(io.BytesIO(data), LIMIT)) == [(member, content)]


def test_signed_checksums_hold_and_wrong_ones_do_not():
    old = header("ümlaut".encode(), signed=True)
    assert old != header("ümlaut".encode())
    assert rows(walk_tar, old + HELLO + END)[0][1] == b"hello"
    wrong = old[:20] + b"x" + old[21:]
    assert [member.reason for member, _ in rows(walk_tar, wrong + HELLO + END)] == [BROKEN]


def test_names_that_are_no_utf8_become_utf8():
    names = [b"caf\xe9.png", b"\xed\xa0\x80", b"a\nb\x07"]
    data = b"".join(header(name) + HELLO for name in names) + END
    found = [member.name for member, _ in rows(walk_tar, data)]
    assert found == ["caf\\xe9.png", "\\xed\\xa0\\x80", "a\nb\x07"]


@pytest.mark.parametrize(
    "special",
    [
        header(kind=b"1", size=b"7777"),  # a hard link has no payload, whatever it claims
        header(kind=b"3"),
        header(kind=b"V") + HELLO,
        header(kind=b"S") + HELLO,
        extension(b"x", b"22 GNU.sparse.major=1\n") + header() + HELLO,
    ],
)
def test_what_is_not_a_file_is_a_row_and_passed_over(special):
    data = special + header(b"next") + HELLO + END
    (odd, reason), (after, content) = rows(walk_tar, data)
    assert (odd.reason, reason) == (Reason.NOT_A_FILE, Reason.NOT_A_FILE)
    assert (after.name, after.index, content) == ("next", 1, b"hello")
    assert [row[0] for row in stream_tar(io.BytesIO(data), LIMIT)] == [odd, after]


def test_the_map_of_an_old_sparse_member_is_passed_over():
    block = bytearray(header(kind=b"S"))
    block[482] = 1
    block[148:156] = b"%06o\0 " % (sum(block) - sum(block[148:156]) + 256)
    maps = bytes(504) + b"\1" + bytes(7) + bytes(512)
    data = bytes(block) + maps + HELLO + header(b"next") + HELLO + END
    assert [member.name for member, _ in rows(walk_tar, data)] == ["a/b.png", "next"]


@pytest.mark.parametrize(
    "broken",
    [
        header(size=TOO_BIG),
        header(size=NEGATIVE),
        header(size=b"-5"),
        header(size=b"5x"),
        header()[:300],
        bytes(512) + header(b"behind a hole") + HELLO,
        header(kind=b"L", size=b"4000001") + bytes(1 << 21),
        header(kind=b"L", size=b"1000"),
        extension(b"x", b"16 path=a/b.png\n"),
        extension(b"x", b"16 path=a/b.pngX") + header() + HELLO,
        extension(b"x", b"0 path=a\n") + header() + HELLO,
        extension(b"x", b"-9 path=a\n") + header() + HELLO,
        extension(b"x", b"99 path=a\n") + header() + HELLO,
        extension(b"x", b"9" * 5000 + b" path=a\n") + header() + HELLO,
        extension(b"x", b"10 size=-5\n") + header() + HELLO,
        header(kind=b"S", size=b"0")[:482] + b"\1" + bytes(29),
    ],
)
def test_a_broken_tar_ends_with_one_row_that_says_so(broken):
    data = header(b"first") + HELLO + broken
    (first, content), (last, reason) = rows(walk_tar, data)
    assert (first.name, content) == ("first", b"hello")
    assert last == Member(1, "", 1024, 0, BROKEN)
    assert reason is BROKEN
    assert list(stream_tar(io.BytesIO(data), LIMIT)) == [(first, content), (last, reason)]


@pytest.mark.parametrize("size", [b"2000", b"777777777777", b"\x80" + (2**63 - 1).to_bytes(11, "big")])
def test_the_member_whose_payload_is_cut_short_is_the_broken_one(size):
    data = header(b"first") + HELLO + header(b"cut", size) + HELLO
    found = rows(walk_tar, data)
    assert [(member.name, content) for member, content in found] == [("first", b"hello"), ("cut", BROKEN)]
    assert list(stream_tar(io.BytesIO(data), LIMIT)) == found


@pytest.mark.parametrize("end", [bytes(100), bytes(512), END, bytes(10240), END + b"anything"])
def test_every_clean_end(end):
    assert len(rows(walk_tar, header() + HELLO + end)) == 1
    assert rows(walk_tar, end) == []


def test_a_tar_that_nothing_ends_was_cut_there():
    for data in (header() + HELLO, (header() + HELLO)[:-100]):
        first, last = rows(walk_tar, data)
        assert first[1] == b"hello"
        assert last == (Member(1, "", len(data), 0, BROKEN), BROKEN)
        assert list(stream_tar(io.BytesIO(data), LIMIT)) == [first, last]


def test_a_name_longer_than_a_zip_could_hold_is_no_name():
    longest = b"n" * 65535
    ((member, _),) = rows(walk_tar, extension(b"L", longest) + header() + HELLO + END)
    assert member.name == longest.decode()
    ((member, content),) = rows(walk_tar, extension(b"L", longest + b"n") + header() + HELLO + END)
    assert (member.name, content) == ("", BROKEN)


# Tar, streamed.


class Trickle(io.RawIOBase):
    """Returns less than asked, as raw streams may."""

    def __init__(self, data):
        self.stream = io.BytesIO(data)

    def seekable(self):
        return True

    def seek(self, *to):
        return self.stream.seek(*to)

    def read(self, size=-1):
        return self.stream.read(min(size, 7))


@pytest.mark.parametrize(("walk", "pack"), [(walk_tar, tar_bytes), (walk_zip, zip_bytes)])
def test_a_stream_that_returns_less_than_asked_is_read_on(walk, pack):
    data = pack([("file", "a", b"x" * 900), ("file", "b", b"y" * 30)])
    assert [read_member(Trickle(data), member, LIMIT) for _, member in walk(Trickle(data))] == [
        b"x" * 900,
        b"y" * 30,
    ]
    if walk is walk_tar:
        assert list(stream_tar(Trickle(data), LIMIT)) == rows(walk_tar, data)


def test_payloads_over_the_limit_are_passed_over_in_both_ways():
    data = tar_bytes([("file", "big", bytes(300_000)), ("file", "small", b"1")])
    streamed = list(stream_tar(io.BytesIO(data), 1000))
    assert [(member.name, content) for member, content in streamed] == [
        ("big", Reason.TOO_LARGE),
        ("small", b"1"),
    ]
    stream = io.BytesIO(data)
    assert [(m, read_member(stream, m, 1000)) for _, m in walk_tar(stream)] == streamed


@pytest.mark.parametrize("level", [0, 9])
def test_a_gzip_cut_anywhere_ends_with_one_broken_row(level):
    data = tar_bytes([("file", f"{i}", bytes([i]) * 700) for i in range(4)])
    whole = rows(walk_tar, data)
    packed = gzip.compress(data, level)
    for length in range(12, len(packed), 97 if level == 0 else 1):
        with gzip.open(io.BytesIO(packed[:length])) as content:
            *before, (last, reason) = stream_tar(content, LIMIT)
        assert before == whole[: len(before)]
        assert (last.reason, reason, last.index) == (BROKEN, BROKEN, len(before))


def test_a_gzip_that_expands_too_far_ends_there():
    data = tar_bytes([("file", "small", b"1"), ("file", "zeros", bytes(4 << 20)), ("file", "after", b"2")])
    packed = io.BytesIO(gzip.compress(data))
    first, last = stream_tar(Gunzip(packed, 200), 8 << 20)
    assert first[1] == b"1"
    assert (last[0].name, last[0].index, last[1]) == ("zeros", 1, Reason.TOO_LARGE)
    packed.seek(0)
    assert len(list(stream_tar(Gunzip(packed, 2000), 8 << 20))) == 3


def test_zeros_without_end_behind_a_tar_are_not_read_to_it():
    data = tar_bytes([("file", "small", b"1")])
    packed = io.BytesIO(gzip.compress(data + bytes(8 << 20)))
    *_, (last, reason) = stream_tar(Gunzip(packed, 200), LIMIT)
    assert (last.index, last.name, reason) == (1, "", Reason.TOO_LARGE)


def test_a_wrong_gzip_checksum_is_noticed_behind_the_last_member():
    data = tar_bytes([("file", "a", b"hello")])
    packed = bytearray(gzip.compress(data))
    packed[-8] ^= 1
    with gzip.open(io.BytesIO(packed)) as content:
        first, last = stream_tar(content, LIMIT)
    assert first[1] == b"hello"
    assert last == (Member(1, "", 1024, 0, BROKEN), BROKEN)


def test_an_error_of_the_storage_is_not_the_archives_fault():
    class Lost(io.BytesIO):
        def read(self, *_size):
            raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        list(stream_tar(Lost(), LIMIT))


# Zip.


@QUICK
@given(
    entries,
    st.sampled_from([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED]),
    st.binary(max_size=60) | st.just(bytes(65535)),
    st.booleans(),
    st.sampled_from([b"", b"#!/bin/program\n" * 9]),
)
def test_zip_members_are_those_of_zipfile(listed, method, comment, zip64, program):
    data = program + zip_bytes(listed, method, comment, zip64=zip64)
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        infos = [info for info in archive.infolist() if not info.is_dir()]
        expected = [(info.filename, info.header_offset, info.file_size, archive.read(info)) for info in infos]
    found = rows(walk_zip, data)
    assert [(m.name, m.offset, m.size, content) for m, content in found] == expected
    whole = walked(walk_zip, data)
    for at, (cut, member) in enumerate(whole):
        assert member.index == at
        assert walked(walk_zip, data, cut) == whole[at:]
        assert walked(walk_zip, data, cut, at + 1) == whole[at : at + 1]
        ((alone, _),) = read_zip(io.BytesIO(data), LIMIT, cut, at + 1)
        assert alone == whole[at][1]


def test_a_comment_that_looks_like_an_end_record():
    """Where zipfile finds an empty archive, as the signature comes last."""
    data = zip_bytes([("file", "a", b"hello")], comment=b"PK\5\6" + bytes(40))
    assert [content for _, content in rows(walk_zip, data)] == [b"hello"]
    plain = zip_bytes([("file", "a", b"hello")])
    assert [content for _, content in rows(walk_zip, plain + b"appended")] == [b"hello"]


SMALL_ZIP = zip_bytes([("file", "a.png", b"hello" * 50), ("file", "b.png", b"")], zipfile.ZIP_DEFLATED)
RECORD = SMALL_ZIP.index(b"PK\1\2")
SECOND = SMALL_ZIP.index(b"PK\1\2", RECORD + 1)
END_RECORD = SMALL_ZIP.index(b"PK\5\6")


def patched(at, value):
    return SMALL_ZIP[:at] + value + SMALL_ZIP[at + len(value) :]


@pytest.mark.parametrize(
    ("at", "value", "reason"),
    [
        (RECORD + 8, b"\1\0", Reason.ENCRYPTED),
        (RECORD + 10, b"\x0c\0", Reason.UNSUPPORTED),
        (RECORD + 10, b"\0\0", Reason.CORRUPT),  # stored, and yet of two sizes
        (RECORD + 16, b"\0\0\0\0", Reason.CORRUPT),  # the CRC
        (RECORD + 20, b"\1\0\0\0", Reason.CORRUPT),  # ends within its deflate data
        (RECORD + 20, b"\xff\xff\xff\0", Reason.CORRUPT),  # reaches into the directory
        (RECORD + 20, b"\xff\xff\xff\xff", Reason.CORRUPT),  # zip64 without its field
        (RECORD + 24, b"\1\0\0\0", Reason.CORRUPT),
        (RECORD + 24, b"\0\0\0\x7f", Reason.TOO_LARGE),
        (RECORD + 38, struct.pack("<I", 0o120777 << 16), Reason.NOT_A_FILE),
        (RECORD + 42, b"\1\0\0\0", Reason.CORRUPT),
        (0, b"xx", Reason.CORRUPT),
        (38, b"\xff", Reason.CORRUPT),
    ],
)
def test_a_zip_member_that_cannot_be_read_says_why_and_the_next_is_read(at, value, reason):
    (first, content), (second, empty) = rows(walk_zip, patched(at, value))
    assert (first.name, content) == ("a.png", reason)
    assert (second.name, empty) == ("b.png", b"")


@pytest.mark.parametrize(
    ("data", "before"),
    [
        (b"", 0),
        (b"PK\3\4 and nothing else", 0),
        (SMALL_ZIP[:-22], 0),
        (patched(RECORD, b"XX"), 0),
        (patched(SECOND, b"XX"), 1),
        (patched(SECOND + 28, b"\xff\xff"), 1),  # a name longer than the directory
        (patched(END_RECORD + 4, b"\1\0"), 0),  # the second disk of some
        (patched(END_RECORD + 12, b"\xff\xff\xff\0"), 0),
        (patched(END_RECORD + 16, b"\xff\xff\xff\0"), 0),
    ],
)
def test_a_broken_zip_ends_with_one_row_that_says_so(data, before):
    found = rows(walk_zip, data)
    assert [content is BROKEN for _, content in found] == [False] * before + [True]
    assert found[-1][0].index == before


def test_zip64_fields_of_the_end_record():
    """Written by hand: zipfile widens the end record only past 65,535 members or 4 GiB."""
    directory = SMALL_ZIP[RECORD:END_RECORD]
    for shift in (0, 100):
        wide = struct.pack("<4sQ2H2I4Q", b"PK\6\6", 44, 45, 45, 0, 0, 2, 2, len(directory), RECORD)
        locator = struct.pack("<4sIQI", b"PK\6\7", 0, END_RECORD, 1)
        narrow = struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, 0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0)
        data = bytes(shift) + SMALL_ZIP[:END_RECORD] + wide + locator + narrow
        assert [content for _, content in rows(walk_zip, data)] == [b"hello" * 50, b""]


def test_a_zip_bomb_is_never_inflated_past_the_limit():
    data = zip_bytes([("file", "bomb", bytes(8 << 20))], zipfile.ZIP_DEFLATED)
    stream = io.BytesIO(data)
    ((_, honest),) = walk_zip(stream)
    assert read_member(stream, honest, 1000) is Reason.TOO_LARGE
    record = data.index(b"PK\1\2")
    lying = data[: record + 24] + struct.pack("<I", 10) + data[record + 28 :]
    stream = io.BytesIO(lying)
    ((_, liar),) = walk_zip(stream)
    assert liar.size == 10
    tracemalloc.start()
    assert read_member(stream, liar, 1000) is Reason.CORRUPT
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1 << 18


def test_a_member_that_expands_too_far_is_too_large_unless_it_is_small():
    data = zip_bytes(
        [("file", name, bytes(size)) for name, size in (("1", 1 << 20), ("2", (1 << 20) + 1))], 8
    )
    told = [content for _, content in read_zip(io.BytesIO(data), 2 * LIMIT, max_expansion=200)]
    assert [isinstance(content, bytes) for content in told] == [True, False]
    assert told[1] is Reason.TOO_LARGE
    assert all(isinstance(content, bytes) for _, content in read_zip(io.BytesIO(data), 2 * LIMIT))


def test_names_of_a_zip():
    data = zip_bytes([("file", "grün.png", b""), ("file", "plain.png", b""), ("file", "win\\", b"")])
    assert [member.name for member, _ in rows(walk_zip, data)] == ["grün.png", "plain.png"]
    old = zip_bytes([("file", "gr_n.png", b"")]).replace(b"gr_n", b"gr\x81n")
    assert [member.name for member, _ in rows(walk_zip, old)] == ["grün.png"]


# Damage.


SAMPLE = [
    ("file", "a.png", b"hello" * 60),
    ("folder", "f", b""),
    ("file", "f/" + "long" * 40, b"\0" * 700),
    ("link", "l", b""),
    ("file", "ü.png", b""),
    ("file", "end.png", bytes(range(256))),
]


@pytest.mark.parametrize("tar_format", TAR_FORMATS)
def test_a_tar_cut_at_any_byte_keeps_the_rows_before(tar_format):
    data = tar_bytes(SAMPLE, tar_format).rstrip(b"\0") + b"\0"
    whole = rows(walk_tar, data)
    assert len(whole) >= 4
    for length in range(0, len(data), 3):
        found = rows(walk_tar, data[:length])
        kept = [row for row in found if row[1] is not BROKEN]
        assert kept == whole[: len(kept)]
        assert len(found) - len(kept) <= 1
        assert found == list(stream_tar(io.BytesIO(data[:length]), LIMIT))
        assert len(found) > len(kept) or length > whole[-1][0].offset + 512 or length == 0
        complete = [m for m, _ in whole if m.offset + m.size <= length]
        assert len(kept) == len(complete)


def test_a_zip_cut_at_any_byte_is_one_broken_row():
    data = zip_bytes(SAMPLE, zipfile.ZIP_DEFLATED)
    assert len(rows(walk_zip, data)) == 5
    for length in range(len(data)):
        found = rows(walk_zip, data[:length])
        assert [content for _, content in found] == [BROKEN]


TARS = [tar_bytes(SAMPLE, tar_format) for tar_format in TAR_FORMATS]
ZIPS = [zip_bytes(SAMPLE, method, zip64=True) for method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)]
flips = st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(1, 255)), min_size=1, max_size=6)


@settings(QUICK, max_examples=300)
@given(st.sampled_from([(walk_tar, data) for data in TARS] + [(walk_zip, data) for data in ZIPS]), flips)
def test_flipped_bytes_never_raise_nor_hang(case, flipped):
    walk, data = case
    damaged = bytearray(data)
    for where, mask in flipped:
        damaged[int(where * len(damaged))] ^= mask
    found = rows(walk, bytes(damaged))
    assert len(found) < 40
    assert [member.index for member, _ in found] == list(range(len(found)))
    assert all(content is not BROKEN for _, content in found[:-1])
    for member, content in found:
        member.name.encode("utf-8")
        assert 0 <= member.offset < 2**63
        assert 0 <= member.size < 2**63
        assert isinstance(content, Reason) or len(content) == member.size
    if walk is walk_tar:
        assert list(stream_tar(io.BytesIO(damaged), LIMIT)) == found


# Names and formats.


@pytest.mark.parametrize(
    ("head", "kind"),
    [
        (tar_bytes([("file", "a", b"1")]), "tar"),
        (header(kind=b"\0", magic=b"") + HELLO, "tar"),
        (bytes(512), "tar"),
        (header()[:511], None),
        (gzip.compress(b"", mtime=0), "gzip"),
        (zip_bytes([("file", "a", b"1")]), "zip"),
        (zip_bytes([]), "zip"),
        (b"", None),
        (bytes(100), None),
        (b"BZh9" + bytes(600), None),
        (b"\xff\xd8\xff\xe0" + bytes(600), None),
    ],
)
def test_sniff(head, kind):
    assert sniff(head[:512]) == kind


@pytest.mark.parametrize(
    ("name", "junk"),
    [
        ("a/.DS_Store", True),
        (".DS_Store", True),
        ("__MACOSX/a/._b.png", True),
        ("__MACOSX/b.png", True),
        ("x\\._b.png", True),
        ("x/THUMBS.DB", True),
        ("Desktop.ini", True),
        ("a/b.png", False),
        ("__MACOSX.png", False),
        ("a/.hidden.png", False),
        ("thumbs.db/a.png", False),
        ("", False),
    ],
)
def test_junk(name, junk):
    assert is_junk(name) is junk


@pytest.mark.parametrize(
    ("name", "folder"),
    [
        ("a/b/c.png", "b"),
        ("c.png", ""),
        ("./c.png", ""),
        ("./a/./c.png", "a"),
        ("a\\b\\c.png", "b"),
        ("/c.png", ""),
        ("a//c.png", "a"),
        ("", ""),
    ],
)
def test_folder_of(name, folder):
    assert folder_of(name) == folder


def test_the_photographs():
    folder = os.environ.get("DICE_PHOTOGRAPHS")
    if not folder:
        pytest.skip(
            "DICE_PHOTOGRAPHS does not name the folder of dice_known.tar: the real photographs were not read"
        )
    with (Path(folder) / "dice_known.tar").open("rb") as stream:
        members = [member for _, member in walk_tar(stream)]
        contents = [read_member(stream, member, LIMIT) for member in members]
        stream.seek(0)
        with tarfile.open(fileobj=stream) as archive:
            infos = [info for info in archive if not info.isdir()]
            assert [(m.name, m.offset, m.size) for m in members] == [
                (i.name, i.offset_data, i.size) for i in infos
            ]
            for at in range(0, len(infos), 50):
                assert contents[at] == archive.extractfile(infos[at]).read()
    compared = 0
    for at, (member, content) in enumerate(zip(members, contents, strict=True)):
        if is_junk(member.name):
            continue
        image = decode(content, 1 << 20)
        assert image.shape == (128, 128)
        if at % 50 == 0:
            np.testing.assert_array_equal(image, iio.imread(content))
            compared += 1
    assert compared > 50
