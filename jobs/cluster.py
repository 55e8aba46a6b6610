"""Where the tasks run: in this process, on local cores, on a scheduler, or on a manager's workers."""

# mypy: allow-untyped-calls
# Dask is typed in part.

import logging
import os
import signal
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from types import ModuleType
from typing import Any

import dask
import psutil
from dask.system import CPU_COUNT
from distributed import Client, LocalCluster, Security, scheduler, worker
from distributed.system import MEMORY_LIMIT

from jobs import managed, memory
from jobs.errors import Refusal
from jobs.fitness import Needs, check_memory, check_workers, limits
from jobs.managed import QUIET_CONFIG, open_managed
from jobs.managers import WORKER_ENVIRONMENT
from jobs.spec import ClusterSpec, Kind, check_number, parse

_LOCAL_CONFIG = {
    **QUIET_CONFIG,
    # In place of Dask's own, which has the allocator give every batch back to the system: a quarter of the
    # time then goes into clearing the pages that it takes again.
    "distributed.nanny.pre-spawn-environ": WORKER_ENVIRONMENT,
    # A worker that is started in place of one that died takes seconds: a task that killed two is suspect.
    "distributed.scheduler.allowed-failures": 1,
}


@contextmanager
def open_cluster(
    spec: str | None = None,
    workers: int | None = None,
    *,
    sees: Sequence[str] = (),
    needs: Needs | None = None,
    insecure: bool = False,
    patience: float | None = None,
    debug: bool = False,
) -> Iterator[Client | None]:
    """Give a client of a cluster whose workers are fit to score; None for the serial run.

    Parameters
    ----------
    spec
        What ``--cluster`` takes, as `jobs.spec.parse` reads it.
    workers
        Local workers, one thread each; by default one per core. On a scheduler, how many to wait for. Of a
        manager, how many to ask for in place of what its file says.
    sees
        Paths that every worker must find: the job folder's files, on storage that all share.
    needs
        Bytes that a worker with so many threads needs.
    insecure
        Whether a cluster that is started beyond this machine may send everything in the clear.
    patience
        Seconds to wait for a scheduler to answer, and again for its workers, in place of the spec's.
    debug
        Let Dask's own log through.

    Raises
    ------
    Refusal
        Where nobody answers, no worker appears, or a worker would not give the same rows.
    """
    chosen = parse(spec)
    check_number(chosen, workers)
    wait = patience or chosen.wait
    level = logging.DEBUG if debug else logging.CRITICAL
    match chosen.kind:
        case Kind.SERIAL:
            yield None
            return
        case Kind.LOCAL:
            number = _number(workers or chosen.workers, needs(1) if needs else 1)
            connect = _local(number, usable_memory() // number, level)
        case Kind.ADDRESS:
            connect = _remote(chosen, workers, wait)
        case Kind.MANAGED:
            connect = open_managed(chosen, workers, wait, level, insecure=insecure)
    with _log_level(level), connect as client:
        check_workers(client, sees)
        if needs is not None:
            check_memory(client, needs)
        yield client


def job_script(spec: str, *, insecure: bool = False) -> str:
    """Write the script of one job of a queue, without sending it; Refusal as `open_cluster` has it."""
    with _log_level(logging.CRITICAL):
        return managed.job_script(parse(spec), logging.CRITICAL, insecure=insecure)


def _number(workers: int | None, need: int) -> int:
    """Choose how many local workers there are: as many as there are cores, or as have memory enough."""
    usable = usable_memory()
    room = usable // need
    if room < (workers or 1):
        way_out = f"give --workers {room}" if room else "free some, or score on a machine that has it"
        few = "a worker" if workers in (None, 1) else f"each of {workers} workers"
        raise Refusal(
            f"{few} needs {memory.told(need)} of memory, {memory.told(usable)} are free here: {way_out}"
        )
    return workers or min(int(CPU_COUNT), room)


def least_memory(client: Client) -> int:
    """Tell how many bytes the smallest worker may hold; what is free here where nothing limits them."""
    return min([usable_memory(), *(limit for _, limit in limits(client).values() if limit)])


@contextmanager
def _local(workers: int, limit: int, level: int) -> Iterator[Client]:
    with ExitStack() as stack:
        stack.enter_context(_environment(WORKER_ENVIRONMENT))
        stack.enter_context(dask.config.set(_LOCAL_CONFIG))
        with _interrupts_held():
            cluster = LocalCluster(
                n_workers=workers,
                threads_per_worker=1,
                processes=True,
                host="127.0.0.1",
                dashboard_address="127.0.0.1:0",  # without it, a port of all interfaces is opened
                scheduler_kwargs={"dashboard": False, "extensions": _without_spans(scheduler)},
                extensions=_without_spans(worker),
                memory_limit=limit,
                silence_logs=level,
            )
            stack.enter_context(cluster)
            client = stack.enter_context(Client(cluster, set_as_default=False))
        yield client


def _without_spans(kind: ModuleType) -> dict[str, type]:
    """List Dask's extensions but for the one that keeps a line of every submission for ever."""
    return {name: each for name, each in kind.DEFAULT_EXTENSIONS.items() if name != "spans"}


@contextmanager
def _interrupts_held() -> Iterator[None]:
    """Hold Ctrl-C back until the block ends, and from the processes started inside for good.

    A terminal sends it to every process; the workers are this one's to end, and would only complain.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def _remote(spec: ClusterSpec, workers: int | None, wait: float) -> Iterator[Client]:
    security: Any = Security(**spec.certificates.options()) if spec.certificates else Security()
    address = str(spec.address)
    if address.startswith("tls://") and not security.tls_ca_file:
        raise Refusal(
            f"--cluster {spec.text}: tls:// needs certificates: name them under security in a YAML file that "
            "has the address, or in Dask's own configuration (distributed.comm.tls)"
        )
    try:
        client = Client(address, timeout=wait, set_as_default=False, security=security)
    except (OSError, TimeoutError, ValueError) as error:
        cause = f"{error.__cause__ or error}".lower()
        if "certificate" in cause or "ssl" in cause:
            raise Refusal(
                f"--cluster {spec.text}: no secure connection: are both ends' certificates of the same CA?"
            ) from error
        raise Refusal(
            f"--cluster {spec.text}: no scheduler answers: start one, or check the address"
        ) from error
    with client:
        try:
            client.wait_for_workers(workers or 1, timeout=wait)
        except TimeoutError as error:
            few = f"fewer than {workers or 1} workers after {wait:g} s"
            raise Refusal(f"--cluster {spec.text}: {few}: start workers there") from error
        yield client


@contextmanager
def _environment(values: Mapping[str, str]) -> Iterator[None]:
    """Set environment variables for the processes started inside; Dask lets those of this process win."""
    before = dict(os.environ)
    os.environ.update(values)
    try:
        yield
    finally:
        for name in os.environ.keys() - before.keys():
            del os.environ[name]
        os.environ.update(before)


@contextmanager
def _log_level(level: int) -> Iterator[None]:
    """Keep Dask's log out of the job's: what matters arrives as an error of a task."""
    # Dask gives its client a level of its own; a lost scheduler has asyncio complain as well.
    loggers = [logging.getLogger(name) for name in ("distributed", "distributed.client", "asyncio")]
    before = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(level)
    try:
        yield
    finally:
        for logger, own in zip(loggers, before, strict=True):
            logger.setLevel(own)


def usable_cores() -> int:
    """Count the cores this process may use, container limits included."""
    return int(CPU_COUNT)


def usable_memory() -> int:
    """Bytes this process may take now: what is free, within container limits."""
    return int(min(MEMORY_LIMIT, psutil.virtual_memory().available))
