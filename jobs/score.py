"""The job ``score``: sources and a model in, one row per image and a summary out."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, replace
from typing import Any

from dice_core.tally import Tally
from jobs import eventlog, events, folder, lotlist, parts, plan, storage, summary
from jobs.config import SERIAL, ScoreSettings, check_spec
from jobs.coverage import cover
from jobs.errors import ExitCode, Refusal, UnfinishedError
from jobs.events import Done, Failed, Listener, Scored, Started, Stream
from jobs.execute import StoppedError
from jobs.labelling import Labelling
from jobs.lotrule import LotRule
from jobs.maps import make_folder
from jobs.parquet import digest
from jobs.plan import ArchiveRecord, Shard
from jobs.rows import ScorerLike
from jobs.shard import Failure, LoadScorer, PartReport, ShardSettings, load_scorer
from jobs.snapshot import Snapshots
from jobs.sources import Surveyed, streamed, survey
from jobs.summary import Outcome, RejectLimit, Total
from jobs.workers import open_workers

Evaluate = Callable[[str], Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class ScoreResult:
    """How a job ended.

    Attributes
    ----------
    summary
        As written to the job folder; empty where the job was interrupted.
    scored
        Rows of this run; 0 where there was nothing new to do.
    unsettled
        Paths of sources that were left alone, as they had been written to just before.
    log_error
        Why the log of events has no end; None where it has, or none was asked for.
    """

    exit_code: ExitCode
    summary: Mapping[str, Any]
    scored: int = 0
    unsettled: tuple[str, ...] = ()
    log_error: str | None = None


@dataclass(frozen=True)
class _Job:
    """What is to be done, once everything asked for is taken."""

    settings: ScoreSettings
    shard: ShardSettings
    records: list[ArchiveRecord]
    names: frozenset[str]
    """Of the files in the job folder as it starts."""
    labelling: Labelling

    @property
    def out(self) -> str:
        return self.shard.out

    def pending(self) -> Iterator[Shard]:
        return plan.shards(self.records, self.names)


def score(
    settings: ScoreSettings,
    *,
    evaluate: Evaluate,
    listener: Listener = events.ignore,
    load: LoadScorer = load_scorer,
) -> ScoreResult:
    """Score every image of the sources that has no row yet.

    Parameters
    ----------
    evaluate
        Closes the job: gives what the rows in a job folder tell, for the summary.
    listener
        Hears every event.
    load
        Loads the scorer, on the workers as well.

    Raises
    ------
    Refusal
        Where the sources, the model, the folder or the cluster are not taken.
    UnfinishedError
        Where storage is down, so that not even the summary can be written.
    """
    try:
        model = _read_model(settings.model)
        labelling = Labelling.read(settings.labels, _check_model(settings.model, model, load))
        decides = folder.deciding(
            digest(model),
            settings.shard_size,
            settings.limits,
            exhaustive=settings.exhaustive,
            on_size=settings.on_size.value,
            lot=settings.lot,
            labels=labelling.hash,
        )
        surveyed = survey(settings, decides, time.time(), listener)
        labelling.check(surveyed.records)
        apart = (settings.out, settings.model, *(record.path for record in surveyed.records))
        with eventlog.opened(settings.log_json, apart) as log, _hold(settings.out):
            stream = Stream(listener, log)
            job = _open_job(settings, decides, surveyed, model, load, labelling)
            result = _score(job, evaluate, stream)
            stream(Done(result.exit_code, complete=bool(result.summary.get("complete"))))
    except KeyboardInterrupt:
        return ScoreResult(ExitCode.INTERRUPTED, {})
    return replace(result, log_error=log.error, unsettled=surveyed.unsettled)


def _score(job: _Job, evaluate: Evaluate, stream: Stream) -> ScoreResult:
    try:
        return _score_alone(job, evaluate, stream)
    except KeyboardInterrupt:
        return ScoreResult(ExitCode.INTERRUPTED, {})
    except OSError as error:
        text = f"{error.filename or job.out}: {error.strerror or error}"
        raise UnfinishedError(f"{text}: what is committed stays, and the same command goes on") from error
    finally:
        folder.sweep(job.out)


@contextmanager
def _hold(out: str) -> Iterator[None]:
    """Keep other starts away from the folder: each would list its own parts alone."""
    if storage.exists(out) and not storage.is_folder(out):
        raise Refusal(f"{out}: is a file: name a folder to write to with --out")
    try:
        storage.make_folder(out)
        holding = ExitStack()
        holding.enter_context(storage.held(out))
    except BlockingIOError as error:
        raise Refusal(f"{out}: another score is at work in it: wait, or name another folder") from error
    except OSError as error:
        raise Refusal(f"{out}: {error.strerror or error}: name a folder to write to with --out") from error
    with holding:
        yield


def _score_alone(job: _Job, evaluate: Evaluate, stream: Stream) -> ScoreResult:
    settings = job.settings
    if _nothing_to_do(job):
        storage.remove(storage.join(job.out, folder.PROGRESS))
        tally = Total.of(report.tally for report in parts.listed(job.out)).tally
        return ScoreResult(_exit_code(settings, tally, failed=0), folder.read_summary(job.out))
    for name in (folder.SUMMARY, folder.LOTS):
        storage.remove(storage.join(job.out, name))
    result = _run(job, stream)
    code = _exit_code(settings, result.total.tally, result.failed)
    evaluation = dict(evaluate(job.out)) if result.total.tally.rows else {}
    # The evaluation was asked before there was a summary to say that the job has ended.
    covered = replace(cover(job.out), ended=result.failed == 0)
    state = {"complete": covered.complete, "missing": covered.told()}
    told = {
        **result.told(),
        **state,
        **lotlist.write(job.out).alarms,
        "hashes": folder.hashes(job.out),
        "fingerprint": job.shard.fingerprint,
        "model_hash": job.shard.model_hash,
        "settings": settings.told(),
        "labels": job.labelling.told(job.out, job.records),
        "evaluation": evaluation and {**evaluation, **state},
    }
    folder.write_json(storage.join(job.out, folder.SUMMARY), told)
    storage.remove(storage.join(job.out, folder.PROGRESS))
    return ScoreResult(code, told, result.rows)


def _read_model(url: str) -> bytes:
    try:
        return storage.read(url)
    except OSError as error:
        raise Refusal(
            f"{url}: {error.strerror or error}: name the model that fit wrote with --model"
        ) from error


def _check_model(url: str, model: bytes, load: LoadScorer) -> ScorerLike:
    try:
        return load(storage.absolute(url), digest(model))
    except ValueError as error:
        raise Refusal(f"{url}: {error}: name the model that fit wrote with --model") from error


def _open_job(
    settings: ScoreSettings,
    decides: Mapping[str, Any],
    surveyed: Surveyed,
    model: bytes,
    load: LoadScorer,
    labelling: Labelling,
) -> _Job:
    """Decide what this start does with its folder, and do it."""
    out = storage.absolute(settings.out)
    try:
        start = folder.decide(
            out,
            folder.list_live(out),
            folder.read_job(out),
            decides,
            surveyed.records,
            overwrite=settings.overwrite,
            replace_changed=settings.replace_changed,
        )
        folder.begin(out, start, decides, settings.sources, model, surveyed.records, surveyed.roots)
        names = frozenset(storage.list_names(out))
    except OSError as error:
        raise Refusal(f"{out}: {error.strerror or error}: name a folder to write to with --out") from error
    shard = ShardSettings(
        out=out,
        model=storage.join(out, folder.MODEL),
        model_hash=digest(model),
        fingerprint=folder.fingerprint(decides),
        limits=settings.limits,
        shard_size=settings.shard_size,
        maps=make_folder(settings.maps),
        exhaustive=settings.exhaustive,
        on_size=settings.on_size,
        labels=labelling.write(out),
        lots=LotRule.parse(settings.lot),
        # Serially there is no worker to end but this very process.
        task_timeout=None if check_spec(settings.cluster) == SERIAL else settings.task_timeout,
        load_scorer=load,
    )
    return _Job(settings, shard, surveyed.records, names, labelling)


def _nothing_to_do(job: _Job) -> bool:
    """Tell whether every row is there and the summary tells of all of them."""
    if not {folder.SUMMARY, folder.LOTS} <= job.names or next(job.pending(), None) is not None:
        return False
    try:
        folder.read_summary(job.out)
        return parts.agrees(job.out)
    except ValueError:
        return False  # both can be written anew from the parts


def _run(job: _Job, stream: Stream) -> Outcome:
    """Score what is pending, and list every part that is there.

    Those of earlier starts come last: where they are not listed each has to be read, and scoring can begin
    without it.
    """
    result = Outcome()
    emit = Stream(result, Snapshots(job.out), stream)
    with parts.listing(job.out) as add:

        def commit(report: PartReport) -> None:
            add(report)
            result.total.add(report.tally)

        if next(job.pending(), None) is not None:
            emit(events.of_plan(plan.shards(job.records), job.names))
            for event in streamed(job.records, job.names):
                emit(event)
            _score_pending(job, emit, commit)
        for report in parts.committed(job.out, job.names, job.shard.fingerprint):
            commit(report)
    return result


def _score_pending(job: _Job, emit: Stream, commit: Callable[[PartReport], None]) -> None:
    bundles = plan.bundles(job.pending(), job.settings.task_images)
    sees = (storage.join(job.out, folder.JOB), job.records[0].path)
    with open_workers(job.settings.cluster, job.settings.workers, job.shard, sees) as workers:
        emit(Started(workers.compile_seconds))
        began = time.monotonic()
        try:
            with closing(workers.score(bundles, emit=emit)) as outcomes:
                for outcome in outcomes:
                    if isinstance(outcome, Failure):
                        emit(events.of_failure(outcome))
                        continue
                    commit(outcome)
                    for event in events.of_part(outcome):
                        emit(event)
        except StoppedError as error:
            text = f"{error}: what is committed stays, the same command scores what is missing"
            emit(Failed(None, None, None, text))
        finally:
            emit(Scored(time.monotonic() - began))


def _exit_code(settings: ScoreSettings, tally: Tally, failed: int) -> ExitCode:
    return summary.exit_code(tally, RejectLimit.parse(settings.max_rejects), shards_failed=failed > 0)
