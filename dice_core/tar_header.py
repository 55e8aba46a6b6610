"""What the blocks of a tar's headers say.

Sources: POSIX.1-2017 pax (ustar and extended headers), the GNU tar manual (long names, base-256 numbers).
"""

import struct
import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from dice_core.compiled import compiled

BLOCK = 512
ZERO_BLOCK = bytes(BLOCK)
_MAX_INT64 = (1 << 63) - 1
_ADLER_MODULUS = 65521
_NUL, _BLANK, _ZERO, _SEVEN = b"\0 07"
_NAME_SIZE = 100
_LONGEST_NAME = 0xFFFF
"""Bytes: as many as a zip's may have. A header may have room for more, and a shard holds 2,000 names."""
_SAID = (b"path", b"size", b"GNU.sparse.name")
_SPARSE = b"GNU.sparse."


class BrokenError(Exception):
    """The container contradicts itself."""


def plain_headers(data: bytes, at: int, end: int) -> list[list[int]]:
    """Follow the headers of plain files, and leave the others to those who ask further.

    Plain is a regular file with its name, size and checksum in the usual places in the usual digits, and
    nothing said in extension headers.

    Parameters
    ----------
    data
        A piece of a tar.
    at
        Where in it the first header begins, right after a member.
    end
        Where in it the archive ends, such as beyond the piece.

    Returns
    -------
    list of [int, int, int]
        Of each member: where its header begins, where the name at its beginning ends, and the payload's size.
        The list ends before the first header that is not plain, or not whole in the piece, and before a
        payload that the archive does not hold.
    """
    found = np.empty(((len(data) - at) // BLOCK + 1, 3), np.int64)
    count = _follow(np.frombuffer(data, np.uint8), at, end, found)
    plain: list[list[int]] = found[:count].tolist()
    return plain


@compiled()
def _follow(data: Any, at: int, end: int, found: npt.NDArray[np.int64]) -> int:
    count = 0
    while at + BLOCK <= len(data):
        block = data[at : at + BLOCK]
        size = _plain_size(block)
        if size < 0 or at + BLOCK + size > end:
            break
        length = 0
        while length < _NAME_SIZE and block[length]:
            length += 1
        found[count, 0], found[count, 1], found[count, 2] = at, at + length, size
        count += 1
        at += BLOCK + (size + BLOCK - 1) // BLOCK * BLOCK
    return count


@compiled()
def _plain_size(block: Any) -> int:
    """Read the payload's size off a plain file's header; -1 where it is none."""
    if block[156] != _ZERO or block[345] != _NUL:  # a regular file, the front part of its name empty
        return -1
    total = 8 * _BLANK
    for byte in block[:148]:
        total += byte
    for byte in block[156:]:
        total += byte
    return _octal(block[124:136]) if _octal(block[148:156]) == total else -1


@compiled()
def _octal(field: Any) -> int:
    number = 0
    for at in range(len(field)):
        byte = field[at]
        if at and (byte == _NUL or (byte == _BLANK and at == len(field) - 1)):
            break
        if byte < _ZERO or byte > _SEVEN:
            return -1
        number = 8 * number + byte - _ZERO
    return number


def parse_number(field: bytes, base: int = 8) -> int:
    """Parse digits ended by a NUL or blanks, or GNU's base-256 number; BrokenError where it is neither."""
    if field[:1] == b"\x80":
        number = int.from_bytes(field[1:], "big")
    else:
        digits = field.partition(b"\0")[0].strip()
        try:
            number = int(digits or b"0", base)
        except ValueError:
            raise BrokenError from None
    if not 0 <= number <= _MAX_INT64:
        raise BrokenError
    return number


def parse_pax(body: bytes) -> dict[bytes, bytes]:
    r"""Parse records of the form ``length keyword=value\n``, the length counting all of itself.

    Those that say what a member is and where it ends are kept, whatever else there is of them in an archive.
    """
    records, start = {}, 0
    while start < len(body):
        length, _, _ = body[start : start + 20].partition(b" ")
        end = start + parse_number(length, base=10)
        keyword, equals, value = body[start + len(length) + 1 : end - 1].partition(b"=")
        if not equals or body[end - 1 : end] != b"\n":
            raise BrokenError
        if keyword in _SAID:
            records[keyword] = value
        elif keyword.startswith(_SPARSE):
            records[_SPARSE] = b""
        start = end
    return records


def name_of(block: bytes, said: Mapping[bytes, bytes]) -> str:
    """Give a member's name by its header and what extension headers said; BrokenError where it is endless."""
    name = said.get(b"GNU.sparse.name") or said.get(b"path")
    if not name:
        name = block[:_NAME_SIZE].partition(b"\0")[0]
        # Other tars keep times where ustar has the front part of a long name.
        if block[257:263] == b"ustar\0" and block[345]:
            name = block[345:500].partition(b"\0")[0] + b"/" + name
    if len(name) > _LONGEST_NAME:
        raise BrokenError
    return printable(name)


def printable(name: bytes) -> str:
    r"""Write a name as valid UTF-8: bytes that are not become ``\xNN``."""
    return name.decode("utf-8", "backslashreplace")


def checksum_holds(block: bytes) -> bool:
    """Compare with the sum of the header's bytes, the checksum itself counted as eight blanks."""
    try:
        claimed = parse_number(block[148:156]) - 8 * ord(" ")
    except BrokenError:
        return False
    # The low half of Adler-32 is one plus the sum of all bytes, fifteen times as fast as adding them up here.
    if (zlib.adler32(block) & 0xFFFF) == (1 + claimed + sum(block[148:156])) % _ADLER_MODULUS:
        return True
    signed: int = sum(struct.unpack("148b8x356b", block))
    return claimed == signed  # some old tars added signed bytes
