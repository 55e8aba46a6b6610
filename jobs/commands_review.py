"""The commands by which people look at rows one by one, correct labels and decide; no part changes."""

import time
from typing import Annotated

import typer

from dice_core.policy import FORMS
from jobs import show, show_review, storage
from jobs.commands import Finish, Job, Prevalence, SourceRoot, policy
from jobs.decide import decide as run_decide
from jobs.errors import Refusal
from jobs.explain import explain as run_explain
from jobs.export import LIMIT, ExportSettings, What
from jobs.export import export as run_export
from jobs.review import review as run_review
from jobs.text import plain

Note = Annotated[str | None, typer.Option(metavar="TEXT", help="Kept with it, for whoever reads it later.")]


def explain(
    job: Job,
    archive: Annotated[
        str, typer.Argument(metavar="ARCHIVE", help="As the rows name it, or the end of that: lot1.tar.")
    ],
    member: Annotated[str, typer.Argument(metavar="MEMBER", help="Its name, or its index.")],
    picture: Annotated[
        str | None,
        typer.Option(metavar="FILE.png", help="Where to draw it, as the report does but larger."),
    ] = None,
    source_root: SourceRoot = None,
) -> None:
    """Make one row anew from its image, and tell what it went through on the way.

    Exit code 1 where the row is not what its image gives.
    """
    told = run_explain(job, archive, member, tuple(source_root or ()))
    if picture is not None and told.picture is not None:
        try:
            storage.write(picture, told.picture)
        except OSError as error:
            raise Refusal(f"--picture {picture}: {error.strerror or error}: name a file to write") from error
    for line in told.lines:
        typer.echo(plain(line))
    if not told.agrees:
        raise Finish(1)


def export(
    job: Job,
    what: Annotated[
        What, typer.Option("--what", help="anomalies, the worst first; or those nearest to the threshold.")
    ],
    out: Annotated[str, typer.Option(metavar="FILE.csv", help="The CSV to write.")],
    limit: Annotated[int, typer.Option(metavar="N", help="Rows at most.")] = LIMIT,
    thumbnails: Annotated[
        str | None, typer.Option(metavar="DIR", help="Folder for a picture of each row, named in the CSV.")
    ] = None,
    source_root: SourceRoot = None,
) -> None:
    """Write images that want a look as a CSV: to be opened in a spreadsheet, corrected, and given to review.

    No cell is taken for a formula. The column correction is left for labels.
    """
    settings = ExportSettings(job, what, out, limit, thumbnails, tuple(source_root or ()))
    show.write(show_review.exported(run_export(settings), out))


def review(
    job: Job,
    corrections: Annotated[
        str,
        typer.Argument(
            metavar="CORRECTIONS.csv",
            help="The columns content_hash and correction: good, anomaly, or a label of the model.",
        ),
    ],
    note: Note = None,
) -> None:
    """Add the labels that people gave images; evaluate, report, decide and query use them from then on."""
    show.write(show_review.reviewed(run_review(job, corrections, time.time(), note)))


def decide(
    job: Job,
    threshold: Annotated[str, typer.Option(metavar="POLICY", help=f"What thresholds are for: {FORMS}.")],
    prevalence: Prevalence = None,
    per_face: Annotated[  # noqa: FBT002 - a flag
        bool, typer.Option("--per-face", help="Give each face with enough labelled good images its own.")
    ] = False,
    note: Note = None,
) -> None:
    """Choose thresholds for rows that are scored, and put them in force.

    They count in report, export, the table verdicts of query, and evaluate --decided. Each decision is kept
    beside the parts, with its time, policy, model and note.
    """
    decided = run_decide(
        job, policy(threshold), time.time(), prevalence=prevalence, per_face=per_face, note=note
    )
    show.write(show_review.decided(decided))
