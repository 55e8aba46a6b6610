"""What it takes to read an evaluation: what a figure rests on, and what it leaves out, as lines of text."""

from collections.abc import Mapping
from typing import Any

from jobs.text import several

_UNDEFINED = "-"

_LEAST_TOLD = 0.01
"""Alarms per million under which nobody asks how many."""
_WORST = 3
"""Confusions between faces that are told of."""


def incomplete(missing: Mapping[str, Any] | None) -> list[str]:
    """Say that a job is not complete, the share that is missing and the names of the first; nothing if it is.

    Parameters
    ----------
    missing
        As `Coverage.told` has it.
    """
    if missing is None:
        return []
    compacted = missing["compacted"]
    what, command = ("files", "compact") if compacted else ("planned shards", "score")
    planned, lacking = missing["planned_shards"], missing["missing_shards"]
    goes_on = f"the same {command} command goes on"
    if planned is None:
        return [f"INCOMPLETE: the job has not ended, and what was planned is not told; {goes_on}"]
    if lacking:
        if compacted:
            goes_on = "compact the job into a new folder"
        first = f"{lacking:,} of {planned:,} {what} ({lacking / planned:.2%}) are missing; {goes_on}"
    elif missing["unplanned_parts"]:
        others = missing["unplanned_parts"]
        first = f"all {planned:,} {what} are there, and {others:,} that were not planned; verify names them"
    else:
        first = f"all {planned:,} {what} are there, but the job has not ended; {goes_on}"
    lines = [f"INCOMPLETE: {first}"]
    lines += (_gap(gap, compacted=compacted) for gap in missing["listed"])
    if (others := missing["archives"] - len(missing["listed"])) > 0:
        lines.append(f"  and {others:,} more")
    return lines


def _gap(gap: Mapping[str, Any], *, compacted: bool) -> str:
    if compacted:
        return f"  {gap['name']}: {gap['rows']:,} rows missing"
    rows = "" if gap["missing_rows"] is None else f", {gap['missing_rows']:,} of {gap['rows']:,} rows"
    return f"  {gap['name']}: {gap['missing_shards']:,} of {gap['shards']:,} shards{rows} missing"


def number(value: float | None, digits: int = 4) -> str:
    """Write a ratio; an undefined one is a dash, and one short of 1 is not rounded to it."""
    if value is None:
        return _UNDEFINED
    most = 1 if value >= 1 else 1 - 10**-digits
    return f"{min(value, most):.{digits}f}"


def share(value: float | None) -> str:
    """Write a share; an undefined one is a dash."""
    return _UNDEFINED if value is None else f"{value:.2%}"


def seen(evaluation: Mapping[str, Any]) -> list[str]:
    """Tell how many of the images taught the model, and F1 without them."""
    if not evaluation["seen"]:
        return []
    unseen = evaluation["unseen"]
    without = "they are all there are"
    if unseen["images"]:
        without = f"F1 without them {number(unseen['f1'])}, {weight(unseen)}"
    return [f"{evaluation['seen']:,} of these images taught the model; {without}"]


def weight(judged: Mapping[str, Any]) -> str:
    """Give what it takes to read an F1."""
    return f"prevalence {judged['prevalence']:.2%}, {judged['independent_parts']:,} independent parts"


def duplicates(found: Mapping[str, int]) -> str:
    """Tell how many photographs are there more than once, byte for byte."""
    if not any(found.values()):
        return "exact duplicates: none"
    return (
        f"exact duplicates: {found['within']:,} images repeat one of their own archive, {found['between']:,} "
        f"are in more than one archive; {found['evaluated']:,} of the labelled ones repeat another"
    )


def wrong_faces(evaluation: Mapping[str, Any]) -> list[str]:
    """Tell which good images were taken for another face, the commonest confusions first."""
    pairs = {
        (true, taken): count
        for true, row in evaluation["face_confusion"].items()
        for taken, count in row.items()
    }
    wrong = sorted(
        ((count, *pair) for pair, count in pairs.items() if pair[0] != pair[1]),
        key=lambda pair: (-pair[0], pair[1:]),
    )
    if not wrong:
        return []
    worst = ", ".join(f"{true} for {taken} ({count:,})" for count, true, taken in wrong[:_WORST])
    images, alarms = evaluation["wrong_face"]["images"], evaluation["wrong_face"]["fp"]
    among = f", with {alarms:,} of the {several(evaluation['fp'], 'false alarm')}" if evaluation["fp"] else ""
    good = several(sum(pairs.values()), "good image")
    return [f"taken for another face: {images:,} of {good}{among}: {worst}"]


def expected(evaluation: Mapping[str, Any] | None) -> list[str]:
    """Tell what alarms to expect in service, and how much the figure rests on."""
    if evaluation is None:
        return ["no expectation of false alarms: no labelled good image that the model has not seen"]
    most = evaluation["alarms_per_million_bounds"][1]
    rests = f"{evaluation['good']:,} good images in {evaluation['good_parts']:,} runs"
    alarms = (
        f"expected false alarms: {_figure(evaluation['alarms_per_million'])} per million good images, "
        f"at most {_figure(max(most, _LEAST_TOLD))} (95 %)"
    )
    if evaluation["extrapolated"]:
        supported = _figure(evaluation["supported_per_million"])
        alarms += f", EXTRAPOLATED: {rests} support no rate under {supported}"
    else:
        alarms += f", from {rests}"
    if evaluation["from"] == "model":
        alarms += ", as fit measured it"
    lines = [alarms]
    if evaluation["precision"] is not None:
        low, high = evaluation["precision_bounds"]
        recall, least = evaluation["recall"], evaluation["recall_bounds"][0]
        lines.append(
            f"at a prevalence of {evaluation['prevalence']:.4g}: precision {evaluation['precision']:.2%} "
            f"({low:.2%} to {high:.2%}), with recall {recall:.2%}, at least {least:.2%}, "
            f"from {evaluation['bad']:,} defective images in {evaluation['bad_parts']:,} runs"
        )
    elif evaluation["prevalence"] is not None:
        lines.append("no precision: no labelled defective image to measure the recall on")
    return lines


def _figure(value: float) -> str:
    """Write a number of alarms, to three digits at most under a thousand, and no smaller one than matters."""
    if value < _LEAST_TOLD:
        return f"under {_LEAST_TOLD}"
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"  # noqa: PLR2004 - three digits
