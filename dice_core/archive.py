"""The members of tar and zip archives, found by walking their headers and read in place.

Sources: POSIX.1-2017 pax (ustar and extended headers), the GNU tar manual (long names, base-256 numbers,
sparse members), PKWARE APPNOTE 6.3.10 (zip, zip64), RFC 1951 (deflate) and RFC 1952 (gzip).
"""

import gzip
import io
import stat
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, BinaryIO, Literal, NamedTuple, Protocol

from dice_core.rows import Reason

_BLOCK = 512
_ZERO_BLOCK = bytes(_BLOCK)
_CHUNK = 1 << 16
_MAX_INT64 = (1 << 63) - 1
_MAX_EXTENSION_HEADER = 1 << 20
_ADLER_MODULUS = 65521

_CENTRAL_RECORD = struct.Struct("<4s6H3I5H2I")
_LOCAL_HEADER = struct.Struct("<4s22x2H")
_END_RECORD = struct.Struct("<4s4H2IH")
_END_RECORD_64 = struct.Struct("<4s12x2I16x2Q")
_LOCATOR_64 = struct.Struct("<4sIQI")
_STORED, _DEFLATED = 0, 8
_UNIX = 3
_ABSENT = 0xFFFFFFFF

_REGULAR = (b"0", b"\0", b"7")
_EXTENSIONS = (b"L", b"K", b"x", b"X", b"g")
_WITHOUT_PAYLOAD = (b"1", b"2", b"3", b"4", b"5", b"6")


class _BrokenError(Exception):
    """The container contradicts itself."""


class Readable(Protocol):
    """All that a forward-only stream needs to offer."""

    def read(self, size: int, /) -> bytes:
        """Return up to `size` bytes, none at the end."""


@dataclass(frozen=True, slots=True)
class Member:
    """One member that is not a directory, as its header describes it; offsets and sizes in bytes."""

    index: int
    """Position among the members, directories not counted, from 0."""
    name: str
    """Always valid UTF-8; bytes that are not are written as ``\\xNN``."""
    offset: int
    """Of the payload (tar) or of the local header (zip) in the uncompressed stream."""
    size: int
    """Uncompressed, as claimed."""
    reason: Reason | None = None
    """Why it cannot be read, where the headers alone tell."""
    compressed_size: int = 0
    method: int = _STORED
    crc: int | None = None
    """CRC-32 of the uncompressed bytes; None in tar, which has none."""


@dataclass(frozen=True, slots=True)
class Cut:
    """Where a walk can resume: at the headers of member `index`, which begin at byte `offset`.

    In tar that is its first header block, long-name and pax headers included; in zip its central record.
    """

    index: int
    offset: int


START = Cut(0, 0)
"""The beginning of any archive."""


def sniff(head: bytes) -> Literal["tar", "gzip", "zip"] | None:
    """Tell an archive's format from its first 512 bytes; None where it is no archive.

    A block of zeros is an empty tar. A zip behind a self-extracting program is not recognised.
    """
    if head.startswith(b"\x1f\x8b\x08"):
        return "gzip"
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06", b"PK\x07\x08")):
        return "zip"
    block = head[:_BLOCK]
    if len(block) == _BLOCK and (
        block == _ZERO_BLOCK or block[257:262] == b"ustar" or _checksum_holds(block)
    ):
        return "tar"
    return None


def is_junk(name: str) -> bool:
    """Tell whether a member is what macOS or Windows leaves in archives rather than content."""
    *folders, file = name.replace("\\", "/").split("/")
    return (
        file == ".DS_Store"
        or file.startswith("._")
        or file.lower() in ("thumbs.db", "desktop.ini")
        or "__MACOSX" in folders
    )


def folder_of(name: str) -> str:
    """Return the immediate parent folder of a member's name, "" where it has none."""
    parts = [part for part in name.replace("\\", "/").split("/") if part not in ("", ".")]
    return parts[-2] if len(parts) > 1 else ""


def read_member(stream: BinaryIO, member: Member, max_bytes: int) -> bytes | Reason:
    """Read the bytes of one member.

    Parameters
    ----------
    stream
        The seekable archive that `member` was found in; left at any position.
    member
        As `walk_tar` or `walk_zip` gave it.
    max_bytes
        No more than this plus one byte is ever inflated, whatever the headers claim.

    Returns
    -------
    bytes or Reason
        The member's own reason where it has one; TOO_LARGE above `max_bytes`, claimed or actual; CORRUPT
        where deflate data, CRC-32 or size contradict the headers; TRUNCATED or, in tar, BROKEN_ARCHIVE
        where the stream ends early.
    """
    if member.reason is not None:
        return member.reason
    if member.size > max_bytes:
        return Reason.TOO_LARGE
    stream.seek(member.offset)
    if member.crc is not None:
        return _read_zipped(stream, member, max_bytes)
    payload = _read(stream, member.size)
    return payload if len(payload) == member.size else Reason.BROKEN_ARCHIVE


def _read_zipped(stream: BinaryIO, member: Member, max_bytes: int) -> bytes | Reason:
    header = _read(stream, _LOCAL_HEADER.size)
    if len(header) < _LOCAL_HEADER.size:
        return Reason.TRUNCATED
    signature, name_size, extra_size = _LOCAL_HEADER.unpack(header)
    if signature != b"PK\x03\x04":
        return Reason.CORRUPT
    stream.seek(name_size + extra_size, io.SEEK_CUR)
    if member.method == _DEFLATED:
        content: bytes | Reason = _inflate(stream, member, max_bytes)
    else:
        content = _read(stream, member.size)
        content = content if len(content) == member.size else Reason.TRUNCATED
    if isinstance(content, Reason):
        return content
    if len(content) > max_bytes:
        return Reason.TOO_LARGE
    return content if len(content) == member.size and zlib.crc32(content) == member.crc else Reason.CORRUPT


def _inflate(stream: BinaryIO, member: Member, max_bytes: int) -> bytes | Reason:
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    content = bytearray()
    unread = member.compressed_size
    while not inflater.eof and len(content) <= max_bytes:
        chunk = stream.read(min(unread, _CHUNK))
        if not chunk:
            return Reason.TRUNCATED if unread else Reason.CORRUPT
        unread -= len(chunk)
        try:
            content += inflater.decompress(chunk, max_bytes + 1 - len(content))
        except zlib.error:
            return Reason.CORRUPT
    return bytes(content)


def _read(stream: Readable, size: int) -> bytes:
    """Read exactly `size` bytes, fewer only at the end: a raw stream may return less than asked."""
    data = stream.read(size)
    while len(data) < size and (more := stream.read(size - len(data))):
        data += more
    return data


# ---------------------------------------------------------------------------------------------- tar


class _Seeking:
    """Goes forward in a seekable stream that others move about in between."""

    broken = False

    def __init__(self, stream: BinaryIO, position: int) -> None:
        self._stream = stream
        self._end = stream.seek(0, io.SEEK_END)
        self.position = position

    def read(self, size: int) -> bytes:
        self._stream.seek(self.position)
        data = _read(self._stream, size)
        self.position += len(data)
        return data

    def skip(self, size: int) -> bool:
        """Go `size` bytes on; False where the stream ends before."""
        self.position += size
        return self.position <= self._end

    def holds(self, size: int) -> bool:
        """Tell whether the next `size` bytes can be there."""
        return self.position + size <= self._end

    def finish(self) -> None:
        """Nothing follows the end of a tar that would need a look."""


class _Streaming:
    """Goes forward in a stream that cannot seek; `broken` once its decompressor has failed."""

    def __init__(self, stream: Readable) -> None:
        self._stream = stream
        self.position = 0
        self.broken = False

    def read(self, size: int) -> bytes:
        pieces = []
        while size > 0 and (piece := self._piece(size)):
            pieces.append(piece)
            size -= len(piece)
        return b"".join(pieces)

    def skip(self, size: int) -> bool:
        while size > 0 and (piece := self._piece(size)):
            size -= len(piece)
        return size <= 0

    def holds(self, _size: int) -> bool:
        return True

    def finish(self) -> None:
        """Read to the end, where gzip keeps the checksum of all that was read."""
        while self._piece(_CHUNK):
            pass

    def _piece(self, size: int) -> bytes:
        # A plain OSError is the storage's, not the archive's, and is left to the caller.
        try:
            piece = b"" if self.broken else self._stream.read(min(size, _CHUNK))
        except (EOFError, zlib.error, gzip.BadGzipFile):
            self.broken = True
            return b""
        self.position += len(piece)
        return piece


def walk_tar(stream: BinaryIO, start: Cut = START, stop: int | None = None) -> Iterator[tuple[Cut, Member]]:
    """Walk the headers of an uncompressed tar, seeking over the payloads.

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
        In archive order. Where the container is broken, a last member with BROKEN_ARCHIVE: the one whose
        payload is cut short, or one without a name where no header can be read.
    """
    return _walk_tar(_Seeking(stream, start.offset), start.index, stop)


def stream_tar(stream: Readable, max_bytes: int) -> Iterator[tuple[Member, bytes | Reason]]:
    """Read a tar forward only, such as through a decompressor; offsets count uncompressed bytes.

    Parameters
    ----------
    stream
        Only ``read`` is used. EOFError, zlib.error and gzip.BadGzipFile are the archive's fault and end it
        with BROKEN_ARCHIVE; any other error is the storage's and is raised.
    max_bytes
        Larger payloads are skipped in pieces and are TOO_LARGE.

    Yields
    ------
    tuple of Member and (bytes or Reason)
        The rows of `walk_tar` and what `read_member` gives for them.
    """
    reader = _Streaming(stream)
    for _, member in _walk_tar(reader, 0, None):
        reason = member.reason
        if reason is None and member.size > max_bytes:
            reason = Reason.TOO_LARGE
        if reason is Reason.BROKEN_ARCHIVE:
            yield member, reason
            return
        payload = reader.read(member.size) if reason is None else b""
        whole = len(payload) == member.size if reason is None else reader.skip(member.size)
        if not whole:
            yield replace(member, reason=Reason.BROKEN_ARCHIVE), Reason.BROKEN_ARCHIVE
            return
        yield member, payload if reason is None else reason


class _Header(NamedTuple):
    name: str
    size: int
    is_folder: bool
    is_file: bool


def _walk_tar(reader: _Seeking | _Streaming, index: int, stop: int | None) -> Iterator[tuple[Cut, Member]]:
    cut = Cut(index, reader.position)
    try:
        while (stop is None or index < stop) and (header := _next_header(reader)) is not None:
            offset, size = reader.position, header.size
            if not header.is_folder:
                reason = None if header.is_file else Reason.NOT_A_FILE
                if not reader.holds(size):
                    reason = Reason.BROKEN_ARCHIVE
                yield cut, Member(index, header.name, offset, size, reason)
                if reason is Reason.BROKEN_ARCHIVE:
                    return
                index += 1
            # Where even the padding is missing, the next read finds the end.
            reader.skip(offset + size + -size % _BLOCK - reader.position)
            cut = Cut(index, reader.position)
    except _BrokenError:
        yield cut, Member(index, "", cut.offset, 0, Reason.BROKEN_ARCHIVE)


def _next_header(reader: _Seeking | _Streaming) -> _Header | None:
    """Read the headers of one member, up to its payload; None at the end of the archive."""
    said: dict[bytes, bytes] = {}  # what extension headers say of the member that follows them
    while (block := reader.read(_BLOCK)).strip(b"\0"):
        if len(block) < _BLOCK or not _checksum_holds(block):
            raise _BrokenError
        kind, size = block[156:157], _number(block[124:136])
        if kind not in _EXTENSIONS:
            return _described(reader, block, kind, size, said)
        said |= _extension(reader, kind, size)
    # One block of zeros amid headers is a hole where members were, and must not pass for the end.
    if said or reader.read(_BLOCK).strip(b"\0"):
        raise _BrokenError
    reader.finish()
    if reader.broken:
        raise _BrokenError
    return None


def _described(
    reader: _Seeking | _Streaming, block: bytes, kind: bytes, size: int, said: dict[bytes, bytes]
) -> _Header:
    name = _tar_name(block, said)
    if kind in _WITHOUT_PAYLOAD:
        size = 0
    elif b"size" in said:
        size = _number(said[b"size"], base=10)
    # A sparse member of the old GNU kind has further blocks of its map before its payload.
    more = kind == b"S" and block[482]
    while more:
        more = _exactly(reader, _BLOCK)[504]
    sparse = bool(said) and any(keyword.startswith(b"GNU.sparse.") for keyword in said)
    # Before ustar, a folder was a file whose name ended so.
    is_folder = kind == b"5" or (kind == b"\0" and name.endswith("/"))
    return _Header(name, size, is_folder, kind in _REGULAR and not sparse)


def _extension(reader: _Seeking | _Streaming, kind: bytes, size: int) -> dict[bytes, bytes]:
    """Read the payload of an extension header, as pax keywords and their values."""
    if size > _MAX_EXTENSION_HEADER:
        raise _BrokenError
    body = _exactly(reader, size)
    reader.skip(-size % _BLOCK)
    if kind == b"L":
        return {b"path": body.partition(b"\0")[0]}
    return _pax_records(body) if kind in b"xX" else {}


def _pax_records(body: bytes) -> dict[bytes, bytes]:
    r"""Parse records of the form ``length keyword=value\n``, the length counting all of itself."""
    records, start = {}, 0
    while start < len(body):
        length, _, _ = body[start : start + 20].partition(b" ")
        end = start + _number(length, base=10)
        keyword, equals, value = body[start + len(length) + 1 : end - 1].partition(b"=")
        if not equals or body[end - 1 : end] != b"\n":
            raise _BrokenError
        records[keyword] = value
        start = end
    return records


def _tar_name(block: bytes, said: dict[bytes, bytes]) -> str:
    name = said.get(b"GNU.sparse.name") or said.get(b"path")
    if not name:
        name = block[:100].partition(b"\0")[0]
        # Other tars keep times where ustar has the front part of a long name.
        if block[257:263] == b"ustar\0" and block[345]:
            name = block[345:500].partition(b"\0")[0] + b"/" + name
    return name.decode("utf-8", "backslashreplace")


def _exactly(reader: _Seeking | _Streaming, size: int) -> bytes:
    data = reader.read(size)
    if len(data) < size:
        raise _BrokenError
    return data


def _number(field: bytes, base: int = 8) -> int:
    """Parse digits ended by a NUL or blanks, or GNU's base-256 number."""
    if field[:1] == b"\x80":
        number = int.from_bytes(field[1:], "big")
    else:
        digits = field.partition(b"\0")[0].strip()
        try:
            number = int(digits or b"0", base)
        except ValueError:
            raise _BrokenError from None
    if not 0 <= number <= _MAX_INT64:
        raise _BrokenError
    return number


def _checksum_holds(block: bytes) -> bool:
    """Compare with the sum of the header's bytes, the checksum itself counted as eight blanks."""
    try:
        claimed = _number(block[148:156]) - 8 * ord(" ")
    except _BrokenError:
        return False
    # The low half of Adler-32 is one plus the sum of all bytes, fifteen times as fast as adding them up here.
    if (zlib.adler32(block) & 0xFFFF) == (1 + claimed + sum(block[148:156])) % _ADLER_MODULUS:
        return True
    signed: int = sum(struct.unpack("148b8x356b", block))
    return claimed == signed  # some old tars added signed bytes


# ---------------------------------------------------------------------------------------------- zip


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
        window = _Window(stream)
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


class _Window:
    """Any bytes of a stream, read in larger pieces as others move about in it."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._start = 0
        self._data = b""

    def at(self, position: int, size: int) -> bytes:
        start = position - self._start
        if start + size > len(self._data):
            self._stream.seek(position)
            self._data = _read(self._stream, max(size, _CHUNK))
            self._start, start = position, 0
        return self._data[start : start + size]


def _central_directory(stream: BinaryIO) -> tuple[int, int, int] | None:
    """Find where the central directory begins and ends, and what to add to the offsets it tells."""
    size = stream.seek(0, io.SEEK_END)
    # Room for the longest comment after the end record, and for the zip64 locator before it.
    start = stream.seek(max(0, size - 0xFFFF - _END_RECORD.size - _LOCATOR_64.size))
    tail = _read(stream, size - start)
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
                record = _read(stream, _END_RECORD_64.size)
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
    name = rest[:name_size].decode("utf-8" if flags & 0x800 else "cp437", "backslashreplace")
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
