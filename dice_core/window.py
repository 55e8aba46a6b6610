"""Any bytes of a stream by their position, read ahead in larger pieces while they are asked for in order."""

from typing import BinaryIO

from dice_core.member import read_up_to

PIECE = 1 << 18
"""Bytes read ahead: enough that members cost no read of their own, few enough to stay in the cache."""


class Window:
    """The piece of a stream that was read last; the stream may be moved between two questions.

    Parameters
    ----------
    stream
        Seekable. Unbuffered it is read once for each piece, and no byte twice but at the edges.
    piece
        Bytes to read at once.
    start
        Where the first question will be.
    """

    def __init__(self, stream: BinaryIO, piece: int = PIECE, start: int = 0) -> None:
        self._stream = stream
        self._piece = piece
        self.start = start
        self.data = b""

    def at(self, position: int, size: int) -> bytes:
        """Give the bytes there, fewer than `size` only where the stream ends."""
        start = position - self.start
        if 0 <= start <= len(self.data) - size:
            return self.data[start : start + size]
        # After a leap, such as over a large payload, what follows may be leapt over as well.
        ahead = self._piece if 0 <= start <= len(self.data) + self._piece else 0
        self._stream.seek(position)
        data = read_up_to(self._stream, max(size, ahead))
        if size > self._piece:  # what is larger than a piece is not kept: where it ends, nothing was read
            self.start, self.data = position + len(data), b""
            return data
        self.start, self.data = position, data
        return data[:size]
