"""Learns faces from good images: mean, variation templates and the spread of what those leave unexplained."""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import ndimage
from threadpoolctl import threadpool_limits

from dice_core.augment import augment
from dice_core.bank import Face
from dice_core.exposure import Exposure, even
from dice_core.part import find_part
from dice_core.register import Registration, jitter, warp
from dice_core.residual import band_pass, rebuild
from dice_core.sample import Sample
from dice_core.score import resize

FLOOR_DARK, FLOOR_BRIGHT = 2.0, 4.5
"""Grey levels that every spread has besides what was seen: noise, JPEG and, where too bright, reflections."""
LAYINGS = 2
"""How often images are laid on their mean and the mean taken anew, until edges are sharp."""


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
    seed
        Of all chance there is.
    """

    size: tuple[int, int]
    components: int = 100
    copies: int = 3
    least: int = 60
    folds: int = 3
    seed: int = 0

    def copies_of(self, images: int) -> int:
        """Give the copies of each image of a face that has so many."""
        return max(self.copies, -(-self.least // images) - 1)

    def memory(self, image_size: tuple[int, int], images: Sequence[int], threads: int) -> int:
        """Bytes that learning faces of so many images takes at its highest, computed before it starts."""
        pixels = self.size[0] * self.size[1]
        kept = sum(images) * image_size[0] * image_size[1]
        banks = len(images) * (self.folds + 1) * (self.components + 5) * pixels * 4
        rows = sorted((count * (1 + self.copies_of(count)) for count in images), reverse=True)[:threads]
        working = sum(3 * row * pixels * 4 + row * pixels + 3 * row * row * 4 for row in rows)
        return kept + banks + working


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
    shifted
        One augmented copy of each image, uint8 (N, H, W): what another day's light and pose would have shown.
    held_out
        Whether the spread is of residuals that no bank was taught with; False where there were too few runs.
    """

    face: Face
    without: tuple[Face, ...]
    fold_of: npt.NDArray[np.int64]
    shifted: npt.NDArray[np.uint8]
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
    mean = _mean(images)
    target = _lay(images, mean)
    part = find_part(target)
    exposure = Exposure.of(mean, part)
    registration = Registration.to(target, part)
    copies = augment(images, copies_each, rng)
    fold_of_copies = np.repeat(fold_of, copies_each)
    if not held_out:
        # Too few runs to hold one out: copies stand in for other photographs, and their spread is a floor.
        fold_of = np.arange(len(images)) % learning.folds
        copy = np.tile(np.arange(copies_each), len(images))
        fold_of_copies = (np.repeat(fold_of, copies_each) + copy) % learning.folds
    folds = np.concatenate([fold_of, fold_of_copies])
    evened = even(images, part, exposure), even(copies, part, exposure)
    lie, pose = (registration.transforms(stack) for stack in evened)
    # Another day's pose is never found quite: the copies teach what a little beside it looks like.
    vectors = np.concatenate([warp(evened[0], lie), warp(evened[1], jitter(pose, max(mean.shape), rng))])
    flat = vectors.reshape(len(vectors), -1)
    gram = _gram(flat)
    spreads = _Spreads(mean.shape)
    fold_faces = []
    whole = Face(name, len(sample), mean, part, exposure, target, mean, flat[:0], mean, mean)
    for fold in range(learning.folds):
        inside = folds != fold
        centre, components = _principal(flat, gram, inside, learning.components, rng)
        centre = centre.reshape(mean.shape)
        spreads.add(_unexplained(vectors[~inside], centre, components))
        own = images[inside[: len(images)]] if held_out else images
        fold_faces.append(replace(whole, mean=_mean(own), centre=centre, components=components))
    centre, components = _principal(flat, gram, np.ones(len(flat), bool), learning.components, rng)
    spread = spreads.close()
    return Lesson(
        face=spread.lay_on(replace(whole, centre=centre.reshape(mean.shape), components=components)),
        without=tuple(map(spread.lay_on, fold_faces)),
        fold_of=fold_of,
        shifted=copies[::copies_each] if copies_each else images,
        held_out=held_out,
    )


def _mean(images: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    return np.asarray(images.mean(axis=0, dtype=np.float64), np.float32)


def _lay(images: npt.NDArray[np.uint8], mean: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Lay evened images on each other, (N, H, W), and take their mean, (H, W)."""
    part = find_part(mean)
    evened = even(images, part, Exposure.of(mean, part))
    target = _mean(evened)
    for _ in range(LAYINGS):
        target = _mean(warp(evened, Registration.to(target, part).transforms(evened)))
    return target


def _unexplained(
    vectors: npt.NDArray[np.float32], centre: npt.NDArray[np.float32], components: npt.NDArray[np.float32]
) -> npt.NDArray[np.float32]:
    # A function of its own, so that a fold's copy of the vectors is made once and gone at its end.
    return band_pass(vectors - rebuild(vectors, centre, components))


class _Spreads:
    """Sums of squares of held-out band-passed residuals, the dark and the bright ones apart."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        self._squares = np.zeros((2, *shape))
        self._counts = np.zeros((2, *shape))

    def add(self, residual: npt.NDArray[np.float32]) -> None:
        for side, kept in enumerate((residual < 0, residual >= 0)):
            self._squares[side] += np.square(residual, where=kept, out=np.zeros_like(residual)).sum(axis=0)
            self._counts[side] += kept.sum(axis=0)

    def close(self) -> "_Spread":
        """Root mean squares, smoothed as neighbouring pixels share their causes, with the floors added."""
        mean = ndimage.gaussian_filter(self._squares / np.maximum(self._counts, 1), (0, 1, 1))
        dark, bright = np.sqrt(mean + np.square([FLOOR_DARK, FLOOR_BRIGHT])[:, None, None])
        return _Spread(dark.astype(np.float32), bright.astype(np.float32))


class _Spread(NamedTuple):
    dark: npt.NDArray[np.float32]
    bright: npt.NDArray[np.float32]

    def lay_on(self, face: Face) -> Face:
        return replace(face, spread_dark=self.dark, spread_bright=self.bright)


def _lend_spread(lessons: Sequence[Lesson]) -> tuple[Lesson, ...]:
    """Let faces with too few runs to know their spread use at least the others' median one."""
    known = [lesson.face for lesson in lessons if lesson.held_out]
    if not known:
        return tuple(lessons)
    dark = np.median([face.spread_dark for face in known], axis=0).astype(np.float32)
    bright = np.median([face.spread_bright for face in known], axis=0).astype(np.float32)

    def lend(face: Face) -> Face:
        return _Spread(np.maximum(face.spread_dark, dark), np.maximum(face.spread_bright, bright)).lay_on(
            face
        )

    return tuple(
        lesson
        if lesson.held_out
        else replace(lesson, face=lend(lesson.face), without=tuple(map(lend, lesson.without)))
        for lesson in lessons
    )


def _gram(flat: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Inner products of all rows about their common mean, (M, M): once, for every fold."""
    centred = flat - flat.mean(axis=0)
    return np.asarray(centred @ centred.T)


def _principal(
    flat: npt.NDArray[np.float32],
    gram: npt.NDArray[np.float32],
    inside: npt.NDArray[np.bool_],
    count: int,
    rng: np.random.Generator,
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Mean, (P,), and leading principal components, (K, P), of the rows that are `inside`.

    By subspace iteration on the rows' Gram matrix, which the folds share (Halko, Martinsson and Tropp,
    "Finding structure with randomness", SIAM Review 53, 2011).
    """
    rows = flat[inside]
    centre = rows.mean(axis=0)
    count = min(count, len(rows) - 1)
    own = gram[np.ix_(inside, inside)]
    own = own - own.mean(axis=0) - own.mean(axis=1, keepdims=True) + own.mean()
    basis = rng.standard_normal((len(rows), min(count + 10, len(rows)))).astype(np.float32)
    for _ in range(6):
        basis, _ = np.linalg.qr(own @ basis)
    values, vectors = np.linalg.eigh((basis.T @ own @ basis).astype(np.float64))
    leading = np.argsort(values)[::-1][:count]
    leading = leading[values[leading] > 1e-6 * max(float(values.max()), 1e-6)]
    weights = (basis @ vectors[:, leading]).astype(np.float32)
    components, _ = np.linalg.qr((rows - centre).T @ weights)
    return centre, np.ascontiguousarray(components.T)
