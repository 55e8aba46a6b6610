"""The members of a tar, found by walking its headers.

Sources: POSIX.1-2017 pax (ustar and extended headers), the GNU tar manual (long names, base-256 numbers,
sparse members), RFC 1952 (gzip, whose errors end a streamed tar).
"""

import gzip
import io
import struct
import zlib
from collections.abc import Iterator
from dataclasses import replace
from typing import BinaryIO, NamedTuple

from dice_core.member import START, Cut, Member, Readable, read_up_to
from dice_core.rows import Reason

BLOCK = 512
ZERO_BLOCK = bytes(BLOCK)
_CHUNK = 1 << 16
_MAX_INT64 = (1 << 63) - 1
_MAX_EXTENSION_HEADER = 1 << 20
_ADLER_MODULUS = 65521

_REGULAR = (b"0", b"\0", b"7")
_EXTENSIONS = (b"L", b"K", b"x", b"X", b"g")
_WITHOUT_PAYLOAD = (b"1", b"2", b"3", b"4", b"5", b"6")


class _BrokenError(Exception):
    """The container contradicts itself."""


class _Seeking:
    """Goes forward in a seekable stream that others move about in between."""

    broken = False

    def __init__(self, stream: BinaryIO, position: int) -> None:
        self._stream = stream
        self._end = stream.seek(0, io.SEEK_END)
        self.position = position

    def read(self, size: int) -> bytes:
        self._stream.seek(self.position)
        data = read_up_to(self._stream, size)
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
            reader.skip(offset + size + -size % BLOCK - reader.position)
            cut = Cut(index, reader.position)
    except _BrokenError:
        yield cut, Member(index, "", cut.offset, 0, Reason.BROKEN_ARCHIVE)


def _next_header(reader: _Seeking | _Streaming) -> _Header | None:
    """Read the headers of one member, up to its payload; None at the end of the archive."""
    said: dict[bytes, bytes] = {}  # what extension headers say of the member that follows them
    while (block := reader.read(BLOCK)).strip(b"\0"):
        if len(block) < BLOCK or not checksum_holds(block):
            raise _BrokenError
        kind, size = block[156:157], _number(block[124:136])
        if kind not in _EXTENSIONS:
            return _described(reader, block, kind, size, said)
        said |= _extension(reader, kind, size)
    # One block of zeros amid headers is a hole where members were, and must not pass for the end.
    if said or reader.read(BLOCK).strip(b"\0"):
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
        more = _exactly(reader, BLOCK)[504]
    sparse = bool(said) and any(keyword.startswith(b"GNU.sparse.") for keyword in said)
    # Before ustar, a folder was a file whose name ended so.
    is_folder = kind == b"5" or (kind == b"\0" and name.endswith("/"))
    return _Header(name, size, is_folder, kind in _REGULAR and not sparse)


def _extension(reader: _Seeking | _Streaming, kind: bytes, size: int) -> dict[bytes, bytes]:
    """Read the payload of an extension header, as pax keywords and their values."""
    if size > _MAX_EXTENSION_HEADER:
        raise _BrokenError
    body = _exactly(reader, size)
    reader.skip(-size % BLOCK)
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


def checksum_holds(block: bytes) -> bool:
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
