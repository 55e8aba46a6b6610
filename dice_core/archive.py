"""An archive, whichever kind it is: its format told by content, its members read in place."""

from typing import BinaryIO, Literal

from dice_core.member import Member, read_up_to
from dice_core.rows import Reason
from dice_core.tar_header import BLOCK, ZERO_BLOCK, checksum_holds
from dice_core.zip import read_zipped


def sniff(head: bytes) -> Literal["tar", "gzip", "zip"] | None:
    """Tell an archive's format from its first 512 bytes; None where it is no archive.

    A block of zeros is an empty tar. A zip behind a self-extracting program is not recognised.
    """
    if head.startswith(b"\x1f\x8b\x08"):
        return "gzip"
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06", b"PK\x07\x08")):
        return "zip"
    block = head[:BLOCK]
    if len(block) == BLOCK and (block == ZERO_BLOCK or block[257:262] == b"ustar" or checksum_holds(block)):
        return "tar"
    return None


def read_member(stream: BinaryIO, member: Member, max_bytes: int) -> bytes | Reason:
    """Read the bytes of one member, wherever it is; `read_tar` and `read_zip` are quicker at many in order.

    Parameters
    ----------
    stream
        The seekable archive that `member` was found in; left at any position.
    member
        As `walk_tar` or `walk_zip` gave it.
    max_bytes
        No more than this plus one byte is ever inflated, nor more than a byte beyond what the headers claim.

    Returns
    -------
    bytes or Reason
        The member's own reason where it has one; TOO_LARGE where it claims more than `max_bytes`; CORRUPT
        where deflate data, CRC-32 or size contradict the headers; TRUNCATED or, in tar, BROKEN_ARCHIVE
        where the stream ends early.
    """
    if member.reason is not None:
        return member.reason
    if member.size > max_bytes:
        return Reason.TOO_LARGE
    if member.crc is not None:
        return read_zipped(stream, member)
    stream.seek(member.offset)
    payload = read_up_to(stream, member.size)
    return payload if len(payload) == member.size else Reason.BROKEN_ARCHIVE
