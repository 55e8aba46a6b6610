"""A gzip, inflated as it is read, and no further than its compressed bytes account for.

Source: RFC 1952 (gzip).
"""

import gzip
from typing import BinaryIO

from dice_core.member import expands_too_far


class ExpansionError(Exception):
    """More came of compressed bytes than the limit allows."""


class Gunzip:
    """The content of a gzip, forward only.

    Parameters
    ----------
    stream
        Of the gzip, at its beginning; ``tell`` counts what was read of it.
    max_expansion
        Bytes that may come of each compressed one, on average from the beginning.
    """

    def __init__(self, stream: BinaryIO, max_expansion: float) -> None:
        self._stream = stream
        self._start = stream.tell()
        self._content = gzip.GzipFile(fileobj=stream, mode="rb")
        self._max_expansion = max_expansion
        self._inflated = 0

    def read(self, size: int, /) -> bytes:
        """Read up to `size` bytes, none at the end.

        Raises
        ------
        EOFError, zlib.error, gzip.BadGzipFile
            Where the gzip is damaged.
        ExpansionError
            Where it expands too far.
        """
        data = self._content.read(size)
        self._inflated += len(data)
        if expands_too_far(self._inflated, self._stream.tell() - self._start, self._max_expansion):
            raise ExpansionError
        return data
