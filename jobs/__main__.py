"""The command line: one function per command, no logic."""

import json
import os
import sys
from enum import StrEnum
from functools import partial
from typing import Annotated, Any, NoReturn

import typer

from dice_core.policy import FORMS, Policy
from jobs import show, show_status
from jobs.caveats import incomplete
from jobs.cluster import usable_cores, usable_memory
from jobs.compact import compact as run_compact
from jobs.config import TASK_TIMEOUT, ScoreSettings
from jobs.coverage import cover
from jobs.demo import demo as run_demo
from jobs.errors import ExitCode, Refusal, UnfinishedError
from jobs.evaluate import DEFAULT_SCORE
from jobs.evaluate import evaluate as run_evaluate
from jobs.fit import FitSettings
from jobs.fit import fit as run_fit
from jobs.progress import counting, make_listener
from jobs.query import query as run_query
from jobs.query import render
from jobs.score import score as run_score
from jobs.status import status as run_status
from jobs.synth import SynthSettings
from jobs.synth import synth as run_synth
from jobs.teaching import Sources
from jobs.text import plain
from jobs.verify import verify as run_verify

PROGRAM = "dice-inspect"

app = typer.Typer(
    name=PROGRAM,
    help="Find the rare bad part in very large archives of photographs.",
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


# Newer releases bring their own copy of click, whose errors are not click's; the base is found through one.
UsageError: type[Exception] = typer.BadParameter.__mro__[1]


class Format(StrEnum):
    """How query writes its result."""

    TABLE = "table"
    CSV = "csv"
    JSON = "json"


Prevalence = Annotated[
    float | None,
    typer.Option(
        metavar="SHARE",
        help="Share of defective parts in service, such as 0.0005; tells what alarms are worth.",
    ),
]
Job = Annotated[str, typer.Argument(metavar="DIR", help="A job folder, as score wrote it.")]


@app.command()
def demo(
    out: Annotated[str, typer.Option(help="Folder for archives, model and rows.")] = "dice-demo",
    images: Annotated[int, typer.Option(help="Photographs to score.")] = 3000,
) -> None:
    """Go the whole way on synthetic dice: render, fit, score, evaluate."""
    result = run_demo(out, images, threads=usable_cores(), say=say, listener=make_listener())
    show.write(show.demonstrated(result))
    finish(result.scored.exit_code)


@app.command()
def synth(
    out: Annotated[
        str, typer.Argument(metavar="OUT.tar", help="The archive to write; the truth goes beside it.")
    ],
    images: Annotated[int, typer.Option(help="Photographs to render.")] = 2000,
    seed: Annotated[
        int, typer.Option(help="Of all chance there is; the same seed gives the same bytes.")
    ] = 0,
    defects: Annotated[float, typer.Option(help="Share of defective dice, 0 to 1.")] = 0.05,
) -> None:
    """Render an archive of synthetic dice, with the truth about each as Parquet."""
    settings = SynthSettings(out, images, seed, defects)
    with counting("rendering", images) as advance:
        run_synth(settings, advance)
    say(f"{images:,} photographs: {out}")
    say(f"the truth about them: {settings.truth}")


@app.command()
def fit(
    model: Annotated[str, typer.Option(metavar="FILE", help="The model to write.")],
    sources: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[SOURCE]...", help="Archives or folders; an image's parent folder is its label."
        ),
    ] = None,
    good: Annotated[
        list[str] | None,
        typer.Option(
            metavar="SOURCE", help="Good parts only; folders are classes, without folders one class."
        ),
    ] = None,
    bad: Annotated[
        list[str] | None, typer.Option(metavar="SOURCE", help="Defective parts only, of any class.")
    ] = None,
    anomaly_label: Annotated[
        list[str] | None, typer.Option(metavar="LABEL", help="A folder of defective parts.  [default: ano]")
    ] = None,
    size: Annotated[
        int | None,
        typer.Option(
            metavar="PX",
            help="Pixels of the longer side to work in.  [default: the images' own, at most 256]",
        ),
    ] = None,
    threshold: Annotated[
        str, typer.Option(metavar="POLICY", help=f"What thresholds are for: {FORMS}.")
    ] = "f1",
    prevalence: Prevalence = None,
    per_face: Annotated[  # noqa: FBT002 - a flag
        bool, typer.Option("--per-face", help="Give each face with enough good images its own thresholds.")
    ] = False,
) -> None:
    """Learn the templates of good parts and the thresholds, and write them as a model."""
    settings = FitSettings(
        sources=Sources(
            labelled=tuple(sources or ()),
            good=tuple(good or ()),
            bad=tuple(bad or ()),
            anomaly_labels=tuple(anomaly_label or ("ano",)),
        ),
        model=model,
        size=size,
        threshold=policy(threshold),
        prevalence=prevalence,
        per_face=per_face,
        threads=usable_cores(),
        memory=usable_memory(),
    )
    show.write(show.fitted(run_fit(settings, say), model))


@app.command()
def score(
    sources: Annotated[
        list[str], typer.Argument(metavar="SOURCE...", help="tar, tar.gz, zip, folder, or a glob of them.")
    ],
    model: Annotated[str, typer.Option(metavar="FILE", help="The model that fit wrote.")],
    out: Annotated[
        str, typer.Option(metavar="DIR", help="The job folder: new, or of the same job to go on with.")
    ],
    cluster: Annotated[
        str | None,
        typer.Option(
            metavar="SPEC", help="local, or the tcp:// address of a Dask scheduler.  [default: local]"
        ),
    ] = None,
    workers: Annotated[int | None, typer.Option(help="Local workers.  [default: one per core]")] = None,
    max_rejects: Annotated[
        str, typer.Option(metavar="N|P%", help="Images that may be rejected before the exit code is 3.")
    ] = "1%",
    task_timeout: Annotated[
        float,
        typer.Option(
            metavar="SECONDS",
            help="Time without a finished image or batch after which a worker is taken to hang and ended.",
        ),
    ] = TASK_TIMEOUT,
    overwrite: Annotated[  # noqa: FBT002 - a flag
        bool, typer.Option("--overwrite", help="Start afresh in a folder that holds a job.")
    ] = False,
    replace_changed: Annotated[  # noqa: FBT002 - a flag
        bool,
        typer.Option(
            "--replace-changed", help="Score anew what changed since it was scored, in place of its rows."
        ),
    ] = False,
    settle: Annotated[
        str | None,
        typer.Option(metavar="DURATION", help="Leave alone what was written to more recently, such as 10m."),
    ] = None,
    source_root: Annotated[
        list[str] | None,
        typer.Option(metavar="PREFIX=NAME", help="Name what lies below a folder NAME/..., wherever that is."),
    ] = None,
    maps: Annotated[
        str | None,
        typer.Option(
            metavar="DIR", help="Folder for a heat map of every newly scored image that is not found good."
        ),
    ] = None,
    log_json: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="File to append every event to, one JSON object per line."),
    ] = None,
    exhaustive: Annotated[  # noqa: FBT002 - a flag
        bool,
        typer.Option(
            "--exhaustive",
            help="Compare with every face at every small translation too, and keep all scores.",
        ),
    ] = False,
) -> None:
    """Score every image of the archives: one Parquet row each, then thresholds and F1.

    The same command again goes on where it was; sources may be added at any time.
    """
    settings = ScoreSettings(
        sources=tuple(sources),
        model=model,
        out=out,
        cluster=cluster,
        workers=workers,
        max_rejects=max_rejects,
        task_timeout=task_timeout,
        overwrite=overwrite,
        replace_changed=replace_changed,
        settle=settle,
        source_roots=tuple(source_root or ()),
        maps=maps,
        log_json=log_json,
        exhaustive=exhaustive,
    )
    result = run_score(settings, evaluate=run_evaluate, listener=make_listener())
    if result.exit_code is ExitCode.INTERRUPTED:
        say("interrupted: what is committed stays; the same command goes on")
    else:
        show.write(show.scored(result, out))
    finish(result.exit_code)


@app.command()
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
    )
    if as_json:
        typer.echo(json.dumps(evaluation, ensure_ascii=False, allow_nan=False))
    else:
        show.write(show.evaluated(evaluation, compare=score is None))


@app.command()
def status(
    out: Job,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,  # noqa: FBT002
) -> None:
    """Tell how far a scoring is, from another shell while it runs, or afterwards."""
    result = run_status(out)
    if as_json:
        typer.echo(json.dumps(result.told(), ensure_ascii=False, allow_nan=False))
    else:
        show.write(show_status.lines(result))


@app.command()
def verify(out: Job) -> None:
    """Check every part and the summary against the rows; exit code 0 only if all agree."""
    discrepancies = run_verify(out)
    for discrepancy in discrepancies:
        typer.echo(plain(discrepancy))
    if discrepancies:
        raise Finish(1)
    typer.echo("all parts, rows and the summary agree")


@app.command()
def query(
    out: Job,
    sql: Annotated[
        str, typer.Argument(metavar='"SELECT ..."', help="One SELECT; the rows are the table scores.")
    ],
    form: Annotated[Format, typer.Option("--format", help="How to write the result.")] = Format.TABLE,
) -> None:
    """Ask the rows in SQL."""
    missing = cover(out).told()
    result = render(run_query(out, sql), form.value)
    for line in incomplete(missing):
        typer.echo(plain(line), err=form is not Format.TABLE)
    typer.echo(result, nl=False)


@app.command()
def compact(
    job: Job, out: Annotated[str, typer.Option(metavar="NEW", help="The folder to write: new or empty.")]
) -> None:
    """Copy the rows of a complete job into few large files, sorted; what is written is read-only."""
    show.write(show.compacted(run_compact(job, out, partial(counting, "compacting")), out))


class Finish(Exception):  # noqa: N818 - the way out, not an error
    """Ends the process with a code, past the command line's own handling."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


def finish(code: int) -> None:
    """End with an exit code, where it is not 0."""
    if code:
        raise Finish(code)


def say(line: str) -> None:
    """Write a line about the work, on standard error: standard output is for results."""
    typer.echo(plain(line), err=True)


def policy(text: str) -> Policy:
    """Read a threshold policy."""
    try:
        return Policy.parse(text)
    except ValueError as error:
        raise Refusal(f"--threshold {error}") from error


def _told(error: Any) -> str:
    """Give the message of a refusal, and for wrong usage where the right one is told."""
    if isinstance(error, Refusal):
        return str(error)
    command = error.ctx.command_path if error.ctx else PROGRAM
    return f"{error.format_message().rstrip('.')}: {command} --help tells more"


def main(arguments: list[str] | None = None) -> NoReturn:
    """Run the command line; wrong usage and refusals are one line on standard error and exit code 2."""
    try:
        code = app(args=arguments, prog_name=PROGRAM, standalone_mode=False)
        if code == ExitCode.INTERRUPTED:  # what an interrupted command returns here rather than raises
            raise KeyboardInterrupt  # noqa: TRY301
    except (Refusal, UsageError) as error:
        say(f"{PROGRAM}: {' '.join(_told(error).split())}")
        sys.exit(ExitCode.REFUSED)
    except UnfinishedError as error:
        say(f"{PROGRAM}: {error}")
        sys.exit(ExitCode.SHARDS_FAILED)
    except (KeyboardInterrupt, typer.Abort):
        say("interrupted")
        sys.exit(ExitCode.INTERRUPTED)
    except BrokenPipeError:
        # Whoever read the output has enough; Python would complain once more when it closes it.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(ExitCode.DONE)
    except OSError as error:
        # A disk that is full, a folder that is gone: nothing in this program mends it.
        say(f"{PROGRAM}: {error.filename or 'storage'}: {error.strerror or error}: the same command goes on")
        sys.exit(ExitCode.REFUSED)
    except Finish as finished:
        sys.exit(finished.code)
    sys.exit(ExitCode.DONE)


if __name__ == "__main__":
    main()
