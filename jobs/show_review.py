"""What people's looks at rows came to, as text for a person."""

from collections.abc import Iterator, Mapping
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from jobs.caveats import incomplete, number
from jobs.decide import Decided
from jobs.export import Exported
from jobs.review import Reviewed
from jobs.text import plain

TOLD = 20
"""Conflicts and unmatched hashes that have a line each; all are counted."""


def _group(lines: Iterator[str]) -> RenderableType:
    return Group(*(Text(plain(line)) for line in lines))


def exported(result: Exported, out: str) -> RenderableType:
    """Tell what an export came to."""
    gone = f"; {result.gone:,} thumbnails are not to be had" if result.gone else ""
    return _group(iter([f"rows {result.rows:,}{gone}: {out}"]))


def reviewed(result: Reviewed) -> RenderableType:
    """Tell what a review came to, conflict by conflict."""
    return _group(_reviewed(result))


def _reviewed(result: Reviewed) -> Iterator[str]:
    yield f"corrections: {result.added:,} new, {result.unchanged:,} as they were"
    for conflict in result.conflicts[:TOLD]:
        by = "an earlier review" if conflict.reviewed else "its folder"
        changed = f"{conflict.label}, was {conflict.was} by {by}"
        yield f"CONFLICT {conflict.member}: {changed} ({conflict.content_hash})"
    if len(result.conflicts) > TOLD:
        yield f"CONFLICT of {len(result.conflicts) - TOLD:,} more"
    if result.unmatched:
        yield f"UNMATCHED, no image of the job: {len(result.unmatched):,}, first {result.unmatched[0]}"
    yield f"in force: {result.name}" if result.name else "nothing new"


def decided(result: Decided) -> RenderableType:
    """Tell what is in force now, beside what was."""
    return _group(_decided(result))


def _decided(result: Decided) -> Iterator[str]:
    decision = result.decision
    yield from incomplete(result.missing)
    yield f"decision {decision.number}: {decision.policy}, defect_score {decision.threshold:.4g}"
    own = {face: value for face, value in decision.faces.items() if value != decision.threshold}
    if own:
        yield "of faces: " + ", ".join(f"{face} {value:.4g}" for face, value in own.items())
    yield f"before: {_counts(result.before)}"
    yield f"now:    {_counts(decision.outcome)}"
    yield f"in force: {result.name}"


def _counts(outcome: Mapping[str, Any]) -> str:
    ratios = ", ".join(f"{key} {number(outcome[key])}" for key in ("precision", "recall"))
    return (
        f"{outcome['anomalies']:,} anomalies and {outcome['unknown_parts']:,} parts of unknown kind among "
        f"{outcome['images']:,} images, F1 {number(outcome['f1'])}, {ratios}"
    )
