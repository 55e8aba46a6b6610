"""Photographs as a fit takes them: distinct images by face, the defective ones apart, with their runs."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b

import numpy as np
import numpy.typing as npt

from dice_core.decode import decode
from dice_core.rows import Reason
from dice_core.sample import Sample, Sampler
from jobs.reader import Limits
from jobs.teaching import MOST_BAD, MOST_PER_FACE
from tests.bench.photographs import Photograph

Grey = npt.NDArray[np.uint8]
Flags = npt.NDArray[np.bool_]
Numbers = npt.NDArray[np.int64]

NEAR_FRAMES = 2
"""Frame numbers that differ by no more are of the same die."""


@dataclass(frozen=True)
class Material:
    """Distinct photographs: the good by face, and the defective of all faces."""

    good: Mapping[str, Sample]
    bad: Sample

    @classmethod
    def of(cls, photographs: Iterable[Photograph]) -> "Material":
        """Sample photographs in their order, as `fit` does."""
        good: dict[str, Sampler] = {}
        bad = Sampler(MOST_BAD)
        for photograph in photographs:
            image = decode(photograph.content, Limits().max_pixels)
            if isinstance(image, Reason):
                raise TypeError(f"{photograph.name} is no photograph: {image}")
            sampler = bad if photograph.bad else good.setdefault(photograph.label, Sampler(MOST_PER_FACE))
            sampler.add(image, blake2b(photograph.content, digest_size=16).hexdigest(), photograph.name)
        return cls({label: good[label].sample() for label in sorted(good)}, bad.sample())

    @property
    def images(self) -> Grey:
        """All images, (N, H, W): the good by face, then the defective. All else is in this order."""
        return np.concatenate([sample.images for sample in self._samples if len(sample)])

    @property
    def is_bad(self) -> Flags:
        goods = sum(map(len, self.good.values()))
        return np.arange(goods + len(self.bad)) >= goods

    @property
    def repeats(self) -> Numbers:
        return np.concatenate([sample.repeats for sample in self._samples])

    @property
    def hashes(self) -> list[str]:
        return [content for sample in self._samples for content in sample.hashes]

    @property
    def runs(self) -> Numbers:
        """Number of the run of each image; runs of the defective are the coarser of two kinds."""
        numbered, start = [], 0
        for sample in (*self.good.values(), replace(self.bad, runs=defect_runs(self.bad))):
            numbered.append(sample.runs + start)
            start += int(sample.runs.max(initial=-1)) + 1
        return np.concatenate(numbered)

    @property
    def _samples(self) -> tuple[Sample, ...]:
        return (*self.good.values(), self.bad)

    def without_defects(self) -> "Material":
        return replace(self, bad=Sampler(1).sample())


def defect_runs(bad: Sample) -> Numbers:
    """Number the runs of defective frames: those of the sample, but frames of one die go together.

    Frames whose numbers nearly follow each other show one die; where they lie on both sides of a run's end
    they all go to the run of the first.
    """
    runs = bad.runs.copy()
    numbers = [re.fullmatch(r"img_(\d+)_.*", name) for name in bad.names]
    for at in range(1, len(runs)):
        before, here = numbers[at - 1], numbers[at]
        if before and here and 0 <= int(here[1]) - int(before[1]) <= NEAR_FRAMES:
            runs[at] = runs[at - 1]
    return runs


def take(sample: Sample, which: Sequence[int] | Numbers) -> Sample:
    """Make a new sample of some of another's images, in the runs a folder of just these would have."""
    sampler = Sampler(max(len(which), 1))
    for at in sorted(int(number) for number in which):
        sampler.add(sample.images[at], sample.hashes[at], sample.names[at])
    return sampler.sample()


def spread_evenly(count: int, most: int) -> Numbers:
    """Positions of at most so many of `count` things, evenly spaced."""
    return np.unique(np.linspace(0, count - 1, min(count, most)).round().astype(np.int64))
