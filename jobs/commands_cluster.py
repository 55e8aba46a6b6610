"""The commands about where a job may run."""

import json
from dataclasses import asdict
from typing import Annotated

import typer

from jobs import show_cluster
from jobs.check import check as run_check
from jobs.cluster import job_script
from jobs.estimate import estimate as run_estimate
from jobs.evaluate import evaluate as run_evaluate
from jobs.show import write
from jobs.sourcelist import named

Insecure = Annotated[
    bool, typer.Option("--insecure", help="Let a cluster that is started for this job send in the clear.")
]

cluster = typer.Typer(
    help="Look at a cluster before a job is sent to it.", rich_markup_mode=None, no_args_is_help=True
)


@cluster.callback()
def _group() -> None:
    """Look at a cluster before a job is sent to it."""


@cluster.command()
def check(
    spec: Annotated[str, typer.Argument(metavar="SPEC", help="A cluster, as score takes it with --cluster.")],
    sources: Annotated[
        list[str] | None, typer.Argument(metavar="[SOURCE]...", help="What a worker has to be able to read.")
    ] = None,
    out: Annotated[
        str | None, typer.Option(metavar="DIR", help="Job folder a worker has to be able to write to.")
    ] = None,
    dry_run: Annotated[  # noqa: FBT002 - a flag
        bool, typer.Option("--dry-run", help="Print the script of one job of a queue, and start none.")
    ] = False,
    insecure: Insecure = False,  # noqa: FBT002 - a flag
) -> None:
    """Start one worker, tell what it is, reads and writes, and stop it."""
    if dry_run:
        typer.echo(job_script(spec, insecure=insecure))
        return
    write(show_cluster.checked(run_check(spec, named(sources or ()), out, insecure=insecure)))


def estimate(
    sources: Annotated[
        list[str], typer.Argument(metavar="SOURCE...", help="tar, tar.gz, zip, folder, or a glob of them.")
    ],
    model: Annotated[str, typer.Option(metavar="FILE", help="The model that fit wrote.")],
    workers: Annotated[
        int | None, typer.Option(help="Workers the job would have.  [default: one per core]")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,  # noqa: FBT002
) -> None:
    """Tell what scoring would take, from the plan and a sample that is scored here; writes nothing."""
    result = run_estimate(named(sources), model, workers, evaluate=run_evaluate)
    if as_json:
        told = {**asdict(result), "seconds": result.seconds, "core_hours": result.core_hours}
        typer.echo(json.dumps(told))
    else:
        write(show_cluster.estimated(result))
