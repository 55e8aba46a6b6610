"""The chunks of a PNG: whether they are all there, and undamaged, and the Exif block among them.

Source: ISO/IEC 15948 (PNG).
"""

import struct
import zlib

from dice_core.rows import Reason

SIGNATURE = b"\x89PNG\r\n\x1a\n"
_HEAD, _CHECKSUM = struct.Struct(">I4s"), struct.Struct(">I")
_ANCILLARY = 0x20


def check_chunks(data: bytes) -> Reason | None:
    """Compare checksums, which what decodes the pixels does not always do.

    Parameters
    ----------
    data
        The whole file, with its signature.

    Returns
    -------
    Reason or None
        TRUNCATED where the file ends before its last chunk does; CORRUPT where a chunk that the image needs
        is damaged; None where all is well.
    """
    at = len(SIGNATURE)
    while at + _HEAD.size <= len(data):
        length, kind = _HEAD.unpack_from(data, at)
        end = at + _HEAD.size + length
        if end + _CHECKSUM.size > len(data):
            return Reason.TRUNCATED
        needed = not kind[0] & _ANCILLARY
        if needed and zlib.crc32(memoryview(data)[at + 4 : end]) != _CHECKSUM.unpack_from(data, end)[0]:
            return Reason.CORRUPT
        if kind == b"IEND":
            return None
        at = end + _CHECKSUM.size
    return Reason.TRUNCATED


def exif_of(data: bytes) -> bytes:
    """Find the Exif block, which may also stand behind the pixels; empty where there is none that is whole.

    Parameters
    ----------
    data
        The whole file, of which `check_chunks` found nothing.
    """
    at = len(SIGNATURE)
    while True:
        length, kind = _HEAD.unpack_from(data, at)
        end = at + _HEAD.size + length
        if kind == b"IEND":
            return b""
        if kind == b"eXIf":
            whole = zlib.crc32(memoryview(data)[at + 4 : end]) == _CHECKSUM.unpack_from(data, end)[0]
            return data[at + _HEAD.size : end] if whole else b""
        at = end + _CHECKSUM.size
