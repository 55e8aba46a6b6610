"""The job ``fit``: good images (and bad ones) in, a template bank with its thresholds out."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from io import BytesIO

import numpy as np
import numpy.typing as npt

from dice_core.archive import folder_of
from dice_core.bank import Bank
from dice_core.decode import decode
from dice_core.learn import CrossFit, Learning, learn
from dice_core.rows import SCORE_DIRECTIONS, Reason
from dice_core.sample import Sample, Sampler
from dice_core.threshold import Confusion, Policy, tail_threshold
from jobs import plan, storage
from jobs.errors import Refusal
from jobs.reader import Limits, members

LARGEST_SIZE = 256
"""Pixels of the longer side that images are worked on in where nothing else is asked for."""

MOST_PER_FACE = 1000
MOST_BAD = 2000

SUSPECT_LABELS = frozenset(
    "abnormal ano anomalies anomalous anomaly bad broken damaged defect defective defects fail failed faulty"
    " ko ng nok notok outlier reject rejected rejects scrap scratch scratched scratches".split()
)

OTHER_DAY_RATE = 0.001
"""Share of good images in another day's light and pose that may be called before a threshold is too low."""

FLOOR_QUANTILE = 0.001
FLOOR_DISTANCE = 2.5
HIGHEST_FLOOR = 0.7

_ONE_CLASS = "good"
_DECLARED_BAD = "bad"
_MOST_SHAPES = 8

Say = Callable[[str], None]


@dataclass(frozen=True)
class FitSettings:
    """All that a fit is asked for; checked here and nowhere else.

    Raises
    ------
    Refusal
        Naming the first value that is not taken.
    """

    model: str
    sources: tuple[str, ...] = ()
    good: tuple[str, ...] = ()
    bad: tuple[str, ...] = ()
    anomaly_labels: tuple[str, ...] = ("ano",)
    size: int | None = None
    threshold: Policy = field(default_factory=Policy)
    threads: int = 1
    memory: int | None = None
    """Bytes that may be taken; None where nobody knows."""
    limits: Limits = field(default_factory=Limits)

    def __post_init__(self) -> None:
        if not self.sources and not self.good:
            raise Refusal("no source: name archives or folders of good images, or give --good")
        if self.size is not None and not 32 <= self.size <= 2048:  # noqa: PLR2004
            raise Refusal(f"--size {self.size}: give a number of pixels from 32 to 2048")


@dataclass(frozen=True)
class FaceReport:
    """What fitting found of one face, or of all of them: images of its training, judged by other folds."""

    face: str
    images: int
    components: int
    confusion: Confusion


@dataclass(frozen=True)
class FitResult:
    """A fitted bank and what it is worth on the images that taught it, each judged by a bank without it."""

    bank: Bank
    faces: tuple[FaceReport, ...]
    total: FaceReport
    rejected: Mapping[Reason, int]


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
        Where the sources, their labels or the memory do not serve.
    """
    _check_target(settings.model)
    found = _collect(settings)
    samples, bad, image_size = _choose_images(found, settings, say)
    learning = Learning(_working_size(image_size, settings.size))
    _check_memory(settings, learning, image_size, [len(sample) for sample in samples.values()])
    faces, crossfit = learn(samples, bad, learning, threads=settings.threads, progress=lambda face: say(f"learnt {face}"))
    bank = Bank(
        image_size=image_size,
        size=learning.size,
        faces=faces,
        anomaly_labels=_anomaly_labels(settings),
        ncc_floor=ncc_floor(crossfit),
        thresholds=choose_thresholds(crossfit, settings.threshold),
        taught=frozenset(content for sample in (*samples.values(), bad) for content in sample.hashes),
    )
    with storage.writing(settings.model) as stream:
        bank.write(stream)
    reports, total = _report(bank, samples, bad, crossfit)
    return FitResult(bank, reports, total, found.rejected)


def _check_target(model: str) -> None:
    """Refuse to write over a file that is no model."""
    if storage.is_folder(model):
        raise Refusal(f"--model {model}: is a folder: name a file")
    if storage.exists(model):
        try:
            Bank.read(BytesIO(storage.read(model)))
        except ValueError as error:
            raise Refusal(f"--model {model}: exists and is no model: name another file") from error


@dataclass
class _Found:
    """What one pass over the sources kept: a sample per label and image shape."""

    good: dict[str, dict[tuple[int, int], Sampler]] = field(default_factory=dict)
    bad: dict[str, dict[tuple[int, int], Sampler]] = field(default_factory=dict)
    rejected: Counter[Reason] = field(default_factory=Counter)

    def add(self, label: str, image: npt.NDArray[np.uint8], content: bytes, name: str, *, bad: bool) -> None:
        shapes = (self.bad if bad else self.good).setdefault(label, {})
        shape = (image.shape[0], image.shape[1])
        if shape not in shapes and len(shapes) == _MOST_SHAPES:
            self.rejected[Reason.WRONG_SIZE] += 1
            return
        sampler = shapes.setdefault(shape, Sampler(MOST_BAD if bad else MOST_PER_FACE))
        sampler.add(image, blake2b(content, digest_size=16).hexdigest(), name)


def _collect(settings: FitSettings) -> _Found:
    """Pass once over all sources and keep a bounded sample of each label."""
    found = _Found()
    for source, name, content in _contents(settings.sources, found.rejected, settings.limits):
        label = folder_of(name)
        if not label:
            raise Refusal(f"{source}: {name} lies in no folder, so it has no label: use --good for it")
        bad = label in settings.anomaly_labels
        if not bad and reads_as_defective(label):
            raise Refusal(
                f"{source}: the label {label!r} reads as defective: "
                f"add --anomaly-label {label}, or rename the folder"
            )
        _decode_into(found, label, name, content, settings.limits, bad=bad)
    for source, name, content in _contents(settings.good, found.rejected, settings.limits):
        label = folder_of(name) or _ONE_CLASS
        if label in settings.anomaly_labels or reads_as_defective(label):
            raise Refusal(f"{source}: the label {label!r} under --good reads as defective: give it as --bad")
        _decode_into(found, label, name, content, settings.limits, bad=False)
    for _, name, content in _contents(settings.bad, found.rejected, settings.limits):
        _decode_into(found, folder_of(name) or _DECLARED_BAD, name, content, settings.limits, bad=True)
    return found


def reads_as_defective(label: str) -> bool:
    """Tell whether a folder's name says that its parts are defective, in any case and with any separators."""
    words = "".join(letter if letter.isalnum() else " " for letter in label.lower()).split()
    return any(word in SUSPECT_LABELS for word in words) or "".join(words) in SUSPECT_LABELS


def _contents(
    sources: tuple[str, ...], rejected: Counter[Reason], limits: Limits
) -> Iterator[tuple[str, str, bytes]]:
    """Read every member of every source: where it is, its name, its bytes."""
    if not sources:
        return
    for archive in storage.expand(sources):
        record = plan.survey(archive, plan.SHARD_SIZE)
        for shard in plan.shards([record]):
            for member, content in members(shard, limits.max_bytes):
                if not isinstance(content, Reason):
                    yield archive, member.name, content
                elif content is not Reason.ARCHIVE_JUNK:
                    rejected[content] += 1


def _decode_into(
    found: _Found, label: str, name: str, content: bytes, limits: Limits, *, bad: bool
) -> None:
    image = decode(content, limits.max_pixels)
    if isinstance(image, Reason):
        found.rejected[image] += 1
    else:
        found.add(label, image, content, name, bad=bad)


def _choose_images(
    found: _Found, settings: FitSettings, say: Say
) -> tuple[dict[str, Sample], Sample, tuple[int, int]]:
    """Settle on the commonest image size, and tell which labels are taken for what."""
    sizes: Counter[tuple[int, int]] = Counter()
    for shapes in (*found.good.values(), *found.bad.values()):
        sizes.update({shape: sampler.seen for shape, sampler in shapes.items()})
    good_shapes = {shape for shapes in found.good.values() for shape in shapes}
    if not good_shapes:
        where = ", ".join((*settings.sources, *settings.good))
        raise Refusal(f"{where}: holds no good image: name archives or folders of good parts")
    image_size = max(good_shapes, key=lambda shape: (sizes[shape], shape))
    if min(image_size) < 16:  # noqa: PLR2004
        raise Refusal(f"images of {image_size[1]}x{image_size[0]} pixels are too small to match: at least 16x16")
    for shape, count in sizes.items():
        found.rejected[Reason.WRONG_SIZE] += count * (shape != image_size)
    good = {label: shapes[image_size] for label, shapes in sorted(found.good.items()) if image_size in shapes}
    bad = {label: shapes[image_size] for label, shapes in sorted(found.bad.items()) if image_size in shapes}
    for what, samplers in (("good", good), ("defective", bad)):
        listed = ", ".join(f"{label} ({sampler.seen:,})" for label, sampler in samplers.items())
        say(f"taken as {what}: {listed or 'none'}")
    for reason, count in sorted(found.rejected.items()):
        if count:
            say(f"left out: {count:,} {reason}")
    return {label: sampler.sample() for label, sampler in good.items()}, _pool(list(bad.values())), image_size


def _pool(samplers: list[Sampler]) -> Sample:
    """Put the defective images of all labels together; runs of one label stay apart from those of another."""
    samples = [sampler.sample() for sampler in samplers]
    if not samples:
        return Sampler(1).sample()
    starts = np.cumsum([0, *(int(sample.runs.max()) + 1 for sample in samples)])
    return Sample(
        images=np.concatenate([sample.images for sample in samples]),
        runs=np.concatenate([sample.runs + start for sample, start in zip(samples, starts, strict=False)]),
        repeats=np.concatenate([sample.repeats for sample in samples]),
        hashes=tuple(content for sample in samples for content in sample.hashes),
        names=tuple(name for sample in samples for name in sample.names),
    )


def _working_size(image_size: tuple[int, int], asked: int | None) -> tuple[int, int]:
    """Height and width to work in, the longer side `asked` or the images' own up to `LARGEST_SIZE`."""
    longer = max(image_size)
    wanted = min(longer, LARGEST_SIZE) if asked is None else asked
    if wanted > longer:
        raise Refusal(f"--size {wanted}: the images are only {longer} pixels on their longer side")
    height, width = (max(1, round(side * wanted / longer)) for side in image_size)
    if min(height, width) < 16:  # noqa: PLR2004
        raise Refusal(f"--size {wanted}: leaves images of {width}x{height} pixels: give a larger one")
    return height, width


def _check_memory(
    settings: FitSettings, learning: Learning, image_size: tuple[int, int], images: list[int]
) -> None:
    """Refuse what would not fit before learning starts, with the size that would."""
    if settings.memory is None:
        return
    needed = learning.memory(image_size, images, settings.threads)
    if needed <= settings.memory:
        return
    longer = max(learning.size)
    for smaller in range(longer - 8, 31, -8):
        size = _working_size(image_size, smaller)
        if Learning(size).memory(image_size, images, settings.threads) <= settings.memory:
            way_out = f"--size {smaller} would fit"
            break
    else:
        way_out = "no size would fit: give fewer images"
    raise Refusal(
        f"learning at --size {longer} takes {needed / 2**30:.1f} GiB, there are {settings.memory / 2**30:.1f}: {way_out}"
    )


def _anomaly_labels(settings: FitSettings) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*settings.anomaly_labels, *([_DECLARED_BAD] if settings.bad else []))))


def ncc_floor(crossfit: CrossFit) -> float:
    """Choose the best-face NCC under which an image shows none of the parts.

    Well below what good parts reach in their own and in another day's light: a defect lowers the NCC too,
    and a defective part is not an unknown one.
    """
    reached = float(np.quantile(np.concatenate([crossfit.good["ncc"], crossfit.shifted["ncc"]]), FLOOR_QUANTILE))
    return float(np.clip(1 - FLOOR_DISTANCE * (1 - reached), 0.0, HIGHEST_FLOOR))


def choose_thresholds(crossfit: CrossFit, policy: Policy) -> dict[str, float]:
    """Choose the threshold of every score column from cross-fitted scores.

    Known defects may be grosser than those to come, and other days' good parts score higher than those
    that were seen. So under the policy ``f1`` a threshold lies between the good and the bad where they
    separate, but no higher than what good parts in another light and pose hardly ever reach.
    """
    thresholds = {}
    for column, direction in SCORE_DIRECTIONS.items():
        own = Policy() if policy.name == "value" and column != "defect_score" else policy
        good, shifted, bad = (
            direction * columns[column].astype(np.float64)
            for columns in (crossfit.good, crossfit.shifted, crossfit.bad)
        )
        if own.name == "f1":
            other_day = tail_threshold(shifted, OTHER_DAY_RATE)
            chosen = min(own.choose(good, bad), other_day) if len(bad) else other_day
        else:
            chosen = own.choose(good, bad)
        thresholds[column] = direction * chosen
    return thresholds


def _report(
    bank: Bank, samples: Mapping[str, Sample], bad: Sample, crossfit: CrossFit
) -> tuple[tuple[FaceReport, ...], FaceReport]:
    """Judge the training images as `score` would, by the folds' banks and the chosen threshold."""
    repeats = np.concatenate([*(sample.repeats for sample in samples.values()), bad.repeats])
    is_bad = np.repeat([False, True], [len(repeats) - len(bad), len(bad)])
    columns = {name: np.concatenate([crossfit.good[name], crossfit.bad[name]]) for name in ("face", "ncc", "defect_score")}
    called = columns["defect_score"] >= np.float32(bank.thresholds["defect_score"])
    called |= columns["ncc"] < bank.ncc_floor

    def report(name: str, own: npt.NDArray[np.bool_], components: int) -> FaceReport:
        weight = np.where(own, repeats, 0)
        confusion = Confusion.of(np.repeat(is_bad, weight), np.repeat(called, weight))
        return FaceReport(name, int(weight.sum()), components, confusion)

    faces = tuple(
        report(face.name, columns["face"] == face.name, len(face.components)) for face in bank.faces
    )
    return faces, report("all", np.ones(len(repeats), bool), sum(len(face.components) for face in bank.faces))
