"""Teaching: samples of good and defective images in, a template bank with its thresholds out."""

from collections.abc import Callable, Mapping
from dataclasses import replace

from dice_core.bank import Bank
from dice_core.crossfit import CrossFit, choose_face_thresholds, choose_thresholds, cross_fit, ncc_floor
from dice_core.learn import Learning, learn
from dice_core.policy import Policy
from dice_core.reference import Reference
from dice_core.sample import Sample, runs_of


def teach(
    good: Mapping[str, Sample],
    bad: Sample,
    learning: Learning,
    *,
    anomaly_labels: tuple[str, ...] = (),
    threads: int = 1,
    progress: Callable[[str], None] = lambda face: None,
) -> tuple[Bank, CrossFit]:
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
        Faces learnt, and folds scored, at once.
    progress
        Told the name of each face as it is learnt.

    Returns
    -------
    Bank
        All but its thresholds, which `set_thresholds` chooses.
    CrossFit
        The scores they are chosen from.

    Raises
    ------
    ValueError
        Where there is no face, or a face without an image.
    """
    lessons = learn(good, learning, threads=threads, progress=progress)
    crossfit = cross_fit(good, lessons, bad, learning, threads=threads)
    height, width = next(iter(good.values())).images.shape[1:]
    bank = Bank(
        image_size=(height, width),
        size=learning.size,
        faces=tuple(lesson.face for lesson in lessons),
        anomaly_labels=anomaly_labels,
        ncc_floor=ncc_floor(crossfit),
        thresholds={},
        taught=frozenset(content for sample in (*good.values(), bad) for content in sample.hashes),
        reference=Reference.of(list(good), crossfit.good, crossfit.shifted, runs_of(good.values())),
    )
    return bank, crossfit


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
