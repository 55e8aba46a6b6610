"""A bounded sample of one class's images from a stream of any length, with the folds they belong to.

Consecutive frames often show the same part, and archives hold the same photograph twice. Both on two sides
of a split would let a model be tested on what taught it, so folds go by runs of consecutive frames, and a run
that repeats an earlier photograph joins that photograph's run.
"""

import heapq
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import compress

import numpy as np
import numpy.typing as npt

RUN_LENGTH = 12


@dataclass(frozen=True)
class Sample:
    """Distinct images of one class.

    Attributes
    ----------
    images
        uint8 (N, H, W).
    runs
        Which run of consecutive frames an image belongs to, (N,); folds never divide a run.
    repeats
        How often the photograph, byte for byte, was met, (N,).
    hashes
        Content hashes, hexadecimal, N of them.
    names
        What the images are called, N of them.
    """

    images: npt.NDArray[np.uint8]
    runs: npt.NDArray[np.int64]
    repeats: npt.NDArray[np.int64]
    hashes: tuple[str, ...]
    names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.images)

    def only(self, kept: npt.NDArray[np.bool_]) -> "Sample":
        """Take some of the images, those that are `kept`, (N,)."""
        return Sample(
            self.images[kept],
            self.runs[kept],
            self.repeats[kept],
            tuple(compress(self.hashes, kept)),
            tuple(compress(self.names, kept)),
        )

    def folds(self, count: int) -> npt.NDArray[np.int64]:
        """Divide the images into `count` folds: the number of each image's, (N,)."""
        _, dense = np.unique(self.runs, return_inverse=True)
        return dense % count


@dataclass
class _Entry:
    image: npt.NDArray[np.uint8]
    run: int
    repeats: int
    position: int
    name: str


class Sampler:
    """Keeps at most `capacity` distinct images of the stream that is added to it.

    What is kept are the images with the lowest content hashes: a uniform sample that does not depend on the
    order of the stream, and in which a repeated photograph is always recognised.
    """

    def __init__(self, capacity: int) -> None:
        if capacity < 1:
            raise ValueError(f"a sample holds at least one image, not {capacity}")
        self._capacity = capacity
        self._entries: dict[str, _Entry] = {}
        self._highest: list[tuple[int, str]] = []
        self._run = 0
        self._run_began = 0
        self.seen = 0

    def add(self, image: npt.NDArray[np.uint8], content_hash: str, name: str) -> None:
        """Offer the stream's next image, uint8 (H, W); all must be of one shape."""
        position = self.seen
        self.seen += 1
        if position % RUN_LENGTH == 0:
            self._run = self._run_began = position // RUN_LENGTH
        known = self._entries.get(content_hash)
        if known is not None:
            known.repeats += 1
            self._join(known.run)
            return
        self._entries[content_hash] = _Entry(image, self._run, 1, position, name)
        heapq.heappush(self._highest, (-int(content_hash, 16), content_hash))
        if len(self._entries) > self._capacity:
            del self._entries[heapq.heappop(self._highest)[1]]

    def _join(self, run: int) -> None:
        """Let the current run be part of an earlier one, with what was already kept of it."""
        if self._run != self._run_began or run == self._run:
            return
        for entry in self._entries.values():
            if entry.run == self._run:
                entry.run = run
        self._run = run

    def sample(self) -> Sample:
        """Return what was kept, in the order of the stream."""
        ordered = sorted(self._entries.items(), key=lambda item: item[1].position)
        entries = [entry for _, entry in ordered]
        return Sample(
            images=np.stack([entry.image for entry in entries]) if entries else np.empty((0, 0, 0), np.uint8),
            runs=np.array([entry.run for entry in entries], np.int64),
            repeats=np.array([entry.repeats for entry in entries], np.int64),
            hashes=tuple(content_hash for content_hash, _ in ordered),
            names=tuple(entry.name for entry in entries),
        )


def runs_of(samples: Iterable[Sample]) -> npt.NDArray[np.int64]:
    """Give the run of each image of several samples, (N,), numbered so that no two samples share one."""
    numbered = [np.empty(0, np.int64)]
    start = 0
    for sample in samples:
        numbered.append(sample.runs + start)
        start += int(sample.runs.max(initial=-1)) + 1
    return np.concatenate(numbered)
