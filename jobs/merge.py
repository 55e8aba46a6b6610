"""The job ``merge``: brings a job that was scored in shares to its end."""

from collections.abc import Mapping
from typing import Any

from jobs import closing, folder, parts, planlist, share, storage, summary
from jobs.closing import Evaluate
from jobs.coverage import cover
from jobs.errors import ExitCode, Refusal
from jobs.labelling import Labelling
from jobs.summary import Outcome, RejectLimit

_TOLD = 10
"""Shares and sources that a refusal names; it counts them all."""


def merge(out: str, *, evaluate: Evaluate, max_rejects: str = "1%") -> tuple[ExitCode, dict[str, Any]]:
    """Write lists and summary of a job whose shares have written all parts; give exit code and summary.

    Neither sources nor model are looked at: the folder has all it takes.

    Raises
    ------
    Refusal
        Where it is no job's folder, somebody is at work in it, or a part is missing, naming whose it is.
    """
    limit = RejectLimit.parse(max_rejects)
    out = storage.absolute(out)
    job = folder.read_job(out) if storage.is_folder(out) else None
    if job is None or folder.is_compacted(job):
        raise Refusal(f"{out}: not a job folder: name the one that score wrote with --out")
    with closing.hold(out):
        labelling = Labelling.kept(out, job["decides"])
        names = frozenset(storage.list_names(out))
        outcome = Outcome(shards=_check_whole(out, job, names))
        with parts.listing(out) as add:
            for report in parts.committed(out, names, job["fingerprint"]):
                add(report)
                outcome.total.add(report.tally)
        decided = {"fingerprint": job["fingerprint"], "model_hash": job["decides"]["model"]}
        told = closing.close(out, outcome, evaluate, decided, _settings(out, job, max_rejects), labelling)
        folder.sweep(out)
    return summary.exit_code(outcome.total.tally, limit, shards_failed=False), told


def _settings(out: str, job: Mapping[str, Any], max_rejects: str) -> dict[str, Any]:
    """List what was asked for, of the shares and now."""
    decides = {name: value for name, value in job["decides"].items() if name not in ("model", "labels")}
    asked = {"sources": job["sources"], "out": storage.printable(out), "max_rejects": max_rejects}
    return {**decides, **asked}


def _check_whole(out: str, job: Mapping[str, Any], names: frozenset[str]) -> int:
    """Refuse a job with gaps; count its shards."""
    covered = cover(out, names)
    if covered.planned is None:
        raise Refusal(f"{out}: has no plan: score it, or its shares, first")
    if covered.unplanned:
        raise Refusal(f"{out}: {covered.unplanned[0]} was not planned: score every share of the same sources")
    if covered.missing:
        sources = [str(gap["name"]) for gap in covered.gaps]
        missing = f"{covered.missing:,} of {covered.planned:,} shards are missing"
        listed = f"{', '.join(sources)}{_more(covered.archives - len(sources))}"
        raise Refusal(f"{out}: {_lacking(out, job, names)}{missing}, of {listed}: score them, then merge")
    return covered.planned


def _lacking(out: str, job: Mapping[str, Any], names: frozenset[str]) -> str:
    of = job.get("shares")
    if not isinstance(of, int) or of < 1:
        return ""
    lacking = share.lacking(planlist.read(out), names, of)
    listed = ", ".join(map(str, lacking[:_TOLD]))
    word = "part" if len(lacking) == 1 else "parts"
    return f"{word} {listed}{_more(len(lacking) - _TOLD)} not whole: "


def _more(count: int) -> str:
    return f" and {count:,} more" if count > 0 else ""
