"""Learns a template bank from good images, and judges them by folds of the bank that never saw them."""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage
from skimage.filters import threshold_otsu
from skimage.morphology import convex_hull_image
from threadpoolctl import threadpool_limits

from dice_core.augment import augment
from dice_core.bank import Bank, Face
from dice_core.exposure import Exposure, even
from dice_core.residual import rebuild
from dice_core.sample import Sample
from dice_core.score import Columns, Scorer, resize

SPREAD_FLOOR = 0.02 * 255
"""Grey levels below which a spread is not believed: what sensor noise and JPEG leave anywhere."""

MARGIN = 2 / 128
"""How much of the part's outline is left out, as a share of the longer side: it moves with the crop."""


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
        Augmented copies of each image.
    folds
        Parts the images are divided into for cross-fitting, at least 2.
    seed
        Of all chance there is.
    """

    size: tuple[int, int]
    components: int = 100
    copies: int = 3
    folds: int = 3
    seed: int = 0

    def memory(self, image_size: tuple[int, int], images: Sequence[int], threads: int) -> int:
        """Bytes that learning faces of so many images takes at its highest, computed before it starts."""
        pixels = self.size[0] * self.size[1]
        kept = sum(images) * image_size[0] * image_size[1]
        banks = len(images) * (self.folds + 1) * (self.components + 5) * pixels * 4
        rows = sorted((count * (1 + self.copies) for count in images), reverse=True)[:threads]
        working = sum(2 * row * pixels * 4 + row * pixels + 3 * row * row * 4 for row in rows)
        return kept + banks + working


@dataclass(frozen=True)
class CrossFit:
    """Score columns of images by folds of the bank that were not taught with them.

    Attributes
    ----------
    good, good_labels
        Columns of the good images and their faces, in the order of faces and samples.
    shifted
        Columns of one augmented copy of each good image: what another day's light and pose do to the scores.
    bad
        Columns of the defective images.
    """

    good: Columns
    good_labels: npt.NDArray[np.str_]
    shifted: Columns
    bad: Columns


def learn(
    samples: Mapping[str, Sample],
    bad: Sample,
    learning: Learning,
    *,
    threads: int = 1,
    progress: Callable[[str], None] = lambda step: None,
) -> tuple[tuple[Face, ...], CrossFit]:
    """Learn every face and cross-fit the scores of the images that taught it.

    Parameters
    ----------
    samples
        Per face, its good images, uint8 (N, H, W), one shape for all.
    bad
        Defective images of any face; they teach the bank nothing.
    learning
        How to learn.
    threads
        Faces learnt at once, each on one core.
    progress
        Told the name of each step as it ends.

    Returns
    -------
    faces
        The bank's faces, in the order of `samples`.
    CrossFit
        Scores without verdicts' thresholds: NCC floor and threshold are the caller's to choose from them.

    Raises
    ------
    ValueError
        Where there is no face, or a face without an image.
    """
    if not samples or not all(len(sample) for sample in samples.values()):
        raise ValueError("every face needs at least one image, and there must be a face")

    def learn_one(item: tuple[int, tuple[str, Sample]]) -> _Lesson:
        number, (name, sample) = item
        rng = np.random.default_rng([learning.seed, number])
        lesson = _learn_face(name, sample, learning, rng)
        progress(name)
        return lesson

    # Faces are independent, so threads beat BLAS's own; the limit also makes the sums repeatable.
    with threadpool_limits(1), ThreadPoolExecutor(threads) as pool:
        lessons = list(pool.map(learn_one, enumerate(samples.items())))
        lessons = _lend_spread(lessons)
        crossfit = _cross_fit(samples, lessons, bad, learning, pool)
    return tuple(lesson.face for lesson in lessons), crossfit


@dataclass(frozen=True)
class _Lesson:
    face: Face
    folds: tuple[Face, ...]
    fold_of: npt.NDArray[np.int64]
    copy: npt.NDArray[np.uint8]
    held_out: bool


def _learn_face(name: str, sample: Sample, learning: Learning, rng: np.random.Generator) -> _Lesson:
    images = resize(sample.images, learning.size)
    fold_of = sample.folds(learning.folds)
    held_out = len(set(fold_of.tolist())) == learning.folds
    mean = images.mean(axis=0, dtype=np.float64).astype(np.float32)
    part = find_part(mean)
    exposure = Exposure.of(mean, part)
    copies = augment(images, learning.copies, rng)
    folds = np.concatenate([fold_of, np.repeat(fold_of, learning.copies)])
    if not held_out:
        # Too few runs to hold one out: the copies stand in for other days, and their spread is a floor.
        folds = np.arange(len(folds)) % learning.folds
    vectors = np.concatenate([even(images, part, exposure), even(copies, part, exposure)])
    flat = vectors.reshape(len(vectors), -1)
    gram = _gram(flat)
    spreads = _Spreads(mean.shape)
    fold_faces = []
    whole = Face(name, len(sample), mean, part, exposure, mean, flat[:0], mean, mean)
    for fold in range(learning.folds):
        inside = folds != fold
        centre, components = _principal(flat, gram, inside, learning.components, rng)
        centre = centre.reshape(mean.shape)
        spreads.add(vectors[~inside] - rebuild(vectors[~inside], centre, components))
        own = images[inside[: len(images)]] if held_out else images
        fold_mean = own.mean(axis=0, dtype=np.float64).astype(np.float32)
        fold_faces.append(replace(whole, mean=fold_mean, centre=centre, components=components))
    centre, components = _principal(flat, gram, np.ones(len(flat), bool), learning.components, rng)
    spread = spreads.close()
    return _Lesson(
        face=replace(whole, centre=centre.reshape(mean.shape), components=components, **spread),
        folds=tuple(replace(face, **spread) for face in fold_faces),
        fold_of=fold_of,
        copy=copies[:: learning.copies] if learning.copies else images,
        held_out=held_out,
    )


def find_part(mean: npt.NDArray[np.float32]) -> npt.NDArray[np.bool_]:
    """Tell the part from the ground in a mean template, (H, W) bool.

    The ground is what the corners show, by Otsu's threshold (IEEE Trans. SMC 9, 1979); the part is the convex
    hull of the rest less a thin rim. Where corners disagree or the part would be less than a quarter of the
    frame, the whole frame less the rim is the part: looking at too much costs a little, at too little a defect.
    """
    rim = max(1, round(MARGIN * max(mean.shape)))
    frame = np.zeros(mean.shape, bool)
    frame[rim:-rim, rim:-rim] = True
    if np.ptp(mean) < 1:
        return frame
    bright = mean > threshold_otsu(mean)
    corners = {bool(bright[y, x]) for y in (0, -1) for x in (0, -1)}
    if len(corners) > 1:
        return frame
    hull = convex_hull_image(bright != corners.pop())
    part: npt.NDArray[np.bool_] = ndimage.binary_erosion(hull, iterations=rim) & frame
    return part if part.mean() >= 0.25 else frame  # noqa: PLR2004


class _Spreads:
    """Sums of squares of held-out residuals, the dark and the bright ones apart."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        self._squares = np.zeros((2, *shape))
        self._counts = np.zeros((2, *shape))

    def add(self, residual: npt.NDArray[np.float32]) -> None:
        for side, kept in enumerate((residual < 0, residual >= 0)):
            self._squares[side] += np.square(residual, where=kept, out=np.zeros_like(residual)).sum(axis=0)
            self._counts[side] += kept.sum(axis=0)

    def close(self) -> dict[str, npt.NDArray[np.float32]]:
        """Root mean squares, smoothed as neighbouring pixels share their causes, and not under the floor."""
        mean = self._squares / np.maximum(self._counts, 1)
        smooth = np.sqrt(ndimage.gaussian_filter(mean, (0, 1, 1)))
        dark, bright = np.maximum(smooth, SPREAD_FLOOR).astype(np.float32)
        return {"spread_dark": dark, "spread_bright": bright}


def _lend_spread(lessons: Sequence[_Lesson]) -> list[_Lesson]:
    """Let faces with too few runs to know their spread use at least the others' median one."""
    known = [lesson.face for lesson in lessons if lesson.held_out]
    if not known:
        return list(lessons)
    typical = {
        name: np.median([getattr(face, name) for face in known], axis=0).astype(np.float32)
        for name in ("spread_dark", "spread_bright")
    }

    def lend(face: Face) -> Face:
        return replace(face, **{name: np.maximum(getattr(face, name), typical[name]) for name in typical})

    return [
        lesson if lesson.held_out
        else replace(lesson, face=lend(lesson.face), folds=tuple(map(lend, lesson.folds)))
        for lesson in lessons
    ]


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
    components, _ = np.linalg.qr(((rows - centre).T @ weights))
    return centre, np.ascontiguousarray(components.T)


def _cross_fit(
    samples: Mapping[str, Sample],
    lessons: Sequence[_Lesson],
    bad: Sample,
    learning: Learning,
    pool: ThreadPoolExecutor,
) -> CrossFit:
    """Score each fold's good images, their copies and its share of the bad ones by the bank without the fold."""
    names = list(samples)
    labels = np.concatenate([np.full(len(lesson.fold_of), name) for name, lesson in zip(names, lessons, strict=True)])
    images = np.concatenate([resize(sample.images, learning.size) for sample in samples.values()])
    copies = np.concatenate([lesson.copy for lesson in lessons])
    fold_of = np.concatenate([lesson.fold_of for lesson in lessons])
    bad_images = resize(bad.images, learning.size)
    bad_fold_of = bad.folds(learning.folds) if len(bad) else np.empty(0, np.int64)

    def one_fold(fold: int) -> list[tuple[npt.NDArray[np.intp], Columns]]:
        faces = tuple(lesson.folds[fold] for lesson in lessons)
        scorer = Scorer(Bank(learning.size, learning.size, faces, (), -1.0, {"defect_score": np.inf}, frozenset()))
        chosen = [np.flatnonzero(fold_of == fold), np.flatnonzero(fold_of == fold), np.flatnonzero(bad_fold_of == fold)]
        return [
            (where, scorer.score(stack[where]))
            for where, stack in zip(chosen, (images, copies, bad_images), strict=True)
        ]

    scored = list(pool.map(one_fold, range(learning.folds)))
    good, shifted, bad_columns = (_put_together([fold[part] for fold in scored]) for part in range(3))
    return CrossFit(good, labels, shifted, bad_columns)


def _put_together(pieces: Sequence[tuple[npt.NDArray[np.intp], Columns]]) -> Columns:
    order = np.argsort(np.concatenate([where for where, _ in pieces]))
    names: Any = pieces[0][1].keys()
    return {name: np.concatenate([columns[name] for _, columns in pieces])[order] for name in names}
