"""What names the content of a source, wherever it is mounted and whenever it was copied there."""

import io
from collections.abc import Iterable
from hashlib import blake2b
from typing import BinaryIO

from dice_core.member import Member, read_up_to
from jobs.storage import Entry

SAMPLE = 1 << 15
"""Bytes that are read at the head, in the middle and at the end of an archive."""

_BYTES = 16


class Identity:
    """Names the content of an archive by its size, samples of its bytes, and what its headers tell.

    Times and paths are left out, since neither outlives a copy to another disk or to object storage. A zip
    tells the CRC-32 of every member and a gzip ends with that of what it holds, so of these no other content
    has the same name. A tar tells names and sizes: of its payloads alone one might be overwritten in place,
    by as many bytes and between the samples, and the name stay.

    Parameters
    ----------
    stream
        Of the archive, seekable; it is left anywhere.
    """

    def __init__(self, stream: BinaryIO) -> None:
        self._digest = blake2b(digest_size=_BYTES)
        size = stream.seek(0, io.SEEK_END)
        self._digest.update(f"{size}\n".encode())
        for start in sorted({0, max(0, (size - SAMPLE) // 2), max(0, size - SAMPLE)}):
            stream.seek(start)
            self._digest.update(read_up_to(stream, SAMPLE))

    def add(self, member: Member) -> None:
        """Take what the headers tell of the next member."""
        self._digest.update(f"{member.name}\0{member.size} {member.crc}\n".encode())

    def digest(self) -> str:
        """Give the name: 32 hexadecimal digits."""
        return self._digest.hexdigest()

    @staticmethod
    def of_folder(entries: Iterable[Entry]) -> str:
        """Name the content of a folder by the names, sizes and times of modification of its files, in order.

        The times count, in whole seconds as any copy that keeps times keeps them: without them only reading
        every file would tell one that was written anew.
        """
        digest = blake2b(digest_size=_BYTES)
        for entry in entries:
            seconds = entry.modified // 10**9
            digest.update(
                f"{entry.name}\0{entry.size} {seconds} {entry.regular}\n".encode(errors="surrogateescape")
            )
        return digest.hexdigest()
