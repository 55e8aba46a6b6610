"""Where the tasks run: serially in this process, on local cores, or on a scheduler that is there."""

# mypy: allow-untyped-calls
# Dask is typed in part.

import logging
import os
import platform
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from types import ModuleType
from typing import Any

import dask
import psutil
from dask.system import CPU_COUNT
from distributed import Client, LocalCluster, scheduler, worker
from distributed.system import MEMORY_LIMIT

from jobs import memory
from jobs.config import LOCAL, SERIAL, check_spec
from jobs.errors import Refusal
from jobs.fitness import PACKAGES, make_probe, misfit

WORKER_ENVIRONMENT = {
    # Dask uses every core already.
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "NUMBA_NUM_THREADS": "1",
    # `jobs` is a common name: a folder of that name where the worker starts must not win.
    "PYTHONSAFEPATH": "1",
}
"""What a worker must find in its environment when it starts."""

_LOCAL_CONFIG = {
    # In place of Dask's own, which has the allocator give every batch back to the system: a quarter of the
    # time then goes into clearing the pages that it takes again.
    "distributed.nanny.pre-spawn-environ": WORKER_ENVIRONMENT,
    # What Dask would watch itself with: stacks of a worker's threads, lags of event loops, disks, all many
    # times a second, on cores that have to score and for a dashboard that nobody sees.
    "distributed.worker.profile.enabled": False,
    "distributed.admin.tick.interval": "1s",
    "distributed.admin.system-monitor.interval": "5s",
    "distributed.admin.system-monitor.disk": False,
    "distributed.scheduler.work-stealing-interval": "1s",
    # A task holds one batch and no results: a pause, or writing to disk, could only stall it. A worker that
    # is over its limit all the same is ended.
    "distributed.worker.memory.target": False,
    "distributed.worker.memory.spill": False,
    "distributed.worker.memory.pause": False,
    # A worker that is started in place of one that died takes seconds: a task that killed two is suspect.
    "distributed.scheduler.allowed-failures": 1,
}

_SCHEDULER = "the scheduler"

Needs = Callable[[int], int]
"""Bytes that a worker needs, by the number of its threads."""


@contextmanager
def open_cluster(
    spec: str | None = None,
    workers: int | None = None,
    *,
    sees: Sequence[str] = (),
    needs: Needs | None = None,
    patience: float = 30.0,
    debug: bool = False,
) -> Iterator[Client | None]:
    """Give a client of a cluster whose workers are fit to score; None for the serial run.

    Parameters
    ----------
    spec
        ``local`` (the default), ``serial``, or a scheduler's address such as ``tcp://host:8786``.
    workers
        Local workers, one thread each; by default one per core. On a scheduler, how many to wait for.
    sees
        Paths that every worker must find: the job folder's files, on storage that all share.
    needs
        Bytes that a worker with so many threads needs.
    patience
        Seconds to wait for a scheduler to answer, and again for its workers.
    debug
        Let Dask's own log through.

    Raises
    ------
    Refusal
        Where nobody answers, no worker appears, or a worker would not give the same rows.
    """
    chosen = check_spec(spec)
    if chosen == SERIAL:
        yield None
        return
    level = logging.DEBUG if debug else logging.CRITICAL
    if chosen == LOCAL:
        number = _number(workers, needs(1) if needs else 1)
        connect = _local(number, usable_memory() // number, level)
    else:
        connect = _remote(chosen, workers, patience)
    with _log_level(level), connect as client:
        check_workers(client, sees)
        if needs is not None:
            check_memory(client, needs)
        yield client


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


def check_memory(client: Client, needs: Needs) -> None:
    """Refuse a cluster that has a worker with less memory than its tasks need.

    Raises
    ------
    Refusal
        Naming the worker, both figures and the way out.
    """
    for address, (threads, limit) in sorted(_limits(client).items()):
        need = needs(threads)
        if limit and limit < need:
            raise Refusal(
                f"worker {address} may hold {memory.told(limit)}, with {threads} threads it needs "
                f"{memory.told(need)}: start it with a larger --memory-limit or fewer --nthreads"
            )


def _limits(client: Client) -> dict[str, tuple[int, int]]:
    """Tell the threads of every worker and the bytes it may hold; 0 where nothing limits it."""
    told = client.scheduler_info(n_workers=-1)["workers"]
    return {address: (about["nthreads"], about["memory_limit"] or 0) for address, about in told.items()}


def least_memory(client: Client) -> int:
    """Tell how many bytes the smallest worker may hold; what is free here where nothing limits them."""
    return min([usable_memory(), *(limit for _, limit in _limits(client).values() if limit)])


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
def _remote(address: str, workers: int | None, patience: float) -> Iterator[Client]:
    try:
        client = Client(address, timeout=patience, set_as_default=False)
    except (OSError, TimeoutError, ValueError) as error:
        raise Refusal(
            f"--cluster {address}: no scheduler answers: start one, or check the address"
        ) from error
    with client:
        try:
            client.wait_for_workers(workers or 1, timeout=patience)
        except TimeoutError as error:
            few = f"fewer than {workers or 1} workers after {patience:g} s"
            raise Refusal(f"--cluster {address}: {few}: start workers there") from error
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


def check_workers(client: Client, sees: Sequence[str] = ()) -> None:
    """Refuse a cluster that has a worker unfit to score, or a scheduler unfit to pass tasks on.

    The scheduler has to read the tasks, and so needs the packages as well.

    Raises
    ------
    Refusal
        Naming the process, what is wrong with it and the way out.
    """
    own = platform.python_version()
    for process, python in _ask(client, platform.python_version).items():
        # Asked for first and alone: a function sent from another minor version may crash what runs it.
        if python.split(".")[:2] != own.split(".")[:2]:
            raise Refusal(f"{process} runs Python {python}, this is {own}: give both the same")
    probe = make_probe(PACKAGES, tuple(sees))
    expected = probe()["versions"]
    for process, found in _ask(client, probe).items():
        if process == _SCHEDULER:
            found["unseen"] = []  # it passes on what it never opens
        problem = misfit(found, expected)
        if problem is not None:
            raise Refusal(f"{process} {problem}")


def _ask(client: Client, question: Callable[[], Any]) -> dict[str, Any]:
    """Ask the scheduler and every worker, by their names in messages."""
    answers = sorted(client.run(question).items())
    return {_SCHEDULER: client.run_on_scheduler(question)} | {
        f"worker {name}": told for name, told in answers
    }


def usable_cores() -> int:
    """Count the cores this process may use, container limits included."""
    return int(CPU_COUNT)


def usable_memory() -> int:
    """Bytes this process may take now: what is free, within container limits."""
    return int(min(MEMORY_LIMIT, psutil.virtual_memory().available))
