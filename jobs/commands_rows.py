"""The commands that tell what the rows of a job hold; none of them changes one."""

import json
import sys
import time
from enum import StrEnum
from typing import Annotated

import typer

from dice_core.policy import FORMS
from jobs import decisions, show
from jobs.caveats import incomplete
from jobs.commands import Job, Prevalence, SourceRoot, page, policy
from jobs.coverage import cover
from jobs.errors import Refusal
from jobs.evaluate import DEFAULT_SCORE
from jobs.evaluate import evaluate as run_evaluate
from jobs.query import find_jobs
from jobs.query import query as run_query
from jobs.render import as_parquet, render
from jobs.report import GALLERY, ReportSettings
from jobs.report import report as run_report
from jobs.text import in_json, plain


class Format(StrEnum):
    """How query writes its result."""

    TABLE = "table"
    CSV = "csv"
    JSON = "json"
    PARQUET = "parquet"


def evaluate(
    out: Job,
    score: Annotated[
        str | None,
        typer.Option(metavar="COLUMN", help="Score column.  [default: defect_score, beside all others]"),
    ] = None,
    threshold: Annotated[
        str | None,
        typer.Option(
            metavar="POLICY",
            help=f"What if: {FORMS}.  [default: the model's]",
        ),
    ] = None,
    prevalence: Prevalence = None,
    per_face: Annotated[  # noqa: FBT002 - a flag
        bool, typer.Option("--per-face", help="Choose the what-if for each face on its own.")
    ] = False,
    correct_lots: Annotated[  # noqa: FBT002 - a flag
        bool, typer.Option("--correct-lots", help="What if the thresholds of drifted lots were corrected.")
    ] = False,
    decided: Annotated[  # noqa: FBT002 - a flag
        bool, typer.Option("--decided", help="Judge by the thresholds of the decision in force.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,  # noqa: FBT002
) -> None:
    """Tell what the rows are worth, from the Parquet alone; writes nothing."""
    evaluation = run_evaluate(
        out,
        score or DEFAULT_SCORE,
        None if threshold is None else policy(threshold),
        prevalence=prevalence,
        per_face=per_face,
        correct_lots=correct_lots,
        decided=decided,
    )
    if as_json:
        typer.echo(in_json(json.dumps(evaluation, ensure_ascii=False, allow_nan=False)))
    else:
        show.write(show.evaluated(evaluation, compare=score is None))
        if not decided and (decision := decisions.read(out)) is not None:
            typer.echo(
                f"decision {decision.number} is in force, and report, export and query go by it; "
                "these figures do not: --decided does"
            )


def query(
    job: Annotated[str, typer.Argument(metavar="DIR", help="A job folder, or a quoted glob of them.")],
    sql: Annotated[
        str,
        typer.Argument(metavar='"SELECT ..."', help="One SELECT over the tables scores, verdicts and parts."),
    ],
    form: Annotated[Format, typer.Option("--format", help="How to write the result.")] = Format.TABLE,
) -> None:
    """Ask the rows in SQL.

    scores has every row, verdicts what counts now by reviews and decisions, parts the files. SQL reaches
    nothing else. Parquet is written to standard output, for a file or another program.
    """
    if form is Format.PARQUET and sys.stdout.isatty():
        raise Refusal("--format parquet: is not for a terminal: write it to a file with > FILE.parquet")
    caveats = [line for found in find_jobs(job) for line in incomplete(cover(found).told())]
    result = run_query(job, sql)
    if form is Format.PARQUET:
        content = as_parquet(result)
        told = ""
    else:
        content, told = b"", render(result, form.value)
    if form is Format.TABLE:
        told = "".join(f"{plain(line)}\n" for line in caveats) + told
        page(told)
        return
    for line in caveats:
        typer.echo(plain(line), err=True)
    typer.echo(content or told, nl=False)


def report(
    job: Job,
    out: Annotated[str, typer.Option(metavar="FILE.html", help="The report to write.")],
    gallery: Annotated[
        int, typer.Option(metavar="N", help="Images of each kind in the gallery; 0 for none.")
    ] = GALLERY,
    source_root: SourceRoot = None,
) -> None:
    """Show what a job found as one HTML file: figures, plots, lots, and a gallery of what is worth a look.

    The file needs no network and no server. Images are read from their archives; what is gone is said to be.
    """
    result = run_report(ReportSettings(job, out, gallery, tuple(source_root or ())), time.time())
    gone = f", {result.gone:,} of them not to be had" if result.gone else ""
    typer.echo(plain(f"report of {result.size / 1e6:.1f} MB, {result.images:,} images{gone}: {out}"))
