"""What ``fit`` learns from: a bounded sample of images per label, from one pass over the sources."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from dice_core.decode import decode
from dice_core.member import folder_of
from dice_core.rows import Reason
from dice_core.sample import Sample, Sampler
from jobs import plan, storage
from jobs.errors import Refusal
from jobs.lookup import Lookup
from jobs.parquet import digest
from jobs.reader import Limits, members

MOST_PER_FACE = 1000
MOST_BAD = 2000

SUSPECT_WORDS = frozenset(
    {
        *(
            "abnormal",
            "ano",
            "anomalies",
            "anomalous",
            "anomaly",
            "bad",
            "broken",
            "crack",
            "cracked",
            "damaged",
        ),
        *(
            "defect",
            "defective",
            "defects",
            "fail",
            "failed",
            "faulty",
            "ko",
            "ng",
            "nok",
            "notok",
            "outlier",
        ),
        *("reject", "rejected", "rejects", "scrap", "scratch", "scratched", "scratches"),
    }
)
"""Words in a label that say its parts are defective."""

ONE_CLASS = "good"
"""Label of good images that lie in no folder."""

DECLARED_BAD = "bad"
"""Label of defective images that lie in no folder."""

SMALLEST_SIDE = 16
"""Pixels under which an image shows too little to match."""

_MOST_SHAPES = 8

Shape = tuple[int, int]


@dataclass(frozen=True)
class Sources:
    """Where to learn from.

    Attributes
    ----------
    labelled
        Archives and folders in which an image's parent folder is its label.
    good, bad
        Those that hold good and defective images only.
    anomaly_labels
        Labels of defective images among the labelled.
    """

    labelled: tuple[str, ...] = ()
    good: tuple[str, ...] = ()
    bad: tuple[str, ...] = ()
    anomaly_labels: tuple[str, ...] = ("ano",)
    labels: str | None = None
    """Table that tells the labels of the labelled instead of their folders."""


@dataclass(frozen=True)
class Teaching:
    """The images to learn from, all of one size.

    Attributes
    ----------
    good
        Per face, in the order of their names.
    bad
        The defective images of all labels.
    image_size
        Height and width of the photographs, pixels.
    taken_good, taken_bad
        Labels and how many images each had in the sources.
    left_out
        How many images were not taken, by reason.
    table
        The table of labels, where there was one, with what it missed.
    """

    good: Mapping[str, Sample]
    bad: Sample
    image_size: Shape
    taken_good: Mapping[str, int]
    taken_bad: Mapping[str, int]
    left_out: Mapping[Reason, int]
    table: Lookup | None = None


def collect(sources: Sources, limits: Limits) -> Teaching:
    """Pass once over all sources and keep a bounded sample of each label.

    Raises
    ------
    Refusal
        Where a source is not there, a label reads as defective undeclared, or no good image is left.
    """
    found = _Found(limits)
    table = None if sources.labels is None else Lookup.of(sources.labels, storage.expand(sources.labelled))
    for source, name, content in _contents(sources.labelled, found):
        label = folder_of(name) if table is None else table.name((source,), name, digest(content))
        if label is None:
            continue
        if not label:
            raise Refusal(
                f"{source}: {name} lies in no folder, so it has no label: give the source as --good or --bad"
            )
        if label in sources.anomaly_labels:
            found.add(found.bad, label, name, content)
            continue
        if reads_as_defective(label):
            way_out = f"add --anomaly-label {label}, or rename the folder"
            raise Refusal(f"{source}: the label {label!r} reads as defective: {way_out}")
        found.add(found.good, label, name, content)
    for source, name, content in _contents(sources.good, found):
        label = folder_of(name) or ONE_CLASS
        if label in sources.anomaly_labels or reads_as_defective(label):
            raise Refusal(f"{source}: the label {label!r} under --good reads as defective: give it as --bad")
        found.add(found.good, label, name, content)
    for source, name, content in _contents(sources.bad, found):
        label = folder_of(name) or DECLARED_BAD
        if sources.labelled and label in found.good:
            way_out = "give each source an option of its own, --good or --bad"
            raise Refusal(
                f"{source}: the label {label!r} is defective here and good in another source: {way_out}"
            )
        found.add(found.bad, label, name, content)
    teaching = _settle(found, (*sources.labelled, *sources.good))
    return teaching if table is None else replace(teaching, table=table)


def reads_as_defective(label: str) -> bool:
    """Tell whether a label says that its parts are defective, in any case and with any separators."""
    words = "".join(letter if letter.isalnum() else " " for letter in label.lower()).split()
    return any(word in SUSPECT_WORDS for word in words) or "".join(words) in SUSPECT_WORDS


Samplers = dict[str, dict[Shape, Sampler]]


@dataclass
class _Found:
    """What the pass kept so far: a sample for each label and image size."""

    limits: Limits
    good: Samplers = field(default_factory=dict)
    bad: Samplers = field(default_factory=dict)
    left_out: Counter[Reason] = field(default_factory=Counter)

    def add(self, kind: Samplers, label: str, name: str, content: bytes) -> None:
        image = decode(content, self.limits.max_pixels)
        if isinstance(image, Reason):
            self.left_out[image] += 1
            return
        shapes = kind.setdefault(label, {})
        shape = (image.shape[0], image.shape[1])
        if shape not in shapes and len(shapes) == _MOST_SHAPES:
            self.left_out[Reason.WRONG_SIZE] += 1
            return
        sampler = shapes.setdefault(shape, Sampler(MOST_BAD if kind is self.bad else MOST_PER_FACE))
        sampler.add(image, digest(content), name)


def _contents(sources: tuple[str, ...], found: _Found) -> Iterator[tuple[str, str, bytes]]:
    """Read every member of every source: where it is, its name, its bytes."""
    for archive in storage.expand(sources):
        record = plan.survey(archive, plan.SHARD_SIZE, found.limits.max_members)
        for shard in plan.shards([record]):
            for member, content in members(shard, found.limits):
                if not isinstance(content, Reason):
                    yield archive, member.name, content
                elif content is not Reason.ARCHIVE_JUNK:
                    found.left_out[content] += 1


def _settle(found: _Found, asked: tuple[str, ...]) -> Teaching:
    """Settle on the commonest image size; images of another are left out."""
    sizes: Counter[Shape] = Counter()
    for shapes in found.good.values():
        sizes.update({shape: sampler.seen for shape, sampler in shapes.items()})
    if not sizes:
        raise Refusal(f"{', '.join(asked)}: holds no good image: name archives or folders of good parts")
    image_size = max(sizes, key=lambda shape: (sizes[shape], shape))
    if min(image_size) < SMALLEST_SIDE:
        height, width = image_size
        raise Refusal(
            f"images of {width}x{height} pixels show too little: at least {SMALLEST_SIDE} on each side"
        )
    for label, shapes in found.good.items():
        if image_size not in shapes:
            height, width = image_size
            raise Refusal(
                f"{label}: none of its images is {width}x{height} pixels, as most are: "
                "bring them to one size, or leave the folder out"
            )
    left_out = found.left_out.copy()
    for shapes in (*found.good.values(), *found.bad.values()):
        left_out[Reason.WRONG_SIZE] += sum(
            other.seen for shape, other in shapes.items() if shape != image_size
        )
    good, bad = (
        {label: shapes[image_size] for label, shapes in sorted(kind.items()) if image_size in shapes}
        for kind in (found.good, found.bad)
    )
    samples = {label: sampler.sample() for label, sampler in good.items()}
    pooled = _pool([sampler.sample() for sampler in bad.values()])
    _refuse_contradictions(samples, pooled)
    return Teaching(
        good=samples,
        bad=pooled,
        image_size=image_size,
        taken_good={label: sampler.seen for label, sampler in good.items()},
        taken_bad={label: sampler.seen for label, sampler in bad.items()},
        left_out={reason: count for reason, count in sorted(left_out.items()) if count},
    )


def _refuse_contradictions(good: Mapping[str, Sample], bad: Sample) -> None:
    """Refuse photographs that are, byte for byte, both good and defective."""
    defective = dict(zip(bad.hashes, bad.names, strict=True))
    both = [
        defective[content] for sample in good.values() for content in sample.hashes if content in defective
    ]
    if both:
        raise Refusal(f"{both[0]}: good and defective at once, as are {len(both) - 1} others: sort them")


def _pool(samples: list[Sample]) -> Sample:
    """Put samples together; runs of one label stay apart from those of another."""
    if not samples:
        return Sampler(1).sample()
    starts = np.cumsum([0, *(int(sample.runs.max()) + 1 for sample in samples[:-1])])
    runs: list[npt.NDArray[np.int64]] = [
        sample.runs + start for sample, start in zip(samples, starts, strict=True)
    ]
    return Sample(
        images=np.concatenate([sample.images for sample in samples]),
        runs=np.concatenate(runs),
        repeats=np.concatenate([sample.repeats for sample in samples]),
        hashes=tuple(content for sample in samples for content in sample.hashes),
        names=tuple(name for sample in samples for name in sample.names),
    )
