"""The members of a tar, found by walking its headers.

Sources: POSIX.1-2017 pax (ustar and extended headers), the GNU tar manual (long names, sparse members),
RFC 1952 (gzip, whose errors end a streamed tar).
"""

import gzip
import io
import sys
import zlib
from collections.abc import Iterator
from dataclasses import replace
from typing import BinaryIO, NamedTuple

from dice_core.gunzip import ExpansionError
from dice_core.member import START, Cut, Member, Readable
from dice_core.rows import Reason
from dice_core.tar_header import (
    BLOCK,
    BrokenError,
    checksum_holds,
    name_of,
    parse_number,
    parse_pax,
    plain_headers,
    printable,
)
from dice_core.window import Window

_CHUNK = 1 << 16
_MAX_EXTENSION_HEADER = 1 << 20

_REGULAR = (b"0", b"\0", b"7")
_EXTENSIONS = (b"L", b"K", b"x", b"X", b"g")
_PERHAPS_PLAIN = (b"0", b"x", b"L")
_WITHOUT_PAYLOAD = (b"1", b"2", b"3", b"4", b"5", b"6")


class _Seeking:
    """Goes forward in a seekable stream that others move about in between."""

    broken: Reason | None = None

    def __init__(self, stream: BinaryIO, position: int) -> None:
        self.window = Window(stream, start=position)
        self._end = stream.seek(0, io.SEEK_END)
        self.position = position

    def plain(self) -> tuple[int, bytes, list[list[int]]]:
        """Go on over plain files as far as in memory: where that begins, its bytes, the headers in it."""
        if self.window.at(self.position, BLOCK)[156:157] not in _PERHAPS_PLAIN:
            return 0, b"", []
        data, start = self.window.data, self.window.start
        headers = plain_headers(data, self.position - start, self._end - start)
        if headers:
            *_, payload, size = headers[-1]
            self.position = min(start + payload + size + -size % BLOCK, self._end)
        return start, data, headers

    def read(self, size: int) -> bytes:
        data = self.window.at(self.position, size)
        self.position += len(data)
        return data

    def skip(self, size: int) -> bool:
        """Go `size` bytes on, to the end of the stream at most; False where it ends before."""
        whole = self.holds(size)
        self.position = min(self.position + size, self._end)
        return whole

    def holds(self, size: int) -> bool:
        """Tell whether the next `size` bytes can be there."""
        return self.position + size <= self._end

    def finish(self) -> None:
        """Nothing follows the end of a tar that would need a look."""


class _Streaming:
    """Goes forward in a stream that cannot seek; `broken` tells why its decompressor gives no more."""

    def __init__(self, stream: Readable) -> None:
        self._stream = stream
        self.position = 0
        self.broken: Reason | None = None

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

    def plain(self) -> tuple[int, bytes, list[list[int]]]:
        """Nothing is in memory already."""
        return 0, b"", []

    def finish(self) -> None:
        """Read to the end, where gzip keeps the checksum of all that was read."""
        while self._piece(_CHUNK):
            pass

    def _piece(self, size: int) -> bytes:
        # A plain OSError is the storage's, not the archive's, and is left to the caller.
        try:
            piece = b"" if self.broken else self._stream.read(min(size, _CHUNK))
        except (EOFError, zlib.error, gzip.BadGzipFile):
            self.broken = Reason.BROKEN_ARCHIVE
            return b""
        except ExpansionError:
            self.broken = Reason.TOO_LARGE
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
        payload is cut short, or one without a name where no header can be read. So it is where nothing at
        all follows the last member: an archive that was cut there lacks the zeros that end it.
    """
    for position, member in _walk_tar(_Seeking(stream, start.offset), start.index, stop):
        yield Cut(member.index, position), member


def read_tar(
    stream: BinaryIO, max_bytes: int, start: Cut = START, stop: int | None = None
) -> Iterator[tuple[Member, bytes | Reason]]:
    """Read an uncompressed tar in order, headers and payloads from the same larger pieces.

    Parameters
    ----------
    stream, start, stop
        As `walk_tar` takes them.
    max_bytes
        Larger payloads are passed over and are TOO_LARGE.

    Yields
    ------
    tuple of Member and (bytes or Reason)
        The rows of `walk_tar` and what `read_member` gives for them.
    """
    reader = _Seeking(stream, start.offset)
    for _, member in _walk_tar(reader, start.index, stop):
        size = member.size
        if member.reason is not None:
            yield member, member.reason
        elif size > max_bytes:
            yield member, Reason.TOO_LARGE
        else:
            payload = reader.window.at(member.offset, size)
            yield member, payload if len(payload) == size else Reason.BROKEN_ARCHIVE


def stream_tar(stream: Readable, max_bytes: int) -> Iterator[tuple[Member, bytes | Reason]]:
    """Read a tar forward only, such as through a decompressor; offsets count uncompressed bytes.

    Parameters
    ----------
    stream
        Only ``read`` is used. EOFError, zlib.error and gzip.BadGzipFile are the archive's fault and end it
        with BROKEN_ARCHIVE, an ExpansionError ends it with TOO_LARGE; any other error is the storage's and
        is raised.
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
            reason = reader.broken or Reason.BROKEN_ARCHIVE
            yield replace(member, reason=reason), reason
            return
        yield member, payload if reason is None else reason


class _Header(NamedTuple):
    name: str
    size: int
    is_folder: bool
    is_file: bool


def _walk_tar(reader: _Seeking | _Streaming, index: int, stop: int | None) -> Iterator[tuple[int, Member]]:
    """Give each member with the position of its first header."""
    last = sys.maxsize if stop is None else stop
    start = reader.position
    try:
        while index < last:
            begin, data, headers = reader.plain()
            for at, name, name_end, payload, size in headers[: last - index]:
                start = begin + at
                yield start, Member(index, printable(data[name:name_end]), begin + payload, size)
                index += 1
            start = reader.position
            if index >= last or (header := _next_header(reader)) is None:
                return
            offset, size = reader.position, header.size
            if not header.is_folder:
                reason = None if header.is_file else Reason.NOT_A_FILE
                if not reader.holds(size):
                    reason = Reason.BROKEN_ARCHIVE
                yield start, Member(index, header.name, offset, size, reason)
                if reason is Reason.BROKEN_ARCHIVE:
                    return
                index += 1
            # Where even the padding is missing, the next read finds the end.
            reader.skip(offset + size + -size % BLOCK - reader.position)
    except BrokenError:
        yield start, Member(index, "", start, 0, reader.broken or Reason.BROKEN_ARCHIVE)


def _next_header(reader: _Seeking | _Streaming) -> _Header | None:
    """Read the headers of one member, up to its payload; None at the end of the archive."""
    said: dict[bytes, bytes] = {}  # what extension headers say of the member that follows them
    while (block := reader.read(BLOCK)).strip(b"\0"):
        if len(block) < BLOCK or not checksum_holds(block):
            raise BrokenError
        kind, size = block[156:157], parse_number(block[124:136])
        if kind not in _EXTENSIONS:
            return _described(reader, block, kind, size, said)
        said |= _extension(reader, kind, size)
    # No block at all is a cut, and one of zeros amid headers a hole where members were: neither is the end.
    if said or not block or reader.read(BLOCK).strip(b"\0"):
        raise BrokenError
    reader.finish()
    if reader.broken:
        raise BrokenError
    return None


def _described(
    reader: _Seeking | _Streaming, block: bytes, kind: bytes, size: int, said: dict[bytes, bytes]
) -> _Header:
    name = name_of(block, said)
    if kind in _WITHOUT_PAYLOAD:
        size = 0
    elif b"size" in said:
        size = parse_number(said[b"size"], base=10)
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
        raise BrokenError
    body = _exactly(reader, size)
    reader.skip(-size % BLOCK)
    if kind == b"L":
        return {b"path": body.partition(b"\0")[0]}
    return parse_pax(body) if kind in b"xX" else {}


def _exactly(reader: _Seeking | _Streaming, size: int) -> bytes:
    data = reader.read(size)
    if len(data) < size:
        raise BrokenError
    return data
