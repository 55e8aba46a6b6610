"""Learns faces from good images: mean, variation templates and the spread of what those leave unexplained."""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from threadpoolctl import threadpool_limits

from dice_core.alignment import AT_ONCE, Alignment, mean_of
from dice_core.augment import augment
from dice_core.components import gram_matrix, principal_components
from dice_core.face import Face
from dice_core.grid import Grid
from dice_core.residual import band_pass, rebuild
from dice_core.sample import Sample
from dice_core.score import CHUNK, FEW, resize
from dice_core.spread import Spread, Spreads


@dataclass(frozen=True)
class Learning:
    """How a bank is learnt.

    Attributes
    ----------
    size
        Height and width images are worked on in, pixels.
    components
        Variation templates per face, at most.
    copies
        Augmented copies of each image, at least.
    least
        Images and copies of a face, at least: where images are few, each has more copies.
    folds
        Parts the images are divided into for cross-fitting, at least 2.
    draws
        Augmented copies of each image that thresholds are chosen by, at least 1.
    seed
        Of all chance there is.
    """

    size: tuple[int, int]
    components: int = 60
    copies: int = 3
    least: int = 60
    folds: int = 3
    draws: int = 9
    seed: int = 0

    def copies_of(self, images: int) -> int:
        """Give the copies of each image of a face that has so many."""
        return max(self.copies, -(-self.least // images) - 1)

    def memory(
        self, image_size: tuple[int, int], images: Sequence[int], threads: int, defective: int = 0
    ) -> int:
        """Bytes that teaching takes at its highest, computed before it starts.

        Parameters
        ----------
        image_size
            Height and width of the images, pixels.
        images
            Good ones of each face.
        threads
            Faces learnt, and folds and draws of them scored, at once.
        defective
            Those that are known.
        """
        _, factor, (down, across) = Grid.of(self.size)
        pixels, places = self.size[0] * self.size[1], down * across
        count = sum(images)
        # The good ones once more, those that look mislabelled left out.
        kept = (2 * count + defective) * image_size[0] * image_size[1]
        banks = len(images) * (self.folds + 1) * ((self.components + 4) * places + pixels) * 4
        # Squares of a few, while those of the few before are still there, and what is found of them.
        squares = (2 * factor**2 + 8) * places * 4
        rows = sorted((own * (1 + self.copies_of(own)) for own in images), reverse=True)[:threads]
        # Copies in bytes, and what is laid on the grid: whole, of some folds, and about its mean.
        taught = sum(row * (pixels + 3 * places * 4) + 4 * row * row * 4 + AT_ONCE * squares for row in rows)
        # What is rebuilt of a fold's images, and what faces are known by.
        each = 4 * (min(CHUNK, count) + 8 * len(images)) * places * 4 + FEW * squares
        # Images of all faces, and those and the copies of every fold that is scored.
        at_once = min(threads, self.folds * self.draws)
        judged = 2 * (count + defective) * pixels + at_once * (each + 2 * -(-count // self.folds) * pixels)
        return kept + banks + max(taught, judged)


@dataclass(frozen=True)
class Lesson:
    """One face learnt, whole and without each fold.

    Attributes
    ----------
    face
        Learnt from all its images.
    without
        Per fold, the face learnt from the other folds' images.
    fold_of
        The fold of each image, (N,).
    held_out
        Whether the spread is of residuals that no bank was taught with; False where there were too few runs.
    """

    face: Face
    without: tuple[Face, ...]
    fold_of: npt.NDArray[np.int64]
    held_out: bool


def learn(
    samples: Mapping[str, Sample],
    learning: Learning,
    *,
    threads: int = 1,
    progress: Callable[[str], None] = lambda face: None,
) -> tuple[Lesson, ...]:
    """Learn every face.

    Parameters
    ----------
    samples
        Per face, its good images, uint8 (N, H, W), one shape for all.
    learning
        How to learn.
    threads
        Faces learnt at once, each on one core.
    progress
        Told the name of each face as it is learnt.

    Returns
    -------
    tuple of Lesson
        In the order of `samples`.

    Raises
    ------
    ValueError
        Where there is no face, or a face without an image.
    """
    if not samples or not all(len(sample) for sample in samples.values()):
        raise ValueError("every face needs at least one image, and there must be a face")

    def learn_one(item: tuple[int, tuple[str, Sample]]) -> Lesson:
        number, (name, sample) = item
        lesson = _learn_face(name, sample, learning, np.random.default_rng([learning.seed, number]))
        progress(name)
        return lesson

    # Faces are independent, so threads beat BLAS's own; the limit also makes the sums repeatable.
    with threadpool_limits(1), ThreadPoolExecutor(threads) as pool:
        return _lend_spread(list(pool.map(learn_one, enumerate(samples.items()))))


def _learn_face(name: str, sample: Sample, learning: Learning, rng: np.random.Generator) -> Lesson:
    images = resize(sample.images, learning.size)
    copies_each = learning.copies_of(len(images))
    fold_of = sample.folds(learning.folds)
    held_out = len(set(fold_of.tolist())) == learning.folds
    alignment = Alignment.of(images)
    copies = augment(images, copies_each, rng)
    fold_of_copies = np.repeat(fold_of, copies_each)
    if not held_out:
        # Too few runs to hold one out: copies stand in for other photographs, and their spread is a floor.
        fold_of = np.arange(len(images)) % learning.folds
        copy = np.tile(np.arange(copies_each), len(images))
        fold_of_copies = (np.repeat(fold_of, copies_each) + copy) % learning.folds
    folds = np.concatenate([fold_of, fold_of_copies])
    # Another day's pose is never found quite: the copies teach what a little beside it looks like.
    vectors = np.concatenate([alignment.align(images), alignment.align(copies, rng)])
    flat = vectors.reshape(len(vectors), -1)
    gram = gram_matrix(flat)
    target = alignment.target
    spreads = Spreads(target.shape)
    fold_faces = []
    whole = Face(
        name=name,
        images=len(sample),
        mean=alignment.mean,
        part=alignment.part,
        exposure=alignment.exposure,
        target=target,
        centre=target,
        components=flat[:0],
        spread_dark=target,
        spread_bright=target,
    )
    for fold in range(learning.folds):
        inside = folds != fold
        centre, components = principal_components(flat, gram, inside, learning.components, rng)
        centre = centre.reshape(target.shape)
        spreads.add(_unexplained(vectors[~inside], centre, components))
        own = images[inside[: len(images)]] if held_out else images
        fold_faces.append(replace(whole, mean=mean_of(own), centre=centre, components=components))
    centre, components = principal_components(flat, gram, np.ones(len(flat), bool), learning.components, rng)
    spread = spreads.close()
    return Lesson(
        face=spread.lay_on(replace(whole, centre=centre.reshape(target.shape), components=components)),
        without=tuple(map(spread.lay_on, fold_faces)),
        fold_of=fold_of,
        held_out=held_out,
    )


def _unexplained(
    vectors: npt.NDArray[np.float32], centre: npt.NDArray[np.float32], components: npt.NDArray[np.float32]
) -> npt.NDArray[np.float32]:
    # A function of its own, so that a fold's copy of the vectors is made once and gone at its end.
    return band_pass(vectors - rebuild(vectors, centre, components))


def _lend_spread(lessons: Sequence[Lesson]) -> tuple[Lesson, ...]:
    """Let faces with too few runs to know their spread use at least the others' median one."""
    known = [lesson.face for lesson in lessons if lesson.held_out]
    if not known:
        return tuple(lessons)
    dark = np.median([face.spread_dark for face in known], axis=0).astype(np.float32)
    bright = np.median([face.spread_bright for face in known], axis=0).astype(np.float32)

    def lend(face: Face) -> Face:
        return Spread(np.maximum(face.spread_dark, dark), np.maximum(face.spread_bright, bright)).lay_on(face)

    return tuple(
        lesson
        if lesson.held_out
        else replace(lesson, face=lend(lesson.face), without=tuple(map(lend, lesson.without)))
        for lesson in lessons
    )
