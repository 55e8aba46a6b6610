"""The workers of a job: fit to score, with memory enough, kernels ready, and what to do when one dies."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import NamedTuple

from jobs import kernels, memory, poison, storage
from jobs.cluster import least_memory, open_cluster
from jobs.events import Compiling, Listener, ignore
from jobs.execute import Outcomes, Task, prepare, run, threads
from jobs.quarantine import Quarantine
from jobs.shard import ShardSettings
from jobs.spec import parse


class Workers(NamedTuple):
    """What scores a job's bundles."""

    score: Callable[..., Outcomes]
    """Runs bundles, and tells of each shard, as `execute.run` does; takes its `emit`."""
    compile_seconds: float
    """The longest that a process compiled."""
    threads: Callable[[], int]
    """Counts those a cluster scores with now; 0 where there is no cluster."""


@contextmanager
def open_workers(
    cluster: str | None,
    number: int | None,
    settings: ShardSettings,
    sees: Sequence[str],
    *,
    insecure: bool = False,
    emit: Listener = ignore,
) -> Iterator[Workers]:
    """Open the workers of a job, ready to score.

    Parameters
    ----------
    cluster, number
        Which cluster, and how many workers, as `open_cluster` takes them.
    settings
        What every shard is scored with.
    sees
        Paths that every worker must find.
    insecure
        As `open_cluster` takes it.
    emit
        Told when this process has to compile first.

    Raises
    ------
    Refusal
        Where there is no such cluster, or a worker of it is not fit, or too small.
    """
    make_ready = partial(kernels.make_ready, settings)
    # Local workers find what is compiled here, once, before they start.
    with kernels.announced(lambda: emit(Compiling())):
        compiled = make_ready() if parse(cluster).is_here else 0.0
    task = kernels.Ready(settings)
    needs = _needs(settings, sees)
    with open_cluster(cluster, number, sees=sees, needs=needs, insecure=insecure) as client:
        if client is None:
            yield Workers(partial(run, task=task, client=None), compiled, lambda: 0)
            return
        compiled = max(compiled, prepare(client, make_ready))
        with Quarantine(make_ready, least_memory(client)) as quarantine:
            rescue: Task = partial(poison.rescue, settings, quarantine)
            score = partial(run, task=task, client=client, rescue=rescue)
            counted = threads(client)
            yield Workers(score, compiled, lambda: counted.count(time.monotonic()))


def _needs(settings: ShardSettings, sees: Sequence[str]) -> Callable[[int], int]:
    size = settings.load_scorer(settings.model, settings.model_hash).image_size
    model = len(storage.read(settings.model))
    remote = any(map(storage.is_remote, sees))
    return partial(memory.needed, size, model, settings.limits, settings.shard_size, remote=remote)
