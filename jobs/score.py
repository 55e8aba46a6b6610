"""The job ``score``: sources and a model in, one row per image and a summary out."""

import time
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Any

from dice_core.tally import Tally
from jobs import eventlog, events, folder, parts, plan, storage, summary
from jobs.closing import Evaluate, close, hold
from jobs.config import ScoreSettings
from jobs.deadline import Deadline, DeadlineError
from jobs.errors import ExitCode, StoppedError, UnfinishedError
from jobs.events import Done, Failed, Listener, Scored, Started, Stream
from jobs.job import Asked, Job
from jobs.settle import parse_duration
from jobs.shard import Failure, LoadScorer, PartReport, load_scorer
from jobs.snapshot import Snapshots
from jobs.sources import streamed
from jobs.summary import Outcome, RejectLimit, Total
from jobs.tasksize import TaskSize
from jobs.workers import open_workers


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
    deadline = Deadline(parse_duration(settings.deadline) if settings.deadline else None)
    try:
        asked = Asked.read(settings, load, listener)
        shared = bool(settings.part)
        with eventlog.opened(settings.log_json, asked.apart) as log, hold(settings.out, shared=shared):
            stream = Stream(listener, log)
            result = _score(Job.open(asked, deadline), evaluate, stream)
            stream(Done(result.exit_code, complete=bool(result.summary.get("complete"))))
    except KeyboardInterrupt:
        return ScoreResult(ExitCode.INTERRUPTED, {})
    return replace(result, log_error=log.error, unsettled=asked.surveyed.unsettled)


def _score(job: Job, evaluate: Evaluate, stream: Stream) -> ScoreResult:
    try:
        return _score_share(job, stream) if job.settings.part else _score_alone(job, evaluate, stream)
    except KeyboardInterrupt:
        return ScoreResult(ExitCode.INTERRUPTED, {})
    except DeadlineError:
        return ScoreResult(ExitCode.DEADLINE, {})
    except OSError as error:
        text = f"{error.filename or job.out}: {error.strerror or error}"
        raise UnfinishedError(f"{text}: what is committed stays, and the same command goes on") from error
    finally:
        if not job.settings.part:  # what is unfinished may be another's that is at it
            folder.sweep(job.out)


def _score_alone(job: Job, evaluate: Evaluate, stream: Stream) -> ScoreResult:
    settings = job.settings
    if job.is_whole():
        storage.remove(storage.join(job.out, folder.PROGRESS))
        tally = Total.of(report.tally for report in parts.listed(job.out)).tally
        told = folder.read_summary(job.out)
        if told.get("unsettled") != job.unsettled:
            told["unsettled"] = job.unsettled
            folder.write_json(storage.join(job.out, folder.SUMMARY), told)
        return ScoreResult(_exit_code(settings, tally, told), told)
    for name in (folder.SUMMARY, folder.LOTS):
        storage.remove(storage.join(job.out, name))
    result = _run(job, stream)
    decided = {"fingerprint": job.shard.fingerprint, "model_hash": job.shard.model_hash}
    told = close(job.out, result, evaluate, decided, settings.told(), job.labelling, job.unsettled)
    return ScoreResult(_exit_code(settings, result.total.tally, told), told, result.rows)


def _score_share(job: Job, stream: Stream) -> ScoreResult:
    """Score one share, and leave lists and summary to `merge`."""
    outcome = Outcome()
    if next(job.pending(), None) is not None:
        for name in (folder.SUMMARY, folder.LOTS):
            storage.remove(storage.join(job.out, name))
        emit = Stream(outcome, stream)
        emit(events.of_plan(plan.shards(job.records, job.others), job.names))
        for event in streamed(job.records, job.names | job.others):
            emit(event)
        _score_pending(job, emit, lambda report: outcome.total.add(report.tally))
    code = ExitCode.SHARDS_FAILED if outcome.failed else ExitCode.DONE
    return ScoreResult(code, {**outcome.told(), "part": job.settings.part}, outcome.rows)


def _run(job: Job, stream: Stream) -> Outcome:
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


def _score_pending(job: Job, emit: Stream, commit: Callable[[PartReport], None]) -> None:
    sees = (storage.join(job.out, folder.JOB), job.records[0].path)
    settings = job.settings
    with open_workers(
        settings.cluster, settings.workers, job.shard, sees, insecure=settings.insecure, emit=emit
    ) as workers:
        size = TaskSize.of(settings.task_images, job.pending(), workers.threads)
        bundles = job.deadline.until(size.bundle(job.pending()))
        emit(Started(workers.compile_seconds))
        began = time.monotonic()
        try:
            with closing(workers.score(bundles, emit=emit)) as outcomes:
                for outcome in outcomes:
                    if isinstance(outcome, Failure):
                        emit(events.of_failure(outcome))
                        continue
                    commit(outcome)
                    size.scored(outcome.rows, outcome.seconds)
                    for event in events.of_part(outcome):
                        emit(event)
        except StoppedError as error:
            text = f"{error}: what is committed stays, the same command scores what is missing"
            emit(Failed(None, None, None, text))
            return  # to go on at once, as after a deadline, would meet the same
        finally:
            emit(Scored(time.monotonic() - began))
    job.deadline.check()


def _exit_code(settings: ScoreSettings, tally: Tally, told: Mapping[str, Any]) -> ExitCode:
    # Also of sources that this start was not asked for: whoever goes on takes the job for done.
    lacking = not told.get("complete")
    return summary.exit_code(tally, RejectLimit.parse(settings.max_rejects), shards_failed=lacking)
