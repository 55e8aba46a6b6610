"""What the jobs found, as text for a person: one function per result."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich import box
from rich.cells import cell_len
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from dice_core.bank import Bank
from dice_core.rows import Reason
from jobs.caveats import duplicates, expected, incomplete, number, seen, share, weight, wrong_faces
from jobs.compact import Compacted
from jobs.demo import DemoResult
from jobs.errors import ExitCode
from jobs.evaluate import DEFAULT_SCORE
from jobs.expected import told
from jobs.fit import FaceReport, FitResult
from jobs.score import ScoreResult
from jobs.show_labels import label_lines
from jobs.show_lots import alarm_lines, corrected_line, lot_lines
from jobs.text import plain, several

SUSPECTS_TOLD = 20
"""Images that look mislabelled that are listed, the oddest; all are counted."""

UNSETTLED_TOLD = 20
"""Sources that were left alone that are listed; all are counted."""

FEW_IMAGES = 50
"""Distinct images of a face under which what was learnt from them is said to be uncertain."""

_GAP = 2
"""Characters between two columns of a table."""

_WRONG_SIZE = (
    "not of the model's size: --on-size resize takes those of its aspect; to see them, query "
    "{} \"SELECT archive, member, width, height FROM scores WHERE reason = 'wrong_size'\""
)

_WIDE = 160
"""Characters in a line where it is no terminal's."""


def _table(columns: Sequence[str], rows: Iterable[Iterable[str]], spare: Iterable[str] = ()) -> Table:
    """Lay out a table; where the terminal is narrow without the spare columns, so that no number is cut."""
    cells = [list(columns), *([plain(cell) for cell in row] for row in rows)]
    for column in spare:
        if sum(max(map(cell_len, each)) + _GAP for each in zip(*cells, strict=True)) > _width() + _GAP:
            at = cells[0].index(column)
            cells = [row[:at] + row[at + 1 :] for row in cells]
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, _GAP - 1, 0, 0))
    for position, column in enumerate(cells[0]):
        table.add_column(column, justify="left" if position == 0 else "right")
    for row in cells[1:]:
        table.add_row(*row)
    return table


def _lines(lines: Iterable[str]) -> Iterable[Text]:
    return (Text(plain(line)) for line in lines)


def fitted(result: FitResult, model: str) -> RenderableType:
    """Tell what a fit learnt and what it is worth on the images that taught it, cross-fitted."""
    columns = ("face", "images", "parts", "prevalence", "variation templates", "errors", *_RATIO_NAMES)
    rows = (_face_row(report) for report in (*result.faces, result.total))
    table = _table(columns, rows, spare=("variation templates", "prevalence", "parts"))
    bank = result.bank
    lines = [
        f"thresholds: {', '.join(f'{column} {value:.4g}' for column, value in bank.thresholds.items())}",
        f"parts of unknown kind: NCC under {bank.ncc_floor:.3f}",
        "Errors, precision, recall and F1 are of the training images, each judged by a bank without it.",
        "Parts are runs of consecutive frames.",
        *_stored(bank),
        f"model: {model}",
    ]
    few = [f"{face.name} ({face.images})" for face in bank.faces if face.images < FEW_IMAGES]
    if few:
        lines.append(f"FEW IMAGES, so their thresholds are little more than guesses: {', '.join(few)}")
    if result.suspects:
        lines.append(f"LOOK MISLABELLED, so they taught nothing: {several(len(result.suspects), 'image')}")
    lines += [
        f"  {suspect.face}: {suspect.name}, {suspect.oddity:.1f} times as odd as usual for its face"
        for suspect in result.suspects[:SUSPECTS_TOLD]
    ]
    if not bank.ncc_floor:
        lines.append(
            "The good images differ too much to tell parts of unknown kind: is there more than one class?"
        )
    return Group(table, *_lines(lines))


def _stored(bank: Bank) -> list[str]:
    lines = []
    if bank.face_thresholds:
        own = ", ".join(
            f"{face} {thresholds['defect_score']:.4g}" for face, thresholds in bank.face_thresholds.items()
        )
        lines.append(f"defect_score thresholds of faces: {own}")
    if DEFAULT_SCORE in bank.expected:
        lines += expected(told(bank.expected[DEFAULT_SCORE], "fit", bank.prevalence))
    return lines


def _face_row(report: FaceReport) -> Iterable[str]:
    confusion = report.confusion
    return (
        report.face,
        f"{report.images:,}",
        f"{report.independent_parts:,}",
        share(report.prevalence),
        str(report.components),
        str(confusion.errors),
        number(confusion.precision),
        number(confusion.recall),
        number(confusion.f1),
    )


def scored(result: ScoreResult, out: str, *, merged: bool = False) -> RenderableType:
    """Tell how a scoring ended: counts, speed, F1 where there are labels, and where the rows lie."""
    told = result.summary
    counted = (
        f"{several(told['images'], 'image')} in {several(told['archives'], 'source')}: "
        f"{told['good']:,} good, {told['anomaly']:,} anomalous, {told['unknown_part']:,} of unknown kind, "
        f"{told['rejected']:,} rejected; archive junk ignored: {told['ignored']:,}"
    )
    lines = [*incomplete(told["missing"]), counted]
    if not told["images"]:
        lines.append("NO IMAGES: there was none in the sources that this job has had")
    lines += _rejected(told["reasons"], out)
    if result.scored:
        speed = f"{told['seconds']:.1f} s, {told['images_per_second']:,.0f} images/s"
        lines.append(f"{several(result.scored, 'row')} in {speed}")
    elif not merged:
        lines.append("nothing new to score")
    lines += _unsettled(result.unsettled)
    lines += [f"BROKEN, rows only up to the break: {archive}" for archive in told.get("broken_archives", ())]
    lines += [f"failed: {failure['error']}" for failure in told["failures"]]
    lines += alarm_lines(told.get("alarmed_lots", 0), told.get("lot_alarms", ()))
    lines += label_lines(told.get("labels"))
    evaluation = told["evaluation"]
    if evaluation and evaluation["f1"] is not None:
        lines += headline(evaluation)
    if evaluation and evaluation["f1"] is None:
        lines.append("no F1: no image in a folder that the model knows as one of defective parts")
    if result.exit_code is ExitCode.TOO_MANY_REJECTS:
        lines.append(f"more images rejected than --max-rejects {told['settings']['max_rejects']} allows")
    if result.exit_code is ExitCode.UNKNOWN_PARTS:
        lines.append("more than a fifth of the images do not look like the model's parts: is it their model?")
    if lost := [f"{told[key]:,} {what[told[key] != 1]}" for key, what in _TROUBLES.items() if told.get(key)]:
        lines.append(f"overcome: {', '.join(lost)}")
    if result.log_error:
        lines.append(f"THE LOG OF EVENTS BREAKS OFF: {result.log_error}")
    lines.append(f"rows, model and summary: {out}")
    return Group(*_lines(lines))


def compacted(result: Compacted, new: str) -> RenderableType:
    """Tell what a compaction came to."""
    line = f"rows {result.rows:,}, parts {result.parts:,}, files {result.files:,}: {new}"
    return Group(*_lines([line if result.written else f"nothing new to compact: {line}"]))


def _rejected(reasons: Mapping[str, int], out: str) -> list[str]:
    """Count rejects by reason, and tell what is to be done about those of a wrong size."""
    lines = [
        f"rejected: {count:,} {reason}" for reason, count in reasons.items() if reason != Reason.ARCHIVE_JUNK
    ]
    return [*lines, _WRONG_SIZE.format(out)] if reasons.get(Reason.WRONG_SIZE) else lines


def _unsettled(paths: Sequence[str]) -> list[str]:
    """Tell which sources were left alone."""
    if not paths:
        return []
    sources = "one source" if len(paths) == 1 else f"{len(paths):,} sources"
    lines = [f"left alone, as written to just now: {sources}; a later run scores them"]
    lines += [f"left alone: {path}" for path in paths[:UNSETTLED_TOLD]]
    if len(paths) > UNSETTLED_TOLD:
        lines.append(f"left alone: {len(paths) - UNSETTLED_TOLD:,} more")
    return lines


_TROUBLES = {
    "retries": ("shard tried again", "shards tried again"),
    "workers_lost": ("worker lost", "workers lost"),
}


def headline(evaluation: Mapping[str, Any]) -> list[str]:
    """Give F1 with what it takes to read it: interval, prevalence, independent parts, images seen before."""
    bounds = evaluation["intervals"]["f1"]
    between = f" (95 % between {number(bounds[0])} and {number(bounds[1])})" if bounds else ""
    lines = [
        f"F1 {number(evaluation['f1'])}{between} at {evaluation['score']} {evaluation['threshold']:.4g}",
        f"{weight(evaluation)} ({evaluation['intervals']['over']})",
    ]
    return [*lines, *seen(evaluation)]


def evaluated(evaluation: Mapping[str, Any], *, compare: bool, faces: bool = True) -> RenderableType:
    """Tell what rows are worth: the headline, then the faces, then every score column side by side."""
    parts: list[RenderableType] = [*_lines(incomplete(evaluation["missing"]))]
    parts.append(
        Text(
            f"{several(evaluation['images'], 'image')}, {evaluation['rejected']:,} rejected, "
            f"{evaluation['unlabelled']:,} unlabelled; archive junk ignored: {evaluation['ignored']:,}"
        )
    )
    parts.append(Text(duplicates(evaluation["duplicates"])))
    parts += _lines(lot_lines(evaluation["lots"]))
    if evaluation["prevalence"] is None:
        parts.append(Text("no labelled images: nothing to compare the verdicts with"))
        return Group(*parts)
    corrected = [corrected_line(evaluation)] if evaluation["corrected"] else []
    parts += _lines(
        [*headline(evaluation), *corrected, *expected(evaluation["expected"]), *wrong_faces(evaluation)]
    )
    if faces:
        parts.append(_confusion_table("face", evaluation["per_face"]))
    if note := evaluation["intervals"]["note"]:
        parts.append(Text(f"no intervals: {note}"))
    if compare:
        parts.append(_comparison(evaluation["comparison"]))
    return Group(*parts)


_RATIOS = ("precision", "recall", "f1")
_RATIO_NAMES = ("precision", "recall", "F1")
_COUNTS = ("tp", "fp", "fn", "tn")


def _confusion_table(first: str, rows: Mapping[str, Mapping[str, Any]]) -> Table:
    return _table(
        (first, "images", "parts", "prevalence", "threshold", *_COUNTS, *_RATIO_NAMES),
        (
            (
                name,
                str(row["images"]),
                str(row["independent_parts"]),
                share(row["prevalence"]),
                f"{row['threshold']:.4g}",
                *(str(row[key]) for key in _COUNTS),
                *(number(row[key]) for key in _RATIOS),
            )
            for name, row in rows.items()
        ),
        spare=("prevalence", "parts", "images", "tn"),
    )


def _comparison(comparison: Mapping[str, Mapping[str, Any]]) -> Table:
    columns = ("score", "threshold", "errors", "F1", "best F1", "AUROC", "average precision")
    return _table(
        columns,
        (
            (
                name,
                f"{row['threshold']:.4g}",
                str(row["fp"] + row["fn"]),
                *(number(row[key]) for key in ("f1", "f1_best", "auroc", "average_precision")),
            )
            for name, row in comparison.items()
        ),
        spare=("average precision",),
    )


def demonstrated(result: DemoResult) -> RenderableType:
    """Tell what the demo reached, and where its files lie."""
    told = result.scored.summary
    evaluation = result.evaluation
    f1 = f"F1 {number(evaluation['f1'])} ({weight(evaluation)})"
    lines = [
        f"{f1} on synthetic dice: a self-test, not a claim about real parts",
        f"images/s {told['images_per_second']:,.0f}",
        f"rows     {result.rows}",
        f"model    {result.model}",
        f"summary  {result.rows}/_summary.json",
    ]
    return Group(evaluated(evaluation, compare=True, faces=False), *_lines(lines))


def write(content: RenderableType) -> None:
    """Write to standard output, as wide as the content needs where that is no terminal."""
    # Names of faces and folders are others' words: nothing in them is markup.
    Console(width=_width(), highlight=False, markup=False, emoji=False, soft_wrap=True).print(content)


def _width() -> int:
    console = Console()
    return console.width if console.is_terminal else _WIDE
