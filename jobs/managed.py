"""A cluster that a manager starts: its scheduler, its jobs, and others in place of those that went."""

# mypy: allow-untyped-calls
# Dask is typed in part.

import importlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from threading import Event, Thread
from typing import Any

import dask
from distributed import Client, Security, Status

from jobs.absence import absence
from jobs.errors import Refusal
from jobs.managers import Manager
from jobs.spec import ClusterSpec

QUIET_CONFIG = {
    # What Dask would watch itself with: stacks of a worker's threads, lags of event loops, disks, all many
    # times a second, on cores that have to score and for a dashboard that nobody sees. The memory of each
    # worker is looked at twice a second rather than ten times, by the process that serves all of them.
    "distributed.worker.profile.enabled": False,
    "distributed.admin.tick.interval": "1s",
    "distributed.admin.system-monitor.interval": "5s",
    "distributed.admin.system-monitor.disk": False,
    "distributed.worker.memory.monitor-interval": "500ms",
    "distributed.scheduler.work-stealing-interval": "1s",
    # A task holds one batch and no results: a pause, or writing to disk, could only stall it. A worker that
    # is over its limit all the same is ended.
    "distributed.worker.memory.target": False,
    "distributed.worker.memory.spill": False,
    "distributed.worker.memory.pause": False,
}
"""Of every cluster that is started here, on both ends."""

_LOOK_SECONDS = 5.0
"""Time between two looks for workers that are gone."""

_LOST_LOOKS = 4
"""Looks that a job may be without any of its workers: a nanny may be starting them anew."""


@contextmanager
def open_managed(
    spec: ClusterSpec, workers: int | None, wait: float, level: int, *, insecure: bool
) -> Iterator[Client]:
    """Give a client of a cluster that a manager starts, with its first worker there.

    Parameters
    ----------
    workers
        How many to ask for; None for what the spec says.
    wait
        Seconds until the first worker has to be there.
    level
        Of Dask's log.
    insecure
        Whether everything may be sent in the clear.

    Raises
    ------
    Refusal
        Where the manager does not take the spec, or no worker comes.
    """
    least, most = (workers, workers) if workers else (spec.least, spec.most)
    with _started(spec, least, level, insecure=insecure) as cluster:
        try:
            _submit(cluster, spec, least, most)
        except (RuntimeError, OSError) as error:
            raise Refusal(f"--cluster {spec.text}: the queue takes no job: {_said(error)}") from error
        with (
            Client(cluster, set_as_default=False) as client,
            _replacing(cluster, spec, least, most),
        ):
            try:
                client.wait_for_workers(1, timeout=wait)
            except TimeoutError as error:
                why = absence(cluster, spec)
                raise Refusal(f"--cluster {spec.text}: no worker within {wait:g} s: {why}") from error
            yield client


@contextmanager
def _started(spec: ClusterSpec, number: int, level: int, *, insecure: bool) -> Iterator[Any]:
    """Have a manager start a cluster, for the time of the block."""
    manager = spec.manager
    if manager is None:
        raise TypeError(f"{spec.text} names no manager")
    if not (manager.encrypts or insecure):
        raise Refusal(
            f"--cluster {spec.text}: {manager.name} {manager.security}: --insecure allows it, or run "
            "the whole job inside the cluster, as deploy/README.md shows"
        )
    arguments = manager.fill(spec.arguments, spec.environment, number)
    if manager.is_queue:
        arguments |= _queue_arguments(spec, level, insecure=insecure)
    make = _load(spec, manager)
    with dask.config.set(QUIET_CONFIG):
        try:
            cluster = make(**arguments)
        except (TypeError, ValueError, ImportError, RuntimeError, OSError) as error:
            raise Refusal(f"--cluster {spec.text}: {manager.name}: {_said(error)}") from error
        try:
            with cluster:
                yield cluster
        finally:
            _remove_keys(cluster)


def _remove_keys(cluster: Any) -> None:
    """Remove what workers were given to prove themselves with; Dask would when it forgets the cluster."""
    for name in ("ca_file", "cert", "key"):
        file = getattr(cluster, f"_job_{name}", None)
        if file is not None:
            file.close()


def _queue_arguments(spec: ClusterSpec, level: int, *, insecure: bool) -> dict[str, Any]:
    """Give what the scheduler here, and both ends of every connection of a queue's cluster, are told."""
    security: Any = Security(**spec.certificates.options()) if spec.certificates else Security.temporary()
    dashboard = {
        "dashboard": spec.dashboard is not None,
        "dashboard_address": f"127.0.0.1:{spec.dashboard or 0}",
    }
    return {
        **({"protocol": "tcp://"} if insecure else {"protocol": "tls://", "security": security}),
        "scheduler_options": {**dashboard, **spec.arguments.get("scheduler_options", {})},
        "silence_logs": level,
    }


def _said(error: BaseException) -> str:
    """Give what a command that failed wrote to standard error; of other errors their text, in one line."""
    text = str(error)
    return " ".join(text.partition("stderr:")[2].split()) or " ".join(text.split())


def job_script(spec: ClusterSpec, level: int, *, insecure: bool) -> str:
    """Write the script of one job of a queue, without sending it.

    Raises
    ------
    Refusal
        Where the spec names no queue, or is not taken.
    """
    if not (spec.manager and spec.manager.is_queue):
        raise Refusal(
            f"--cluster {spec.text}: has no job script: --dry-run is for the classes of dask_jobqueue"
        )
    with _started(spec, 1, level, insecure=insecure) as cluster:
        return str(cluster.job_script())


def _load(spec: ClusterSpec, manager: Manager) -> Any:
    """Import the manager's class.

    Raises
    ------
    Refusal
        Where it is not installed.
    """
    module, _, name = manager.name.rpartition(".")
    try:
        return getattr(importlib.import_module(module), name)
    except ImportError as error:
        extra = f"pip install 'dice-inspect[{manager.extra}]'"
        raise Refusal(f"--cluster {spec.text}: {manager.name} is not installed: {extra}") from error


def _submit(cluster: Any, spec: ClusterSpec, least: int, most: int) -> None:
    """Ask for workers: so many, or as many between both as there is work for."""
    if least == most:
        cluster.scale(most)
    else:
        cluster.adapt(minimum=least, maximum=most)
    if spec.manager and spec.manager.is_queue:
        cluster.sync(_submitted, cluster)


async def _submitted(cluster: Any) -> None:
    """Wait until all jobs asked for are in the queue, and raise what it said to one that it did not take."""
    await cluster
    for job in cluster.workers.values():
        if job.job_id is None:
            job.status = Status.failed  # until it is taken; Dask would not close a cluster with such a job
    for job in cluster.workers.values():
        if job.job_id is None:
            await job.start()


@contextmanager
def _replacing(cluster: Any, spec: ClusterSpec, least: int, most: int) -> Iterator[None]:
    """Ask for a new job in place of one whose workers were there and are gone, while the block runs.

    Dask forgets a job that was killed, or ended at its walltime, but asks for no other.
    """
    if not (spec.manager and spec.manager.is_queue):
        yield  # Kubernetes and Dask Gateway keep the number themselves
        return
    ended = Event()
    watch = Thread(target=_replace, args=(cluster, ended, most if least == most else None), daemon=True)
    watch.start()
    try:
        yield
    finally:
        ended.set()
        watch.join()


def _replace(cluster: Any, ended: Event, number: int | None) -> None:
    gone = Gone()
    while not ended.wait(_LOOK_SECONDS):
        there = {about["name"] for about in list(cluster.scheduler_info["workers"].values())}
        lost = gone.look(_names(cluster), there)
        with suppress(RuntimeError, OSError):  # the queue takes nothing now; the next look asks again
            cluster.sync(_exchange, cluster, lost, number)


def _names(cluster: Any) -> dict[str, set[str]]:
    """List the names of the workers of each job."""
    specs = dict(cluster.worker_spec)
    return {job: {f"{job}{suffix}" for suffix in about.get("group", ("",))} for job, about in specs.items()}


async def _exchange(cluster: Any, lost: list[str], number: int | None) -> None:
    if lost:
        await cluster.scale_down(lost)
        if number is not None:
            cluster.scale(number)
    await _submitted(cluster)


class Gone:
    """Tells which jobs lost all the workers they had, from what is seen look by look."""

    def __init__(self) -> None:
        self._seen: set[str] = set()
        self._missed: dict[str, int] = {}

    def look(self, jobs: dict[str, set[str]], there: set[str]) -> list[str]:
        """Take a look, and give the jobs that have been without any worker for a while."""
        self._seen |= there
        for job, names in jobs.items():
            missed = names & self._seen and not names & there
            self._missed[job] = self._missed.get(job, 0) + 1 if missed else 0
        lost = [job for job in jobs if self._missed[job] >= _LOST_LOOKS]
        for job in lost:
            del self._missed[job]
        return lost
