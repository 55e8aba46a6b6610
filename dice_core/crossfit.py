"""Cross-fitting: training images judged by banks they had no part in, and what follows from their scores."""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import product
from statistics import median_high

import numpy as np
import numpy.typing as npt
from threadpoolctl import threadpool_limits

from dice_core.augment import augment
from dice_core.bank import Bank
from dice_core.expectation import Expectation
from dice_core.learn import Learning, Lesson
from dice_core.policy import Policy, highest_f1
from dice_core.rows import SCORE_DIRECTIONS
from dice_core.sample import Sample
from dice_core.score import Columns, Scorer, resize
from dice_core.tail import Groups, Tail

OTHER_DAY_RATE = 0.0005
"""Share of good images in another day's light and pose that may be called before a threshold is too low."""
HIGHEST_PREVALENCE = 0.05
"""Prevalence of defective parts that is assumed at most: they are rare, but known ones are collected."""
FEWEST_PER_FACE = 50
"""Good images of a face under which it has no thresholds of its own."""

FLOOR_QUANTILE = 0.001
"""Share of good images, in any light, whose NCC may lie under the one that the floor is measured from."""
FLOOR_DISTANCE = 2.5
"""How many times as far from 1 as that NCC the floor lies: a defect lowers the NCC, and is no other part."""
HIGHEST_FLOOR = 0.7
"""No floor is above this, however alike the good images are: they tell nothing of how far defects go."""


@dataclass(frozen=True)
class CrossFit:
    """Score columns of images by banks that were not taught with them; verdicts mean nothing yet.

    Mean and variation templates are those of the other folds. The part's outline, the exposure and the spread
    are of all good images: one image among hundreds moves them too little to be worth a bank of its own.

    Attributes
    ----------
    good
        Columns of the good images, (N,), in the order of faces and samples.
    shifted
        Per draw, columns of one augmented copy of each good image, (N,), its pose not found quite: what
        another day's light and pose do to the scores.
    bad
        Columns of the defective images, (M,), in the order of their sample.
    """

    good: Columns
    shifted: tuple[Columns, ...]
    bad: Columns

    @property
    def every_copy(self) -> Columns:
        """Columns of the copies of all D draws, (D * N,), one draw after another."""
        return {name: np.concatenate([draw[name] for draw in self.shifted]) for name in self.good}


def cross_fit(
    samples: Mapping[str, Sample],
    lessons: Sequence[Lesson],
    bad: Sample,
    learning: Learning,
    *,
    threads: int = 1,
) -> CrossFit:
    """Score each fold's good images, their copies and its share of the bad ones by the bank without the fold.

    Parameters
    ----------
    samples
        The good images that taught the lessons, in the same order.
    lessons
        What `learn` made of them.
    bad
        Defective images of any face, which taught no bank.
    learning
        As `learn` was given it.
    threads
        Folds, and draws of copies of them, scored at once.
    """
    images = np.concatenate([resize(sample.images, learning.size) for sample in samples.values()])
    fold_of = np.concatenate([lesson.fold_of for lesson in lessons])
    bad_images = resize(bad.images, learning.size) if len(bad) else images[:0]
    bad_fold_of = bad.folds(learning.folds)
    folds = range(learning.folds)
    own = [np.flatnonzero(fold_of == fold) for fold in folds]
    own_bad = [np.flatnonzero(bad_fold_of == fold) for fold in folds]

    def without(fold: int) -> Bank:
        faces = tuple(lesson.without[fold] for lesson in lessons)
        return Bank(learning.size, learning.size, faces, (), -1.0, {"defect_score": np.inf}, frozenset())

    def as_taken(fold: int) -> tuple[Columns, Columns]:
        scorer = Scorer(without(fold))
        return scorer.score(images[own[fold]]), scorer.score(bad_images[own_bad[fold]])

    def another_day(fold_and_draw: tuple[int, int]) -> Columns:
        fold, draw = fold_and_draw
        # The 2 keeps it apart from the chance that learning and sifting go by.
        rng = np.random.default_rng([learning.seed, 2, fold, draw])
        return Scorer(without(fold), rng).score(augment(images[own[fold]], 1, rng))

    with threadpool_limits(1), ThreadPoolExecutor(threads) as pool:
        taken = list(pool.map(as_taken, folds))
        drawn = list(pool.map(another_day, product(folds, range(learning.draws))))
    return CrossFit(
        good=_in_order(own, [good for good, _ in taken]),
        shifted=tuple(_in_order(own, drawn[at :: learning.draws]) for at in range(learning.draws)),
        bad=_in_order(own_bad, [bad for _, bad in taken]),
    )


def _in_order(where: Sequence[npt.NDArray[np.intp]], pieces: Sequence[Columns]) -> Columns:
    order = np.argsort(np.concatenate(where))
    return {name: np.concatenate([columns[name] for columns in pieces])[order] for name in pieces[0]}


def ncc_floor(crossfit: CrossFit) -> float:
    """Choose the best-face NCC under which an image shows none of the parts.

    Well below what good parts reach in their own and in another day's light: a defect lowers the NCC too,
    and a defective part is not an unknown one.
    """
    reached = median_high(
        float(np.quantile(np.concatenate([crossfit.good["ncc"], shifted["ncc"]]), FLOOR_QUANTILE))
        for shifted in crossfit.shifted
    )
    return float(np.clip(1 - FLOOR_DISTANCE * (1 - reached), 0.0, HIGHEST_FLOOR))


def choose_thresholds(
    crossfit: CrossFit, policy: Policy, prevalence: float | None = None
) -> dict[str, float]:
    """Choose the threshold of every score column from cross-fitted scores.

    Known defects may be grosser than those to come, and other days' good parts score higher than those
    that were seen. So under the policy ``f1`` a threshold is that of the highest F1 to expect, but no higher
    than what good parts in another light and pose hardly ever reach. Without a known defect that bound is the
    threshold of every policy that weighs defects. A ``value`` is one of `defect_score`; the other columns
    then choose as under ``f1``.

    A single draw of copies hardly reaches that far, and the threshold would hang on its chance: the median of
    those by each draw is taken. All draws as one sample would outweigh the images as they were taken.

    Parameters
    ----------
    crossfit
        Scores of the images that teach.
    policy
        What the thresholds are for.
    prevalence
        Share of the parts to come that are defective, between 0 and 1. Where nobody knows, ``f1`` assumes the
        share of the known ones among these images, `HIGHEST_PREVALENCE` at most.

    Returns
    -------
    dict
        Per score column its threshold, in the column's unit.

    Raises
    ------
    ValueError
        Where the policy cannot be kept, as `Policy.choose` says.
    """
    return _choose(crossfit, policy, prevalence, _assumed(crossfit, prevalence))


def _assumed(crossfit: CrossFit, prevalence: float | None) -> float:
    if prevalence is not None:
        return prevalence
    good, bad = (len(next(iter(columns.values()))) for columns in (crossfit.good, crossfit.bad))
    return min(bad / (good + bad), HIGHEST_PREVALENCE)


def _choose(crossfit: CrossFit, policy: Policy, prevalence: float | None, assumed: float) -> dict[str, float]:
    """Choose by the prevalence that is known, or by the one assumed where the policy asks for none."""
    thresholds = {}
    for column, direction in SCORE_DIRECTIONS.items():
        own = Policy() if policy.name == "value" and column != "defect_score" else policy
        good, bad, *draws = (
            direction * columns[column].astype(np.float64)
            for columns in (crossfit.good, crossfit.bad, *crossfit.shifted)
        )
        limits = [Tail.fit(shifted).threshold(OTHER_DAY_RATE) for shifted in draws]
        if own.needs_defects and not len(bad):
            chosen = limits
        elif own.name == "f1":
            # The gap to the bad ones begins where the good ones of another day end.
            chosen = [
                min(highest_f1(np.concatenate([good, shifted]), bad, assumed), limit)
                for shifted, limit in zip(draws, limits, strict=True)
            ]
        else:
            chosen = [own.choose(good, bad, prevalence)]
        # One of them, not a mean of two: that may be the score of an image.
        thresholds[column] = direction * median_high(chosen)
    return thresholds


def choose_face_thresholds(
    crossfit: CrossFit, policy: Policy, prevalence: float | None = None
) -> dict[str, dict[str, float]]:
    """Choose each face's own thresholds, from the images that were taken for it.

    A face with fewer than `FEWEST_PER_FACE` good images has none. A face without a known defect borrows
    those of all.
    """
    chosen = {}
    names, counts = np.unique(crossfit.good["face"], return_counts=True)
    for name in names[counts >= FEWEST_PER_FACE]:
        own_good, own_bad, *draws = (
            _of_face(columns, name) for columns in (crossfit.good, crossfit.bad, *crossfit.shifted)
        )
        shifted = tuple(columns for columns in draws if len(columns["face"]))
        if shifted:
            own = CrossFit(own_good, shifted, own_bad if len(own_bad["face"]) else crossfit.bad)
            # How many of the face are known tells nothing of how many come, least of all where none is.
            chosen[str(name)] = _choose(own, policy, prevalence, _assumed(crossfit, prevalence))
    return chosen


def _of_face(columns: Columns, name: str) -> Columns:
    own = columns["face"] == name
    return {column: values[own] for column, values in columns.items()}


def expect(crossfit: CrossFit, bank: Bank, good_groups: Groups, bad_groups: Groups) -> dict[str, Expectation]:
    """Expect, per score column, what the bank's thresholds will do to images like those it was taught with.

    Parameters
    ----------
    crossfit
        Their scores, by banks without them.
    bank
        The thresholds and the floor.
    good_groups, bad_groups
        Which run of frames each good and each defective image belongs to, in the cross-fit's order.
    """
    number = {face.name: at for at, face in enumerate(bank.faces)}
    expected = {}
    for column, direction in SCORE_DIRECTIONS.items():
        limits = bank.limits(column)
        margins, strange = [], []
        for columns in (crossfit.good, crossfit.bad):
            own = limits[[number[name] for name in columns["face"].tolist()]]
            margins.append(direction * (columns[column].astype(np.float64) - own))
            strange.append(columns["ncc"] < bank.ncc_floor)
        called = (margins[1] >= 0) | strange[1]
        found = Expectation.of(margins[0], strange[0], good_groups, called, bad_groups)
        if found is not None:
            expected[column] = found
    return expected
