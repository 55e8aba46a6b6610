"""The commands that make archives and models."""

from typing import Annotated

import typer

from dice_core.policy import FORMS
from jobs import show
from jobs.cluster import usable_cores, usable_memory
from jobs.commands import (
    LIMITS,
    MaxBytes,
    MaxExpansion,
    MaxMembers,
    MaxPixels,
    Prevalence,
    finish,
    policy,
    say,
)
from jobs.demo import demo as run_demo
from jobs.fit import FitSettings
from jobs.fit import fit as run_fit
from jobs.progress import counting, make_listener
from jobs.reader import Limits
from jobs.sourcelist import named
from jobs.synth import SynthSettings
from jobs.synth import synth as run_synth
from jobs.teaching import Sources


def demo(
    out: Annotated[str, typer.Option(help="Folder for archives, model and rows.")] = "dice-demo",
    images: Annotated[int, typer.Option(help="Photographs to score.")] = 3000,
) -> None:
    """Go the whole way on synthetic dice: render, fit, score, evaluate."""
    result = run_demo(out, images, threads=usable_cores(), say=say, listener=make_listener())
    show.write(show.demonstrated(result))
    finish(result.scored.exit_code)


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
    labels: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="Labels of each SOURCE's images, instead of their folders: CSV, Parquet, or a job's DIR.",
        ),
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
    max_bytes: MaxBytes = LIMITS.max_bytes,
    max_pixels: MaxPixels = LIMITS.max_pixels,
    max_members: MaxMembers = LIMITS.max_members,
    max_expansion: MaxExpansion = LIMITS.max_expansion,
) -> None:
    """Learn the templates of good parts and the thresholds, and write them as a model."""
    settings = FitSettings(
        sources=Sources(
            labelled=named(sources or ()),
            good=named(good or ()),
            bad=named(bad or ()),
            anomaly_labels=tuple(anomaly_label or ("ano",)),
            labels=labels,
        ),
        model=model,
        size=size,
        threshold=policy(threshold),
        prevalence=prevalence,
        per_face=per_face,
        threads=usable_cores(),
        memory=usable_memory(),
        limits=Limits(max_bytes, max_pixels, max_members, max_expansion),
    )
    show.write(show.fitted(run_fit(settings, say), model))
