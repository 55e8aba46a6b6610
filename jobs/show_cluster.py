"""What is known of a cluster, as text for a person."""

from collections.abc import Iterable

from rich.console import Group, RenderableType
from rich.text import Text

from jobs import memory
from jobs.check import Checked
from jobs.estimate import Estimate
from jobs.score import ScoreResult
from jobs.text import duration, plain, several, size


def checked(workers: Iterable[Checked]) -> RenderableType:
    """Tell what each worker is, reads and writes."""
    lines: list[str] = []
    for worker in workers:
        held = memory.told(worker.memory) if worker.memory else "not limited"
        lines += [
            f"worker {worker.worker} on {worker.host}: Python {worker.python}",
            f"  threads {worker.threads}, memory {held}",
            f"  {', '.join(f'{package} {version}' for package, version in worker.versions.items())}",
            f"  {' '.join(f'{name}={value}' for name, value in worker.environment.items())}",
            *(f"  reads {path}" for path in worker.reads),
        ]
        if worker.writes is not None:
            lines.append(f"  writes {worker.writes}")
    return Group(*(Text(plain(line)) for line in lines))


def shared(result: ScoreResult, out: str) -> RenderableType:
    """Tell how the scoring of one share of a job ended."""
    told = result.summary
    lines = [f"part {told['part']}: nothing new to score"]
    if result.scored:
        rate = f"{told['images_per_second']:,.0f} images/s"
        lines = [f"part {told['part']}: {several(result.scored, 'row')} in {told['seconds']:.1f} s, {rate}"]
    lines += [f"failed: {failure['error']}" for failure in told["failures"]]
    lines.append(f"when all parts are done: dice-inspect merge {out}")
    return Group(*(Text(plain(line)) for line in lines))


def estimated(told: Estimate) -> RenderableType:
    """Tell what a scoring would take."""
    begin = f"plan {told.plan_seconds:,.1f} s, start {told.start_seconds:,.1f} s"
    score = f"score {told.score_seconds:,.1f} s, close {told.close_seconds:,.1f} s"
    shards = f"sources {told.sources:,}, shards {told.shards:,}"
    lines = [
        f"{several(told.images, 'image')}, {size(told.size)}, {shards}",
        f"workers {told.workers:,}: {told.images_per_second:,.0f} images/s, {_work(told.core_hours)}",
        f"{duration(told.seconds)}: {begin}, {score}",
        f"on object storage {told.reads:,} requests to read and {told.writes:,} to write",
        f"job folder {size(told.output)}",
        f"from a sample of {several(told.sampled, 'image')} scored here",
    ]
    if told.scaled:
        lines.append("MORE WORKERS THAN CORES HERE: what they share, storage and network, was not tried")
    return Group(*(Text(plain(line)) for line in lines))


def _work(core_hours: float) -> str:
    """Write core-hours, and less than a tenth of one in smaller units."""
    if core_hours >= 0.1:  # noqa: PLR2004
        return f"{core_hours:,.1f} core-hours"
    minutes = core_hours * 60
    return f"{minutes:.1f} core-minutes" if minutes >= 1 else f"{minutes * 60:.1f} core-seconds"
