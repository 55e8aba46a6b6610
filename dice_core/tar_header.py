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
_NUL, _BLANK, _ZERO, _SEVEN, _NINE, _EQUALS, _NEWLINE = b"\0 079=\n"
_PAX, _LONG_NAME = b"xL"
_PATH, _SIZE, _SPARSE = b"path", b"size", b"GNU.sparse."
_NAME_SIZE = 100
_PLAIN_NAME = 4096
_DIGITS = 18
_UNUSUAL = -2
_LONGEST_NAME = 0xFFFF
"""Bytes: as many as a zip's may have. A header may have room for more, and a shard holds 2,000 names."""
_SAID = (_PATH, _SIZE, b"GNU.sparse.name")


class BrokenError(Exception):
    """The container contradicts itself."""


def plain_headers(data: bytes, at: int, end: int) -> list[list[int]]:
    """Follow the headers of plain files, and leave the others to those who ask further.

    Plain is a regular file with its name, size and checksum in the usual places in the usual digits, and with
    extension headers of the usual form, which may tell a longer name or another size.

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
    list of [int, int, int, int, int]
        Of each member: where its first header begins, where its name begins and ends, where its payload
        begins, and the payload's size. The list ends before the first member whose headers are not plain, or
        not whole in the piece, and before a payload that the archive does not hold.
    """
    found = np.empty(((len(data) - at) // BLOCK + 1, 5), np.int64)
    count = _follow(np.frombuffer(data, np.uint8), at, end, found)
    plain: list[list[int]] = found[:count].tolist()
    return plain


@compiled()
def _follow(data: Any, at: int, end: int, found: npt.NDArray[np.int64]) -> int:
    count = 0
    while True:
        header, name, name_end, told = _said(data, at)
        if header < 0 or header + BLOCK > len(data):
            return count
        block = data[header : header + BLOCK]
        size = _size(block)
        # A regular file, and the front part of its name empty, where that counts.
        if block[156] != _ZERO or size < 0 or (name < 0 and block[345] != _NUL):
            return count
        size = told if told >= 0 else size
        if header + BLOCK + size > end:
            return count
        if name < 0:
            name = name_end = header
            while name_end < name + _NAME_SIZE and data[name_end]:
                name_end += 1
        found[count] = at, name, name_end, header + BLOCK, size
        count += 1
        at = header + BLOCK + (size + BLOCK - 1) // BLOCK * BLOCK


@compiled()
def _said(data: Any, at: int) -> tuple[int, int, int, int]:
    """Read a member's extension headers: where they end, name and size as they tell them; -1 for none."""
    name = name_end = told = -1
    while at + BLOCK <= len(data) and (data[at + 156] == _PAX or data[at + 156] == _LONG_NAME):
        size, body = _size(data[at : at + BLOCK]), at + BLOCK
        if size < 0 or body + size > len(data):
            return -1, -1, -1, -1
        if data[at + 156] == _PAX:
            own, own_end, other = _pax(data, body, body + size)
            if own == _UNUSUAL:
                return -1, -1, -1, -1
        else:
            own, own_end, other = body, body, -1
            while own_end < body + size and data[own_end]:
                own_end += 1
        if own >= 0:
            name, name_end = own, own_end
            if not 0 < name_end - name <= _PLAIN_NAME:
                return -1, -1, -1, -1
        told = other if other >= 0 else told
        at = body + (size + BLOCK - 1) // BLOCK * BLOCK
    return at, name, name_end, told


@compiled()
def _pax(data: Any, at: int, end: int) -> tuple[int, int, int]:
    """Read pax records: where the name in them begins and ends, the size; -1 for none, or `_UNUSUAL`."""
    name = name_end = told = -1
    while at < end:
        length, start = _decimal(data, at, min(end, at + _DIGITS))
        after = at + length
        equals = start + 1
        while equals < end and data[equals] != _EQUALS:
            equals += 1
        if (
            start == at
            or data[start] != _BLANK
            or after > end
            or equals >= after - 1
            or data[after - 1] != _NEWLINE
        ):
            return _UNUSUAL, -1, -1
        keyword, value = data[start + 1 : equals], equals + 1
        if _equal(keyword, _PATH):
            name, name_end = value, after - 1
        elif _equal(keyword, _SIZE):
            told, stop = _decimal(data, value, min(after - 1, value + _DIGITS))
            if stop == value or stop != after - 1:
                return _UNUSUAL, -1, -1
        elif _equal(keyword[: len(_SPARSE)], _SPARSE):
            return _UNUSUAL, -1, -1
        at = after
    return name, name_end, told


@compiled()
def _decimal(data: Any, at: int, end: int) -> tuple[int, int]:
    """Read digits: the number, and where they end."""
    number = 0
    while at < end and _ZERO <= data[at] <= _NINE:
        number = 10 * number + data[at] - _ZERO
        at += 1
    return number, at


@compiled()
def _equal(text: Any, other: Any) -> bool:
    if len(text) != len(other):
        return False
    for at in range(len(text)):  # noqa: SIM110 - compiled, this is the quick way
        if text[at] != other[at]:
            return False
    return True


@compiled()
def _size(block: Any) -> int:
    """Read the payload's size off a header; -1 where it or the checksum is not of the usual form."""
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
