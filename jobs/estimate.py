"""The job ``estimate``: what scoring the sources would take, from the plan and a sample that is scored."""

import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from math import ceil
from tempfile import TemporaryDirectory

from jobs import folder, parts, plan, storage
from jobs.closing import Evaluate, close
from jobs.cluster import usable_cores
from jobs.config import ScoreSettings
from jobs.errors import Refusal
from jobs.kinds import Kind
from jobs.parquet import digest
from jobs.plan import ArchiveRecord, Bundle, Shard
from jobs.ranges import BLOCK
from jobs.shard import Failure, LoadScorer, PartReport, ShardSettings, load_scorer
from jobs.sources import survey
from jobs.summary import Outcome
from jobs.workers import Workers, open_workers

FIRST, REST = 2, 6
"""Shards of the sample for each worker: those it gets going with, and those it is timed by."""

_LISTS = 8
"""Requests that look at or write a job's own files besides its parts."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a scoring would take.

    Attributes
    ----------
    images, sources, size, shards
        Rows, archives and folders, their bytes, and the parts they become. Where headers do not tell of rows,
        as in a tar.gz, these are as many to the byte as in the sample.
    workers
        Of one core each.
    images_per_second
        Of all workers together.
    plan_seconds, start_seconds, score_seconds, close_seconds
        To read the headers, to start and compile, to score, and to write lists and summary.
    reads, writes
        Requests, where sources and job folder are on object storage.
    output
        Bytes of the job folder.
    sampled
        Images of the sample.
    scaled
        Whether there are more workers than cores here, so that what they share was not tried.
    """

    images: int
    sources: int
    size: int
    shards: int
    workers: int
    images_per_second: float
    plan_seconds: float
    start_seconds: float
    score_seconds: float
    close_seconds: float
    reads: int
    writes: int
    output: int
    sampled: int
    scaled: bool

    @property
    def seconds(self) -> float:
        """From start to end."""
        return self.plan_seconds + self.start_seconds + self.score_seconds + self.close_seconds

    @property
    def core_hours(self) -> float:
        """Of the workers, while they score."""
        return self.workers * self.score_seconds / 3600


@dataclass(frozen=True, slots=True)
class _Timed:
    """How long a share of the sample took, and to close a job of all rows so far."""

    rows: int
    score_seconds: float
    close_seconds: float


def estimate(
    sources: tuple[str, ...],
    model: str,
    workers: int | None = None,
    *,
    evaluate: Evaluate,
    load: LoadScorer = load_scorer,
    shard_size: int = plan.SHARD_SIZE,
) -> Estimate:
    """Plan the sources, and score a sample of their shards on as many local workers as there are cores for.

    Parameters
    ----------
    workers
        Of the job; by default one per core.
    evaluate, load
        As `score` takes them.

    Raises
    ------
    Refusal
        Where the sources or the model are not taken, or the sample could not be scored.
    """
    here = min(workers or usable_cores(), usable_cores())
    with TemporaryDirectory(prefix="dice-inspect-") as place:
        out = storage.join(place, "out")
        settings = ScoreSettings(sources, model, out, workers=here, shard_size=shard_size)
        began = time.monotonic()
        try:
            content = storage.read(model)
        except OSError as error:
            raise Refusal(f"{model}: {error.strerror or error}: name the model that fit wrote") from error
        decides = folder.deciding(digest(content), shard_size, settings.limits)
        records = survey(settings, decides, time.time()).records
        folder.begin(out, folder.Start.NEW, decides, sources, content, records)
        shard = ShardSettings(
            out=out,
            model=storage.join(out, folder.MODEL),
            model_hash=digest(content),
            fingerprint=folder.fingerprint(decides),
            limits=settings.limits,
            shard_size=shard_size,
            task_timeout=settings.task_timeout,
            load_scorer=load,
        )
        planned = time.monotonic()
        sees = (storage.join(out, folder.JOB), records[0].path)
        with open_workers("local", here, shard, sees) as opened:
            started = time.monotonic()
            timed, reports = _score(opened, sample(records, here), here, out, evaluate)
    told = _told(records, workers or here, here, (planned - began, started - planned), timed, reports)
    return replace(told, output=told.output + len(content))


def sample(records: Sequence[ArchiveRecord], workers: int) -> list[Shard]:
    """Choose shards all over the plan, so that every kind of source has its share."""
    count = sum(len(record.cuts) for record in records)
    wanted = min(count, workers * (FIRST + REST))
    chosen = {index * count // wanted for index in range(wanted)}
    return [shard for position, shard in enumerate(plan.shards(records)) if position in chosen]


def _score(
    workers: Workers, shards: list[Shard], number: int, out: str, evaluate: Evaluate
) -> tuple[list[_Timed], list[PartReport]]:
    """Score the sample, and close a job of it: once when the workers have begun, and at the end."""
    first = number * FIRST
    reports: list[PartReport] = []
    timed = []
    for share in filter(None, (shards[:first], shards[first:])):
        before = sum(report.rows for report in reports)
        began = time.monotonic()
        with closing(workers.score([Bundle((shard,)) for shard in share])) as outcomes:
            for outcome in outcomes:
                if isinstance(outcome, Failure):
                    raise Refusal(f"{outcome.shard.path}: the sample fails: {outcome.error}")
                reports.append(outcome)
        scored = time.monotonic()
        _close(out, reports, evaluate)
        rows = sum(report.rows for report in reports) - before
        timed.append(_Timed(rows, scored - began, time.monotonic() - scored))
    return timed, reports


def _close(out: str, reports: list[PartReport], evaluate: Evaluate) -> None:
    outcome = Outcome(shards=len(reports))
    with parts.listing(out) as add:
        for report in reports:
            add(report)
            outcome.total.add(report.tally)
    close(out, outcome, evaluate, {}, {})


def _told(
    records: Sequence[ArchiveRecord],
    workers: int,
    here: int,
    seconds: tuple[float, float],
    timed: list[_Timed],
    reports: list[PartReport],
) -> Estimate:
    sampled, last = sum(part.rows for part in timed), timed[-1]
    if not sampled or not last.rows:
        raise Refusal("the sample has no image: there is nothing to estimate")
    rate = last.rows / last.score_seconds / here
    sizes = {record.archive: _size(record) for record in records}
    images = _images(records, sizes)
    shards = sum(len(record.cuts) for record in records)
    # What the first share took longer than the rest would have: the workers load the model.
    slow = max(0.0, timed[0].score_seconds - timed[0].rows / rate / here)
    return Estimate(
        images=images,
        sources=len(records),
        size=sum(sizes.values()),
        shards=shards,
        workers=workers,
        images_per_second=rate * workers,
        plan_seconds=seconds[0],
        start_seconds=seconds[1] + slow,
        score_seconds=images / rate / workers,
        close_seconds=_closing_seconds(timed, images),
        reads=sum(_reads(record, sizes[record.archive]) for record in records),
        writes=shards + _LISTS,
        output=sum(report.size for report in reports) * images // sampled,
        sampled=sampled,
        scaled=workers > here,
    )


def _closing_seconds(timed: list[_Timed], images: int) -> float:
    """Draw a line through the closings: something for the start, and something for every row."""
    rows = [sum(part.rows for part in timed[: index + 1]) for index in range(len(timed))]
    if len(timed) == 1:
        return timed[0].close_seconds * images / rows[0]
    each = max(0.0, timed[1].close_seconds - timed[0].close_seconds) / timed[1].rows
    return timed[1].close_seconds + each * max(0, images - rows[1])


def _images(records: Sequence[ArchiveRecord], sizes: dict[str, int]) -> int:
    """Count rows; those of an archive that does not tell are guessed from its bytes."""
    known = [(record.members, sizes[record.archive]) for record in records if record.members is not None]
    counted, size = sum(members for members, _ in known), sum(size for _, size in known)
    unknown = sum(sizes[record.archive] for record in records if record.members is None)
    return counted + (unknown * counted // size if size else 0)


def _size(record: ArchiveRecord) -> int:
    if record.kind is Kind.FOLDER:
        return sum(entry.size for entry in record.entries)
    with storage.open_read(record.path) as stream:
        return stream.seek(0, 2)


def _reads(record: ArchiveRecord, size: int) -> int:
    """Count requests: each file of a folder, or each block of a shard's slice of an archive."""
    if record.kind is Kind.FOLDER:
        return len(record.entries)
    shards = len(record.cuts)
    return shards * max(1, ceil(size / shards / BLOCK)) if shards else 0
