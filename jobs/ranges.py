"""A seekable stream over something that is read in ranges, such as an object of a store."""

import io
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import NamedTuple

BLOCK = 8 << 20
"""Bytes of a request, where there are as many: what a store takes to answer counts for little beside them."""

HELD = 4
"""Blocks that are held: the one that is read, those before and after it, and a zip's directory."""

Fetch = Callable[[int, int], bytes]
"""Gives the bytes from a position up to another."""


class _Block(NamedTuple):
    start: int
    stop: int
    data: Future[bytes]


class Ranges(io.RawIOBase):
    """Fetches blocks, the next one in a thread while this one is read.

    Parameters
    ----------
    fetch
        Called from one thread, never for two ranges at once.
    size
        Bytes there are.
    until
        Where who reads in order will end, if that is known: no block reaches further unless it is asked for
        there, and the next block is fetched at once rather than when half of this one was read.
    """

    def __init__(self, fetch: Fetch, size: int, until: int | None = None) -> None:
        self._fetch = fetch
        self._size = size
        self._until = until
        self._position = 0
        self._blocks: list[_Block] = []
        self._thread = ThreadPoolExecutor(1, "ranges")

    def readable(self) -> bool:
        """Tell that it can be read."""
        return True

    def seekable(self) -> bool:
        """Tell that any position can be gone to."""
        return True

    def tell(self) -> int:
        """Give the position."""
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        """Go to a position; nothing is fetched before it is read."""
        position = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        if position < 0:
            raise ValueError(f"no position lies before the first: {position}")
        self._position = position
        return position

    def read(self, size: int | None = -1, /) -> bytes:
        """Read so many bytes, fewer only at the end.

        Raises
        ------
        OSError
            Where they cannot be fetched.
        """
        stop = self._size if size is None or size < 0 else min(self._position + size, self._size)
        pieces: list[bytes] = []
        while self._position < stop:
            block = self._block(stop)
            end = min(stop, block.stop)
            self._read_ahead(block, end)
            pieces.append(block.data.result()[self._position - block.start : end - block.start])
            self._position = end
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def readinto(self, buffer: "bytearray | memoryview", /) -> int:  # type: ignore[override]
        """Read as many bytes as a buffer holds."""
        data = self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        """Let go of what is held; what is being fetched is not waited for."""
        self._thread.shutdown(wait=False, cancel_futures=True)
        self._blocks.clear()
        super().close()

    def _block(self, stop: int) -> _Block:
        """Give the block that holds the position; where there is none, one that goes as far as `stop`."""
        for at, block in enumerate(self._blocks):
            if block.start <= self._position < block.stop:
                self._blocks.append(self._blocks.pop(at))
                return block
        # What is small is fetched as a whole: who reads its end will read its beginning.
        return self._begin(0 if self._size <= BLOCK else self._position, stop)

    def _begin(self, start: int, stop: int) -> _Block:
        """Have a block fetched, in place of the one that was used least lately."""
        end = max(stop, min(start + BLOCK, self._end(start)))
        end = min([end, *(block.start for block in self._blocks if block.start > start)])
        block = _Block(start, end, self._thread.submit(self._fetch, start, end))
        self._blocks = [*self._blocks[1 - HELD :], block]
        return block

    def _read_ahead(self, block: _Block, position: int) -> None:
        """Have what follows a block fetched, where it will be read and is not held."""
        begun = self._until is not None or position - block.start > BLOCK // 2
        held = any(each.start <= block.stop < each.stop for each in self._blocks)
        if begun and not held and block.stop < self._end(block.start):
            self._begin(block.stop, block.stop)
            self._blocks[-2:] = reversed(self._blocks[-2:])  # it was not used yet

    def _end(self, start: int) -> int:
        """Give where reading from a position will end, as far as is known."""
        return self._size if self._until is None or start >= self._until else min(self._until, self._size)
