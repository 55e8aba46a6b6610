"""Teaching: samples of good and defective images in, a template bank with its thresholds out."""

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from threadpoolctl import threadpool_limits

from dice_core.bank import Bank
from dice_core.crossfit import CrossFit, choose_face_thresholds, choose_thresholds, cross_fit, ncc_floor
from dice_core.learn import Learning, learn
from dice_core.policy import Policy
from dice_core.reference import Reference
from dice_core.sample import Sample, runs_of
from dice_core.suspect import FACTOR, suspicion


class Suspect(NamedTuple):
    """An image that was labelled good and looks otherwise: by how many times as odd as its like."""

    face: str
    name: str
    oddity: float


@dataclass(frozen=True)
class Taught:
    """What teaching gives.

    Attributes
    ----------
    bank
        All but its thresholds, which `set_thresholds` chooses.
    crossfit
        Scores of the images that taught it, by banks without them.
    good
        The images that taught each face.
    suspects
        Those that were left out, as if they were mislabelled, the oddest first.
    """

    bank: Bank
    crossfit: CrossFit
    good: Mapping[str, Sample]
    suspects: tuple[Suspect, ...]


def teach(
    good: Mapping[str, Sample],
    bad: Sample,
    learning: Learning,
    *,
    anomaly_labels: tuple[str, ...] = (),
    threads: int = 1,
    progress: Callable[[str], None] = lambda face: None,
) -> Taught:
    """Learn a bank, still without thresholds, and score the images that taught it by banks without them.

    Parameters
    ----------
    good
        Per face, its images, at least one.
    bad
        Defective images of any face; they have a part in the thresholds alone, and there may be none.
    learning
        How to learn.
    anomaly_labels
        Names of folders that hold defective parts.
    threads
        Faces learnt, and folds and draws of them scored, at once.
    progress
        Told the name of each face as it is learnt.

    Raises
    ------
    ValueError
        Where there is no face, or a face without an image.
    """
    kept, suspects = _sift(good, learning, threads)
    lessons = learn(kept, learning, threads=threads, progress=progress)
    crossfit = cross_fit(kept, lessons, bad, learning, threads=threads)
    height, width = next(iter(good.values())).images.shape[1:]
    bank = Bank(
        image_size=(height, width),
        size=learning.size,
        faces=tuple(lesson.face for lesson in lessons),
        anomaly_labels=anomaly_labels,
        ncc_floor=ncc_floor(crossfit),
        thresholds={},
        # Suspects too: they were looked at.
        taught=frozenset(content for sample in (*good.values(), bad) for content in sample.hashes),
        reference=Reference.of(list(good), crossfit.good, crossfit.every_copy, runs_of(kept.values())),
    )
    return Taught(bank, crossfit, kept, suspects)


def _sift(
    good: Mapping[str, Sample], learning: Learning, threads: int
) -> tuple[dict[str, Sample], tuple[Suspect, ...]]:
    """Leave out the images that look mislabelled."""

    def oddity(item: tuple[int, Sample]) -> npt.NDArray[np.float64]:
        number, sample = item
        return suspicion(sample, learning.size, np.random.default_rng([learning.seed, number, 1]))

    with threadpool_limits(1), ThreadPoolExecutor(threads) as pool:
        oddities = list(pool.map(oddity, enumerate(good.values())))
    kept, suspects = {}, []
    for (face, sample), odd in zip(good.items(), oddities, strict=True):
        kept[face] = sample.only(odd < FACTOR)
        suspects += [Suspect(face, sample.names[at], float(odd[at])) for at in np.flatnonzero(odd >= FACTOR)]
    return kept, tuple(sorted(suspects, key=lambda suspect: -suspect.oddity))


def set_thresholds(
    bank: Bank,
    crossfit: CrossFit,
    policy: Policy | None = None,
    prevalence: float | None = None,
    *,
    per_face: bool = False,
) -> Bank:
    """Choose a bank's thresholds from its cross-fitted scores; by the policy ``f1`` unless told otherwise.

    Raises
    ------
    ValueError
        Where the policy cannot be kept, as `Policy.choose` says.
    """
    policy = policy or Policy()
    return replace(
        bank,
        thresholds=choose_thresholds(crossfit, policy, prevalence),
        face_thresholds=choose_face_thresholds(crossfit, policy, prevalence) if per_face else {},
        policy=str(policy),
        prevalence=prevalence,
    )
