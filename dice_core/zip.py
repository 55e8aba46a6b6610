"""The members of a zip, found by walking its central directory.

Sources: PKWARE APPNOTE 6.3.10 (zip, zip64), RFC 1951 (deflate).
"""

import io
import math
import stat
import struct
import zlib
from collections.abc import Iterator
from typing import Any, BinaryIO

from dice_core.member import START, Cut, Member, expands_too_far, read_up_to
from dice_core.rows import Reason
from dice_core.window import Window

_CHUNK = 1 << 16
_MAX_INT64 = (1 << 63) - 1

_CENTRAL_RECORD = struct.Struct("<4s6H3I5H2I")
_LOCAL_HEADER = struct.Struct("<4s22x2H")
_END_RECORD = struct.Struct("<4s4H2IH")
_END_RECORD_64 = struct.Struct("<4s12x2I16x2Q")
_LOCATOR_64 = struct.Struct("<4sIQI")
_STORED, _DEFLATED = 0, 8
_UNIX = 3
_ABSENT = 0xFFFFFFFF
_LIKELY_EXTRA = 32  # of Info-ZIP, which keeps times and owners there, 28


def walk_zip(stream: BinaryIO, start: Cut = START, stop: int | None = None) -> Iterator[tuple[Cut, Member]]:
    """Walk the central directory of a zip, reading nothing else but its end record.

    Parameters
    ----------
    stream
        Seekable; may be moved between two steps of the walk, such as by `read_member`.
    start
        A cut that an earlier walk gave.
    stop
        The member index to stop before; None for the end of the archive.

    Yields
    ------
    tuple of Cut and Member
        In the order of the central directory. A member whose record contradicts itself is CORRUPT. Where
        the directory is broken, absent, or spread over several disks, a last member without a name is
        BROKEN_ARCHIVE.
    """
    directory = _central_directory(stream)
    index, position, end = start.index, start.offset, -1
    if directory is not None:
        begin, end, shift = directory
        position = max(position, begin)
        window = Window(stream)
        while position < end and (stop is None or index < stop):
            record = window.at(position, _CENTRAL_RECORD.size)
            if len(record) < _CENTRAL_RECORD.size or record[:4] != b"PK\x01\x02":
                break
            fields = _CENTRAL_RECORD.unpack(record)
            after = position + len(record) + sum(fields[10:13])
            if after > end:
                break
            rest = window.at(position + len(record), after - position - len(record))
            member = _zip_member(index, fields, rest, begin, shift)
            # Some Windows programs end the names of folders with their own separator.
            if not member.name.endswith("/") and (member.size or not member.name.endswith("\\")):
                yield Cut(index, position), member
                index += 1
            position = after
    if position != end and (stop is None or index < stop):
        yield Cut(index, position), Member(index, "", position, 0, Reason.BROKEN_ARCHIVE)


def _central_directory(stream: BinaryIO) -> tuple[int, int, int] | None:
    """Find where the central directory begins and ends, and what to add to the offsets it tells."""
    size = stream.seek(0, io.SEEK_END)
    # Room for the longest comment after the end record, and for the zip64 locator before it.
    start = stream.seek(max(0, size - 0xFFFF - _END_RECORD.size - _LOCATOR_64.size))
    tail = read_up_to(stream, size - start)
    at = last = tail.rfind(b"PK\x05\x06", 0, max(0, len(tail) - _END_RECORD.size + 4))
    # A comment may hold the signature, but then the lengths do not add up.
    while at >= 0 and at + _END_RECORD.size + int.from_bytes(tail[at + 20 : at + 22], "little") != len(tail):
        at = tail.rfind(b"PK\x05\x06", 0, at)
    at = at if at >= 0 else last
    if at < 0:
        return None
    _, disk, first_disk, _, _, length, offset, _ = _END_RECORD.unpack_from(tail, at)
    end = start + at
    locator = tail[at - _LOCATOR_64.size : at] if at >= _LOCATOR_64.size else b""
    if locator.startswith(b"PK\x06\x07"):
        _, _, claimed_at, disks = _LOCATOR_64.unpack(locator)
        for position in (end - _LOCATOR_64.size - _END_RECORD_64.size, claimed_at):
            if 0 <= position <= size - _END_RECORD_64.size:
                stream.seek(position)
                record = read_up_to(stream, _END_RECORD_64.size)
                if record.startswith(b"PK\x06\x06"):
                    break
        else:
            return None
        _, disk, first_disk, length, offset = _END_RECORD_64.unpack(record)
        end, disk = position, disk or disks > 1
    begin = end - length
    return None if disk or first_disk or begin < offset else (begin, end, begin - offset)


def _zip_member(index: int, fields: tuple[Any, ...], rest: bytes, begin: int, shift: int) -> Member:
    _, made_by, _, flags, method, _, _, crc, packed, size, name_size, extra_size, _, _, _, mode, offset = (
        fields
    )
    stored = rest[:name_size]
    # ASCII is the same in both, and several times as fast in the one.
    encoding = "utf-8" if flags & 0x800 or stored.isascii() else "cp437"
    name = stored.decode(encoding, "backslashreplace")
    reason = None
    if _ABSENT in (size, packed, offset):
        extra = rest[name_size : name_size + extra_size]
        size, packed, offset = _widened(extra, size, packed, offset)
    offset += shift
    if made_by >> 8 == _UNIX and mode >> 16 & 0o170000 not in (0, stat.S_IFREG):
        reason = Reason.NOT_A_FILE
    elif flags & 0x2041:
        reason = Reason.ENCRYPTED
    elif method not in (_STORED, _DEFLATED) or flags & 0x20:
        reason = Reason.UNSUPPORTED
    elif method == _STORED and packed != size:
        reason = Reason.CORRUPT
    if offset + _LOCAL_HEADER.size + packed > begin or size > _MAX_INT64:
        size, packed, offset, reason = min(size, _MAX_INT64), 0, min(offset, begin), Reason.CORRUPT
    return Member(index, name, offset, size, reason, packed, method, crc)


def _widened(extra: bytes, *fields: int) -> tuple[int, ...]:
    """Replace the 32-bit fields that say so by their values in the zip64 extra field."""
    at = 0
    while at + 4 <= len(extra):
        kind, length = struct.unpack_from("<2H", extra, at)
        at += 4
        if kind == 1:
            wide = struct.iter_unpack("<Q", extra[at : at + length // 8 * 8])
            return tuple(next(wide, (field,))[0] if field == _ABSENT else field for field in fields)
        at += length
    return fields


def read_zip(
    stream: BinaryIO,
    max_bytes: int,
    start: Cut = START,
    stop: int | None = None,
    *,
    max_expansion: float = math.inf,
) -> Iterator[tuple[Member, bytes | Reason]]:
    """Read the members of a zip in order, those that follow each other from the same larger pieces.

    Parameters
    ----------
    stream, start, stop
        As `walk_zip` takes them.
    max_bytes
        Larger payloads are passed over and are TOO_LARGE.
    max_expansion
        And so are those of more than so many bytes for each compressed one.

    Yields
    ------
    tuple of Member and (bytes or Reason)
        The rows of `walk_zip` and what `read_member` gives for them.
    """
    window = Window(stream)
    for _, member in walk_zip(stream, start, stop):
        if member.reason is not None:
            yield member, member.reason
        elif member.size > max_bytes or expands_too_far(member.size, member.compressed_size, max_expansion):
            yield member, Reason.TOO_LARGE
        else:
            yield member, _read_zipped(window, member)


def read_zipped(stream: BinaryIO, member: Member) -> bytes | Reason:
    """Read the bytes of a member that `walk_zip` found, as `dice_core.archive.read_member` does."""
    # One piece that most likely holds all: name and extra field need not be as long as the directory says.
    likely = _LOCAL_HEADER.size + len(member.name) + _LIKELY_EXTRA + min(member.compressed_size, _CHUNK)
    return _read_zipped(Window(stream, likely, member.offset), member)


def _read_zipped(window: Window, member: Member) -> bytes | Reason:
    header = window.at(member.offset, _LOCAL_HEADER.size)
    if len(header) < _LOCAL_HEADER.size:
        return Reason.TRUNCATED
    signature, name_size, extra_size = _LOCAL_HEADER.unpack(header)
    if signature != b"PK\x03\x04":
        return Reason.CORRUPT
    position = member.offset + _LOCAL_HEADER.size + name_size + extra_size
    if member.method == _DEFLATED:
        content: bytes | Reason = _inflate(window, position, member.compressed_size, member.size)
    else:
        content = window.at(position, member.size)
        content = content if len(content) == member.size else Reason.TRUNCATED
    if isinstance(content, Reason):
        return content
    return content if len(content) == member.size and zlib.crc32(content) == member.crc else Reason.CORRUPT


def _inflate(window: Window, position: int, unread: int, size: int) -> bytes | Reason:
    """Inflate one byte more than a member claims to have at most: that one shows that it lies."""
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    content = bytearray()
    while not inflater.eof and len(content) <= size:
        chunk = window.at(position, min(unread, _CHUNK))
        if not chunk:
            return Reason.TRUNCATED if unread else Reason.CORRUPT
        position += len(chunk)
        unread -= len(chunk)
        try:
            content += inflater.decompress(chunk, size + 1 - len(content))
        except zlib.error:
            return Reason.CORRUPT
    return bytes(content)
