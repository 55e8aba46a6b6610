"""What the jobs found of lots, as lines for a person."""

from collections.abc import Mapping, Sequence
from typing import Any

ALARMS_SHOWN = 10
"""Lots that have a line each; all are counted."""

_WORDS = {
    "many_anomalies": "more of its parts are called than can be expected",
    "partly_higher": "part of its parts score higher: part may be bad",
    "all_higher": "all its parts score higher: another light or pose, or one faint defect in all",
    "wider": "its scores are spread more widely than those of good parts",
    "all_lower": "all its parts score lower: out of focus, perhaps, which hides defects",
}


def alarm_lines(alarmed: int, alarms: Sequence[Mapping[str, Any]]) -> list[str]:
    """Tell of lots with an alarm, as the summary lists them, a line each up to `ALARMS_SHOWN`."""
    lines = [_line(alarm) for alarm in alarms[:ALARMS_SHOWN]]
    if alarmed > len(lines):
        lines.append(f"LOT ALARM in {alarmed - len(lines):,} more lots: _lots.parquet has them all")
    return lines


def _line(alarm: Mapping[str, Any]) -> str:
    shift = "" if alarm["shift"] is None else f", lot_shift {alarm['shift']:+.2f}"
    facts = f"{alarm['images']:,} images, {alarm['share_called']:.1%} called{shift}"
    return f"LOT ALARM {alarm['lot']}: {_WORDS[alarm['reason']]} ({facts})"


def lot_lines(lots: Mapping[str, Any]) -> list[str]:
    """Tell of the lots of an evaluation: how many there are, then those with an alarm."""
    few = f", {lots['too_few']:,} with too few images to tell" if lots["too_few"] else ""
    lines = [f"lots: {lots['count']:,}, of which {lots['alarmed']:,} with an alarm{few}"]
    if not lots["reference"]:
        lines.append("The model knows not where good scores lie, so no drift is told: fit it anew for that.")
    alarms = [{**line, "reason": line["alarm"]} for line in lots["listed"] if line["alarm"]]
    return lines + alarm_lines(lots["alarmed"], alarms)


def corrected_line(evaluation: Mapping[str, Any]) -> str:
    """Tell what correcting the thresholds of drifted lots would change, beside what is."""
    corrected = evaluation["corrected"]
    f1 = "-" if corrected["f1"] is None else f"{corrected['f1']:.4f}"
    return (
        f"with thresholds corrected in {corrected['lots']:,} of {evaluation['lots']['count']:,} lots: "
        f"F1 {f1}, "
        f"{corrected['fp']:,} false alarms and {corrected['fn']:,} misses "
        f"instead of {evaluation['fp']:,} and {evaluation['fn']:,}"
    )
