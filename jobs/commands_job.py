"""The commands that make a job folder and watch over it."""

import json
from functools import partial
from typing import Annotated

import typer

from dice_core.scale import OnSize
from jobs import show, show_cluster, show_status
from jobs.commands import LIMITS, Finish, Job, MaxBytes, MaxExpansion, MaxMembers, MaxPixels, finish, say
from jobs.commands_cluster import Insecure
from jobs.compact import compact as run_compact
from jobs.config import TASK_TIMEOUT, ScoreSettings
from jobs.errors import ExitCode
from jobs.evaluate import evaluate as run_evaluate
from jobs.lotrule import ARCHIVE
from jobs.merge import merge as run_merge
from jobs.progress import counting, make_listener
from jobs.reader import Limits
from jobs.score import ScoreResult
from jobs.score import score as run_score
from jobs.sourcelist import named
from jobs.status import status as run_status
from jobs.text import in_json, plain
from jobs.verify import verify as run_verify


def score(
    sources: Annotated[
        list[str],
        typer.Argument(
            metavar="SOURCE...",
            help="tar, tar.gz, zip, folder, image, a glob of them, or @FILE that lists them.",
        ),
    ],
    model: Annotated[str, typer.Option(metavar="FILE", help="The model that fit wrote.")],
    out: Annotated[
        str, typer.Option(metavar="DIR", help="The job folder: new, or of the same job to go on with.")
    ],
    cluster: Annotated[
        str | None,
        typer.Option(
            metavar="SPEC",
            help="local[:N], a scheduler's tcp:// or tls:// address or its scheduler.json, or a YAML file "
            "that names a cluster manager.  [default: local]",
        ),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(help="Workers: local, to wait for, or to ask a manager for.  [default: one per core]"),
    ] = None,
    insecure: Insecure = False,  # noqa: FBT002 - a flag
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
    labels: Annotated[
        str | None,
        typer.Option(
            metavar="FILE", help="CSV or Parquet: archive and member, or content_hash, and label of images."
        ),
    ] = None,
    lot: Annotated[
        str,
        typer.Option(
            metavar="archive|folder|REGEX", help="Which lot an image is of; REGEX has one group, in its name."
        ),
    ] = ARCHIVE,
    part: Annotated[
        str | None,
        typer.Option(
            metavar="I/N", help="Score this share alone, such as 2/3; merge ends the job when all are done."
        ),
    ] = None,
    deadline: Annotated[
        str | None,
        typer.Option(
            metavar="DURATION",
            help="Submit no more when so much time has passed, such as 55m, and exit with 75.",
        ),
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
    on_size: Annotated[
        OnSize,
        typer.Option(help="What becomes of images of another size than the model's; resized if in shape."),
    ] = OnSize.REJECT,
    max_bytes: MaxBytes = LIMITS.max_bytes,
    max_pixels: MaxPixels = LIMITS.max_pixels,
    max_members: MaxMembers = LIMITS.max_members,
    max_expansion: MaxExpansion = LIMITS.max_expansion,
) -> None:
    """Score every image of the archives: one Parquet row each, then thresholds and F1.

    The same command again goes on where it was; sources may be added at any time.
    """
    settings = ScoreSettings(
        sources=named(sources),
        model=model,
        out=out,
        cluster=cluster,
        workers=workers,
        insecure=insecure,
        max_rejects=max_rejects,
        task_timeout=task_timeout,
        overwrite=overwrite,
        replace_changed=replace_changed,
        settle=settle,
        source_roots=tuple(source_root or ()),
        labels=labels,
        lot=lot,
        part=part,
        deadline=deadline,
        maps=maps,
        log_json=log_json,
        exhaustive=exhaustive,
        on_size=on_size,
        limits=Limits(max_bytes, max_pixels, max_members, max_expansion),
    )
    result = run_score(settings, evaluate=run_evaluate, listener=make_listener())
    if result.exit_code is ExitCode.INTERRUPTED:
        say("interrupted: what is committed stays; the same command goes on")
    elif result.exit_code is ExitCode.DEADLINE:
        say(f"--deadline {deadline}: what is committed stays; the same command goes on")
    elif part is not None:
        show.write(show_cluster.shared(result, out))
    else:
        show.write(show.scored(result, out))
    finish(result.exit_code)


def status(
    out: Job,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,  # noqa: FBT002
) -> None:
    """Tell how far a scoring is, from another shell while it runs, or afterwards."""
    result = run_status(out)
    if as_json:
        typer.echo(in_json(json.dumps(result.told(), ensure_ascii=False, allow_nan=False)))
    else:
        show.write(show_status.lines(result))


def verify(out: Job) -> None:
    """Check every part and the summary against the rows; exit code 0 only if all agree."""
    discrepancies = run_verify(out)
    for discrepancy in discrepancies:
        typer.echo(plain(discrepancy))
    if discrepancies:
        raise Finish(1)
    typer.echo("all parts, rows and the summary agree")


def merge(
    out: Annotated[str, typer.Argument(metavar="DIR", help="A job folder that all parts of a job wrote to.")],
    max_rejects: Annotated[
        str, typer.Option(metavar="N|P%", help="Images that may be rejected before the exit code is 3.")
    ] = "1%",
) -> None:
    """End a job that was scored by parts: lists, thresholds and F1; refused where a part is missing."""
    code, told = run_merge(out, evaluate=run_evaluate, max_rejects=max_rejects)
    show.write(show.scored(ScoreResult(code, told), out, merged=True))
    finish(code)


def compact(
    job: Job, out: Annotated[str, typer.Option(metavar="NEW", help="The folder to write: new or empty.")]
) -> None:
    """Copy the rows of a complete job into few large files, sorted; what is written is read-only."""
    show.write(show.compacted(run_compact(job, out, partial(counting, "compacting")), out))
