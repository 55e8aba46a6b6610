"""Makes rows of the members of one shard: decodes them, scores them in batches, lays out the table."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from dice_core import scale
from dice_core.decode import decode
from dice_core.member import Member, folder_of
from dice_core.rows import SCHEMA, Reason, Status, Verdict
from dice_core.scale import OnSize
from jobs import parquet
from jobs.lotrule import BY_ARCHIVE, LotRule
from jobs.maps import Maps

BATCH = 1024
"""Images scored at once: enough that those of one face share the reading of its variation templates."""
BATCH_PIXELS = BATCH * 128 * 128
"""And as many pixels: larger images are fewer at once."""

NAMES = 2 << 20
"""Letters of members' names held at once: usual ones are a hundredth of it in a shard, the longest 64 kB."""

SCORES = SCHEMA.names[SCHEMA.get_field_index("face") : SCHEMA.get_field_index("ncc_shifted")]
"""The columns that a scorer fills."""
COMPARISONS = SCHEMA.names[SCHEMA.get_field_index("ncc_shifted") :]
"""The columns that it fills where every face is compared: lists."""

_BEFORE = SCHEMA.names[: SCHEMA.get_field_index("face")]
"""The columns before those, of which `_LISTED` are known as a member is taken."""
_LISTED = (
    *("index", "member", "folder", "label", "offset", "size"),
    *("status", "reason", "height", "width", "content_hash"),
)
_OK = Status.OK.value, None

FindLabel = Callable[[str, str | None], str | None]
"""Gives the label of an image by its member's name and the hash of its content; None where it has none."""

Images = npt.NDArray[np.uint8]


def batch_of(size: tuple[int, int]) -> int:
    """Tell how many images of a height and width are scored at once, at least 1."""
    return max(1, min(BATCH, BATCH_PIXELS // (size[0] * size[1])))


class ScorerLike(Protocol):
    """What a shard needs of a scorer; `dice_core.score.Scorer` is the one."""

    image_size: tuple[int, int]
    """Height and width, in pixels."""
    faces: tuple[str, ...]
    anomaly_labels: tuple[str, ...]

    def score(self, images: Images) -> Mapping[str, npt.NDArray[Any]]:
        """Score images, (N, height, width), which change afterwards: each of `SCORES`, of length N."""

    def compare(self, images: Images) -> Mapping[str, npt.NDArray[Any]]:
        """Compare images with every face: each of `COMPARISONS`, (N, F)."""

    def maps(self, images: Images) -> npt.NDArray[np.float32]:
        """Draw the evidence against images, (N, height, width), in multiples of the threshold."""


class Rows:
    """Collects one row per member, in order, scoring decoded images a batch at a time."""

    def __init__(
        self,
        scorer: ScorerLike,
        archive: str,
        max_pixels: int,
        maps: Maps | None = None,
        *,
        exhaustive: bool = False,
        lots: LotRule = BY_ARCHIVE,
        find_label: FindLabel | None = None,
        on_size: OnSize = OnSize.REJECT,
    ) -> None:
        self._scorer = scorer
        self._on_size = on_size
        self._exhaustive = exhaustive
        self._maps = maps
        self._lots = lots
        self._find_label = find_label
        self._archive = archive
        self._max_pixels = max_pixels
        self._labels = {*scorer.faces, *scorer.anomaly_labels}
        self._listed: list[tuple[Any, ...]] = []
        # One batch after the other in the same memory: fresh memory costs a tenth to a quarter of decoding.
        self._images: Images = np.empty((batch_of(scorer.image_size), *scorer.image_size), np.uint8)
        self._indices: list[int] = []
        self._shapes: list[tuple[int, int]] = []
        self._scored: list[Mapping[str, npt.NDArray[Any]]] = []
        self._tables: list[pa.Table] = []
        self._named = 0

    def add(self, member: Member, content: bytes | Reason) -> None:
        """Take one member: its bytes, or why it has none."""
        image = content if isinstance(content, Reason) else decode(content, self._max_pixels, self._fits)
        shape = (None, None) if isinstance(image, Reason) else image.shape
        if not isinstance(image, Reason) and not self._fits(image.shape):
            image = Reason.WRONG_SIZE
        self._named += len(member.name)
        folder = folder_of(member.name)
        content_hash = None if isinstance(content, Reason) else parquet.digest(content)
        label = None if self._find_label is None else self._find_label(member.name, content_hash)
        label = folder if label is None else label
        label = label if label in self._labels else None
        about = (member.index, member.name, folder, label, member.offset, member.size)
        # A tuple a member, which are turned later: to append to a list a column took a tenth of decoding.
        self._listed.append((*about, *_judged(image), *shape, content_hash))
        if not isinstance(image, Reason):
            size = self._scorer.image_size
            self._images[len(self._indices)] = image if image.shape == size else scale.bring(image, size)
            self._indices.append(member.index)
            self._shapes.append(image.shape)
            if len(self._indices) == len(self._images):
                self._score()

    def flush(self) -> None:
        """Score what waits, so that no batch holds members of both sides, and close the rows so far."""
        self._score()
        if self._listed:
            self._tables.append(self._close())

    @property
    def is_full(self) -> bool:
        """Whether the names of the members since the last flush are more than are to be held."""
        return self._named >= NAMES

    def take(self) -> list[pa.Table]:
        """Give the rows that are closed and not yet taken, in order, and hold them no more."""
        taken, self._tables = self._tables, []
        return taken

    def table(self) -> pa.Table:
        """Give all rows that were not taken, in the schema of a row."""
        self.flush()
        return pa.concat_tables([SCHEMA.empty_table(), *self._tables]).combine_chunks()

    def _fits(self, shape: tuple[int, int]) -> bool:
        size = self._scorer.image_size
        return shape == size or (self._on_size is OnSize.RESIZE and scale.has_aspect(shape, size))

    def _score(self) -> None:
        if not self._indices:
            return
        images = self._images[: len(self._indices)]
        scored = self._scorer.score(images)
        compared = self._scorer.compare(images) if self._exhaustive else {}
        self._scored.append(self._as_photographed({**scored, **compared}))
        if self._maps is not None:
            called = np.flatnonzero(scored["verdict"] != Verdict.GOOD.value)
            for at, evidence in zip(called, self._scorer.maps(images[called]), strict=True):
                self._maps.write(self._indices[at], images[at], evidence)
        self._indices, self._shapes = [], []

    def _as_photographed(self, scored: dict[str, npt.NDArray[Any]]) -> dict[str, npt.NDArray[Any]]:
        factors = np.array(self._shapes) / self._scorer.image_size
        return scored if (factors == 1).all() else scale.to_photographs(scored, *factors.T)

    def _close(self) -> pa.Table:
        listed: dict[str, Sequence[Any]] = dict(zip(_LISTED, zip(*self._listed, strict=True), strict=True))
        listed["archive"] = [self._archive] * len(self._listed)
        listed["lot"] = self._lots.names(self._archive, listed["member"], listed["folder"])
        ok = np.array([status == Status.OK for status in listed["status"]])
        places = pa.array(np.cumsum(ok) - 1, mask=~ok)
        columns = [pa.array(listed[name], SCHEMA.field(name).type) for name in _BEFORE]
        columns += [_scores(self._scored, name).take(places) for name in SCORES]
        columns += [_lists(self._scored, name).take(places) for name in COMPARISONS]
        self._listed, self._scored, self._named = [], [], 0
        return pa.Table.from_arrays(columns, schema=SCHEMA)


def _judged(image: Images | Reason) -> tuple[str, str | None]:
    """Give status and reason."""
    if not isinstance(image, Reason):
        return _OK
    status = Status.IGNORED if image is Reason.ARCHIVE_JUNK else Status.REJECTED
    return status.value, image.value


def _lists(scored: Sequence[Mapping[str, npt.NDArray[Any]]], name: str) -> pa.Array:
    kind = SCHEMA.field(name).type
    pieces = []
    for batch in scored:
        if name in batch:
            count, faces = batch[name].shape
            offsets = pa.array(np.arange(count + 1) * faces, pa.int32())
            pieces.append(pa.ListArray.from_arrays(offsets, pa.array(batch[name].ravel(), kind.value_type)))
        else:
            pieces.append(pa.nulls(len(batch["face"]), kind))
    return pa.chunked_array(pieces, kind).combine_chunks()


def _scores(scored: Sequence[Mapping[str, npt.NDArray[Any]]], name: str) -> pa.Array:
    kind = SCHEMA.field(name).type
    return pa.chunked_array([pa.array(batch[name]).cast(kind) for batch in scored], kind).combine_chunks()
