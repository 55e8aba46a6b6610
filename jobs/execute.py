"""Turns a slice of the plan into a Dask graph and runs it: serially, or in a window on a cluster."""

# mypy: allow-untyped-calls
# Dask is typed in part.

import asyncio
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import blake2b
from itertools import islice
from typing import Any
from uuid import uuid4

from dask.local import get_sync
from distributed import Client, Future, as_completed

from jobs import events
from jobs.events import Listener, Retried, WorkerLost
from jobs.plan import Bundle
from jobs.shard import Failure, PartReport, ShardError

TASKS_PER_THREAD = 3
"""Tasks in flight for each thread of the cluster: one that runs, and two that hide the way there."""

RETRIES = 2
"""Times that Dask tries a failed task again: storage fails now and then."""

_SLICE = 16
"""Tasks submitted at once: a graph stays small, and the first workers start before the last task is known."""

_ALL = "all"
"""Topic of what happens to a scheduler's workers and clients."""

_RECOUNT_SECONDS = 5.0
"""How long a count of the cluster's threads is believed: workers come and go."""

Task = Callable[[Bundle], tuple[PartReport, ...]]
Graph = dict[str, tuple[Task, Bundle]]


class ClusterLostError(Exception):
    """The scheduler is gone, and with it every task that had not finished."""


def graph(bundles: Iterable[Bundle], task: Task, run_id: str) -> Graph:
    """Turn bundles into a Dask graph with one task for each.

    The keys are the same for the same bundles of the same run. They hold the run, because a scheduler
    answers a key that it knows from elsewhere, such as another job on the same archives, without running
    the task.
    """
    return {_key(bundle, run_id): (task, bundle) for bundle in bundles}


def _key(bundle: Bundle, run_id: str) -> str:
    parts = "\n".join(shard.part for shard in bundle.shards)
    return f"score-{run_id}-{blake2b(parts.encode(), digest_size=12).hexdigest()}"


def prepare(client: Client, preparation: Callable[[], float]) -> float:
    """Run a preparation in every worker process, on all at once, and tell the longest it says it took.

    What fails is not told here: the first task there fails alike, is tried again and names its shard.
    """

    async def there() -> float:
        return await asyncio.to_thread(preparation)  # the worker goes on answering the scheduler

    answers = client.run(there, on_error="return")
    return max((answer for answer in answers.values() if isinstance(answer, float)), default=0.0)


def run(
    bundles: Iterable[Bundle], task: Task, client: Client | None, emit: Listener = events.ignore
) -> Generator[PartReport | Failure]:
    """Run a task for every bundle and yield what became of each shard, as tasks finish.

    Bundles are taken as they are needed. A task that fails is split, so that one bad shard among many costs
    only its own rows. Closing the iterator cancels what has not finished.

    Parameters
    ----------
    client
        Of a cluster; None runs the same graphs serially, in order, in this process.
    emit
        Told of shards that are tried again, and from another thread of workers that are lost.

    Raises
    ------
    ClusterLostError
        Where the scheduler is gone.
    """
    work = _Work(iter(bundles), emit)
    run_id = uuid4().hex[:12]
    if client is None:
        yield from _serial(work, task, run_id)
        return
    with _watching(client, emit):
        yield from _window(work, task, run_id, client)


@contextmanager
def _watching(client: Client, emit: Listener) -> Iterator[None]:
    """Tell of workers that are lost while the block runs; the scheduler knows which were asked to go."""

    def hear(event: tuple[float, Any]) -> None:
        match event:
            case (_, {"action": "remove-worker", "worker": worker, "expected": False}):
                emit(WorkerLost(worker))

    client.subscribe_topic(_ALL, hear)
    try:
        yield
    finally:
        if client.status == "running":
            client.unsubscribe_topic(_ALL)


@dataclass
class _Work:
    """What is still to be submitted: parts of failed bundles first, then the plan's next."""

    planned: Iterator[Bundle]
    emit: Listener
    again: deque[Bundle] = field(default_factory=deque)

    def take(self, most: int) -> list[Bundle]:
        taken = [self.again.popleft() for _ in range(min(most, len(self.again)))]
        return [*taken, *islice(self.planned, most - len(taken))]

    def failed(self, bundle: Bundle, error: BaseException) -> Iterator[Failure]:
        """Give up on a single shard; try those of a larger bundle one by one."""
        if len(bundle.shards) > 1:
            for shard in bundle.shards:
                self.again.append(Bundle((shard,)))
                self.emit(Retried(shard.archive, shard.first, _text(error)))
        else:
            yield Failure(bundle.shards[0], _text(error))


def _text(error: BaseException) -> str:
    """Write an error in one line; a `ShardError` names its place and its cause itself."""
    text = str(error) if isinstance(error, ShardError) else f"{type(error).__name__}: {error}"
    return " ".join(text.split())


def _serial(work: _Work, task: Task, run_id: str) -> Generator[PartReport | Failure]:
    while taken := work.take(1):
        tasks = graph(taken, task, run_id)
        try:
            (reports,) = get_sync(tasks, list(tasks))
        except ShardError as error:
            yield from work.failed(taken[0], error)
        else:
            yield from reports


def _window(work: _Work, task: Task, run_id: str, client: Client) -> Generator[PartReport | Failure]:
    flying: dict[Future[tuple[PartReport, ...]], Bundle] = {}
    finished = as_completed(loop=client.loop)
    capacity = _Capacity(client)
    try:
        while True:
            while (room := capacity.tasks() - len(flying)) > 0 and (taken := work.take(min(room, _SLICE))):
                tasks = graph(taken, task, run_id)
                futures = client.get(tasks, list(tasks), sync=False, retries=RETRIES)
                flying.update(zip(futures, taken, strict=True))
                finished.update(futures)
            if not flying:
                return
            future = next(finished)
            bundle = flying.pop(future)
            if future.status == "finished":
                yield from future.result()
            elif future.status == "error":
                yield from work.failed(bundle, future.exception())
            else:
                raise ClusterLostError("the scheduler is gone")
    finally:
        if client.status == "running":
            client.cancel(list(flying), force=True)


class _Capacity:
    """How many tasks may be in flight, by the cluster's threads of the last few seconds."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._counted = float("-inf")
        self._tasks = 1

    def tasks(self) -> int:
        now = time.monotonic()
        if now - self._counted > _RECOUNT_SECONDS:
            self._tasks = max(1, TASKS_PER_THREAD * sum(self._client.nthreads().values()))
            self._counted = now
        return self._tasks
