"""The job ``fit``: good images (and bad ones) in, a template bank with its thresholds out."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from io import BytesIO

import numpy as np
import numpy.typing as npt

from dice_core.bank import Bank
from dice_core.crossfit import expect
from dice_core.learn import Learning
from dice_core.policy import Policy
from dice_core.rows import Reason
from dice_core.sample import runs_of
from dice_core.teach import Suspect, Taught, set_thresholds, teach
from dice_core.threshold import Confusion
from jobs import storage
from jobs.errors import Refusal
from jobs.events import COMPILING
from jobs.expected import check
from jobs.kernels import announced
from jobs.reader import Limits
from jobs.teaching import DECLARED_BAD, SMALLEST_SIDE, Sources, Teaching, collect

LARGEST_SIZE = 256
"""Pixels of the longer side that images are worked on in where nothing else is asked for."""

_SIZES = (32, 2048)
_SIZE_STEP = 8

Say = Callable[[str], None]


@dataclass(frozen=True)
class FitSettings:
    """All that a fit is asked for; checked here and nowhere else.

    Raises
    ------
    Refusal
        Naming the first value that is not taken.
    """

    sources: Sources
    model: str
    size: int | None = None
    threshold: Policy = field(default_factory=Policy)
    prevalence: float | None = None
    """Share of the parts to come that are defective; None where nobody knows."""
    per_face: bool = False
    threads: int = 1
    memory: int | None = None
    """Bytes that may be taken; None where nobody knows."""
    limits: Limits = field(default_factory=Limits)

    def __post_init__(self) -> None:
        if not self.sources.labelled and not self.sources.good:
            raise Refusal("no source: name archives or folders of good images, or give --good")
        if self.sources.labels is not None and not self.sources.labelled:
            raise Refusal("--labels: labels images of plain sources: name them beside --good and --bad")
        least, most = _SIZES
        if self.size is not None and not least <= self.size <= most:
            raise Refusal(f"--size {self.size}: give a number of pixels from {least} to {most}")
        check(self.threshold, self.prevalence)


@dataclass(frozen=True)
class FaceReport:
    """What fitting found of one face, or of all: training images, each judged by a bank without it."""

    face: str
    images: int
    independent_parts: int
    """Runs of consecutive frames that they come from."""
    components: int
    confusion: Confusion

    @property
    def prevalence(self) -> float | None:
        """Share of them that are defective."""
        return (self.confusion.tp + self.confusion.fn) / self.images if self.images else None


@dataclass(frozen=True)
class FitResult:
    """A fitted bank, what it is worth on the images that taught it, and what was not taken."""

    bank: Bank
    faces: tuple[FaceReport, ...]
    total: FaceReport
    left_out: Mapping[Reason, int]
    suspects: tuple[Suspect, ...] = ()
    """Images labelled good that look mislabelled and taught nothing, the oddest first."""


def fit(settings: FitSettings, say: Say = lambda line: None) -> FitResult:
    """Learn a bank and write it.

    Parameters
    ----------
    settings
        What to learn from, and where to write to.
    say
        Told, a line at a time, what is taken and how far it is.

    Raises
    ------
    Refusal
        Where the sources, their labels, the target or the memory do not serve.
    """
    _check_target(settings.model)
    teaching = collect(settings.sources, settings.limits)
    learning = Learning(_working_size(teaching.image_size, settings.size))
    _check_memory(settings, learning, teaching)
    _announce(teaching, say)
    with announced(lambda: say(COMPILING)):
        taught = teach(
            teaching.good,
            teaching.bad,
            learning,
            anomaly_labels=_anomaly_labels(settings.sources, teaching),
            threads=settings.threads,
            progress=lambda face: say(f"learnt {face}"),
        )
    bank = _set_thresholds(taught, settings, teaching)
    with storage.writing(settings.model) as stream:
        bank.write(stream)
    return _judge(bank, teaching, taught)


def _set_thresholds(taught: Taught, settings: FitSettings, teaching: Teaching) -> Bank:
    """Choose the thresholds, and foresee what they will do."""
    policy, prevalence, crossfit = settings.threshold, settings.prevalence, taught.crossfit
    try:
        bank = set_thresholds(taught.bank, crossfit, policy, prevalence, per_face=settings.per_face)
    except ValueError as error:
        raise Refusal(f"--threshold {policy}: {error}") from error
    runs = runs_of(taught.good.values())
    return replace(bank, expected=expect(crossfit, bank, runs, teaching.bad.runs))


def _check_target(model: str) -> None:
    """Refuse to write over a file that is no model."""
    if storage.is_folder(model):
        raise Refusal(f"--model {model}: is a folder: name a file")
    storage.check_parent(model, f"--model {model}")
    if storage.exists(model):
        try:
            Bank.read(BytesIO(storage.read(model)))
        except ValueError as error:
            raise Refusal(f"--model {model}: exists and is no model: name another file") from error


def _announce(teaching: Teaching, say: Say) -> None:
    for what, taken in (("good", teaching.taken_good), ("defective", teaching.taken_bad)):
        listed = ", ".join(f"{label} ({count:,})" for label, count in taken.items())
        say(f"taken as {what}: {listed or 'none'}")
    for reason, count in teaching.left_out.items():
        say(f"left out: {count:,} {reason}")
    table = teaching.table
    if table is not None and table.unlabelled:
        say(f"left out: {table.unlabelled:,} without a line in the table of labels")
    if table is not None and table.unmatched:
        say(f"NO IMAGE for {table.unmatched:,} lines of that table, first {table.first_unmatched(1)[0]}")


def _working_size(image_size: tuple[int, int], asked: int | None) -> tuple[int, int]:
    """Height and width to work in, the longer side `asked` or the images' own up to `LARGEST_SIZE`."""
    longer = max(image_size)
    wanted = min(longer, LARGEST_SIZE) if asked is None else asked
    if wanted > longer:
        raise Refusal(f"--size {wanted}: the images have only {longer} pixels on their longer side")
    height, width = (max(1, round(side * wanted / longer)) for side in image_size)
    if min(height, width) < SMALLEST_SIDE:
        raise Refusal(f"--size {wanted}: leaves images of {width}x{height} pixels: give a larger one")
    return height, width


def _check_memory(settings: FitSettings, learning: Learning, teaching: Teaching) -> None:
    """Refuse what would not fit before learning starts, with the size that would."""
    images = [len(sample) for sample in teaching.good.values()]

    def needed(size: tuple[int, int]) -> int:
        return Learning(size).memory(teaching.image_size, images, settings.threads, len(teaching.bad))

    if settings.memory is None or needed(learning.size) <= settings.memory:
        return
    longer = max(learning.size)
    scale = max(teaching.image_size)
    fitting = (
        smaller
        for smaller in range(longer - _SIZE_STEP, _SIZES[0] - 1, -_SIZE_STEP)
        if min(teaching.image_size) * smaller >= SMALLEST_SIDE * scale
        and needed(_working_size(teaching.image_size, smaller)) <= settings.memory
    )
    smaller = next(fitting, None)
    way_out = "give fewer images" if smaller is None else f"--size {smaller} would fit"
    raise Refusal(
        f"learning at --size {longer} takes {needed(learning.size) / 2**30:.2f} GiB of memory, "
        f"there are {settings.memory / 2**30:.2f}: {way_out}"
    )


def _anomaly_labels(sources: Sources, teaching: Teaching) -> tuple[str, ...]:
    """Names that make a folder one of defective parts when it is scored."""
    declared = [DECLARED_BAD] if sources.bad else []
    names = dict.fromkeys((*sources.anomaly_labels, *declared, *teaching.taken_bad))
    # Defective parts may lie in folders of their faces; alone, such a name says nothing of a defect.
    return tuple(name for name in names if name not in teaching.good)


def _judge(bank: Bank, teaching: Teaching, taught: Taught) -> FitResult:
    """Judge the training images as `score` would, by the banks without them and the chosen threshold."""
    samples, crossfit = [*taught.good.values(), teaching.bad], taught.crossfit
    repeats = np.concatenate([sample.repeats for sample in samples])
    runs = runs_of(samples)
    is_bad = np.arange(len(repeats)) >= len(repeats) - len(teaching.bad)
    face, ncc, defect_score = (
        np.concatenate([crossfit.good[name], crossfit.bad[name]]) for name in ("face", "ncc", "defect_score")
    )
    number = {known.name: at for at, known in enumerate(bank.faces)}
    limits = bank.limits("defect_score").astype(np.float32)[[number[name] for name in face.tolist()]]
    called = (defect_score >= limits) | (ncc < bank.ncc_floor)

    def report(name: str, own: npt.NDArray[np.bool_], components: int) -> FaceReport:
        # A photograph that was there twice counts twice, as it will in the rows.
        weight = np.where(own, repeats, 0)
        confusion = Confusion.of(np.repeat(is_bad, weight), np.repeat(called, weight))
        return FaceReport(name, int(weight.sum()), len(np.unique(runs[own])), components, confusion)

    faces = tuple(report(known.name, face == known.name, len(known.components)) for known in bank.faces)
    components = sum(len(known.components) for known in bank.faces)
    total = report("all", np.full(len(face), True), components)
    return FitResult(bank, faces, total, teaching.left_out, taught.suspects)
