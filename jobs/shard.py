"""Scores one shard: members in, one part of rows out; this is what runs on the workers."""

import time
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from io import BytesIO
from threading import Lock

from threadpoolctl import threadpool_limits

from dice_core.member import Member
from dice_core.rows import SCHEMA_VERSION, Reason
from dice_core.scale import OnSize
from dice_core.tally import Tally
from jobs import parquet, storage
from jobs.labels import LabelFile, held
from jobs.lotrule import BY_ARCHIVE, LotRule
from jobs.maps import Maps
from jobs.partfile import PartFile
from jobs.place import Place, placed
from jobs.plan import SHARD_SIZE, Bundle, Shard
from jobs.reader import Limits, members
from jobs.rows import FindLabel, Rows, ScorerLike

LoadScorer = Callable[[str, str], ScorerLike]
"""Loads the model at a path, whose hash is given; called for every shard, so it remembers."""


_held: dict[str, ScorerLike] = {}
_holding = Lock()


def load_scorer(model: str, model_hash: str) -> ScorerLike:
    """Load a model once per process, whatever its path and however many threads ask.

    The process holds the last one that was asked for, by the hash of its content.

    Raises
    ------
    ValueError
        Where the file is not the model with that hash, no model, or one of another version.
    """
    with _holding:
        if model_hash not in _held:
            _held.clear()  # before the next is read: two may be more than there is memory for
            _held[model_hash] = _read_scorer(model, model_hash)
        return _held[model_hash]


def _read_scorer(model: str, model_hash: str) -> ScorerLike:
    data = storage.read(model)
    if parquet.digest(data) != model_hash:
        raise ValueError(f"{model} is not the model of this job: its hash differs")
    from dice_core.bank import Bank  # noqa: PLC0415 - slow to import, not always needed
    from dice_core.score import Scorer  # noqa: PLC0415

    return Scorer(Bank.read(BytesIO(data)))


@dataclass(frozen=True, slots=True)
class ShardSettings:
    """What every shard of a job is scored with; goes to the workers with each task."""

    out: str
    """The job folder."""
    model: str
    model_hash: str
    fingerprint: str
    limits: Limits = field(default_factory=Limits)
    shard_size: int = SHARD_SIZE
    maps: str | None = None
    """Where heat maps go; nowhere unless told."""
    exhaustive: bool = False
    """Whether every image is compared with every face."""
    on_size: OnSize = OnSize.REJECT
    labels: LabelFile | None = None
    """Labels that go before those of folders."""
    lots: LotRule = BY_ARCHIVE
    """Which lot an image is of."""
    task_timeout: float | None = None
    """Seconds without progress after which the process is ended; None where it must not be."""
    load_scorer: LoadScorer = load_scorer


@dataclass(frozen=True, slots=True)
class PartReport:
    """A part that is committed: all that the client hears of a shard."""

    name: str
    size: int
    hash: str
    tally: Tally
    archive: str
    identity: str
    first: int
    rows: int
    seconds: float = field(default=0.0, compare=False)
    """What reading, scoring and writing took; 0 where the part was there before."""


@dataclass(frozen=True, slots=True)
class Failure:
    """A shard that has no part, and why."""

    shard: Shard
    error: str


def score_bundle(settings: ShardSettings, bundle: Bundle) -> tuple[PartReport, ...]:
    """Score the shards of one task, in order.

    With one BLAS thread, as the sums of several depend on their number.
    """
    with threadpool_limits(1, user_api="blas"):
        return tuple(score_shard(shard, settings) for shard in bundle.shards)


def read_report(url: str, fingerprint: str) -> PartReport:
    """Make the report of a part that is there.

    Raises
    ------
    pyarrow.ArrowInvalid, KeyError, ValueError
        Where the file is no part, or one of a job with other settings.
    """
    size, digest = parquet.hash_file(url)
    footer = parquet.read_footer(url)
    about = footer.metadata
    if about["fingerprint"] != fingerprint:
        raise ValueError("it is from a job with other settings")
    return PartReport(
        url.rsplit("/", 1)[-1],
        size,
        digest,
        Tally.from_json(about["tally"]),
        about["archive"],
        about["identity"],
        int(about["first"]),
        footer.rows,
    )


def score_shard(
    shard: Shard,
    settings: ShardSettings,
    scorer: ScorerLike | None = None,
    *,
    killers: Collection[int] = (),
) -> PartReport:
    """Read a shard, score its images in batches and write its part.

    Doing so again is harmless: a part that is there is whole, and is left as it is. So a task whose worker
    was lost half-way goes on where it was.

    Parameters
    ----------
    killers
        Indices of members that are not to be scored, as they kill their workers.

    Raises
    ------
    ShardError
        For whatever went wrong, naming archive and member.
    """
    with placed(shard, settings.task_timeout) as place:
        url = storage.join(settings.out, shard.part)
        if storage.exists(url):
            return read_report(url, settings.fingerprint)
        began, rows = time.monotonic(), _rows(shard, settings, scorer)
        with PartFile(url) as part:
            for member, content in _members(shard, settings, place):
                # One stream holds what would be many shards: batches end where theirs do.
                if member.index % settings.shard_size == 0 or rows.is_full:
                    _pass_on(rows, part, place)
                left_out = member.index in killers and not isinstance(content, Reason)
                rows.add(member, Reason.KILLED_WORKER if left_out else content)
            _pass_on(rows, part, place)
            place.writing = True
            report = _commit(url, shard, settings, part)
    return replace(report, seconds=time.monotonic() - began)


def _pass_on(rows: Rows, part: PartFile, place: Place) -> None:
    """Close the rows so far; none is held until its shard ends, which may be a stream of any length."""
    rows.flush()
    place.writing = True
    for table in rows.take():
        part.add(table)
    place.writing = False
    place.beat()


def try_range(shard: Shard, settings: ShardSettings, first: int, stop: int) -> int:
    """Score the members of a shard from an index up to another, and write no rows; tell how many."""
    with placed(shard, settings.task_timeout) as place:
        rows, tried = _rows(shard, settings, None), 0
        for member, content in _members(shard, settings, place):
            if member.index >= stop:
                break
            if member.index >= first:
                if member.index % settings.shard_size == 0 or rows.is_full:
                    rows.flush()
                    rows.take()
                rows.add(member, content)
                tried += 1
        rows.flush()
        return tried


def count_members(shard: Shard, settings: ShardSettings) -> int:
    """Count the members of a shard by reading them."""
    with placed(shard, settings.task_timeout) as place:
        return sum(1 for _ in _members(shard, settings, place))


def _members(shard: Shard, settings: ShardSettings, place: Place) -> Iterator[tuple[Member, bytes | Reason]]:
    for member, content in members(shard, settings.limits):
        place.member = member
        place.beat()
        yield member, content


def _rows(shard: Shard, settings: ShardSettings, scorer: ScorerLike | None) -> Rows:
    return Rows(
        scorer or settings.load_scorer(settings.model, settings.model_hash),
        storage.printable(shard.archive),
        settings.limits.max_pixels,
        None if settings.maps is None else Maps(settings.maps, shard.archive),
        exhaustive=settings.exhaustive,
        on_size=settings.on_size,
        lots=settings.lots,
        find_label=_find_label(shard, settings),
    )


def _find_label(shard: Shard, settings: ShardSettings) -> FindLabel | None:
    if settings.labels is None:
        return None
    labels = held(settings.labels)
    return partial(labels.name, labels.places(shard.archive, shard.path))


def _commit(url: str, shard: Shard, settings: ShardSettings, part: PartFile) -> PartReport:
    archive = storage.printable(shard.archive)
    metadata = {
        "schema_version": str(SCHEMA_VERSION),
        "fingerprint": settings.fingerprint,
        "model_hash": settings.model_hash,
        "archive": archive,
        "identity": shard.identity,
        "first": str(shard.first),
        "stop": str(shard.first + part.rows),
        "members": str(part.rows if shard.members is None else shard.members),
        "tally": part.tally.to_json(),
    }
    try:
        size, digest = part.finish(metadata)
    except FileExistsError:
        # The same shard ran elsewhere too: what others may have read or listed stays.
        return read_report(url, settings.fingerprint)
    return PartReport(shard.part, size, digest, part.tally, archive, shard.identity, shard.first, part.rows)
