"""Turns a slice of the plan into a Dask graph and runs it: serially, or in a window on a cluster."""

# mypy: allow-untyped-calls
# Dask is typed in part.

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import CancelledError, ThreadPoolExecutor
from concurrent.futures import Future as Rescued
from contextlib import contextmanager, suppress
from hashlib import blake2b
from itertools import count
from queue import Empty, SimpleQueue
from typing import Any
from uuid import uuid4

from dask.local import get_sync
from dask.utils import key_split
from distributed import Client, Future
from distributed.scheduler import KilledWorker

from jobs import capacity, events
from jobs.backlog import Backlog
from jobs.capacity import Capacity, Threads
from jobs.errors import ClusterLostError, StoppedError, StorageDownError
from jobs.events import Listener, WorkerLost
from jobs.place import ShardError
from jobs.plan import Bundle
from jobs.shard import Failure, PartReport

_SLICE = 16
"""Tasks submitted at once: a graph stays small, and the first workers start before the last task is known."""

_ALL = "all"
"""Topic of what happens to a scheduler's workers and clients."""

Task = Callable[[Bundle], tuple[PartReport, ...]]
Graph = dict[str, tuple[Task, Bundle]]
Outcomes = Generator[PartReport | Failure]


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


def threads(client: Client) -> Threads:
    """Count the threads of a client's cluster, as workers come and go."""
    return Threads(lambda: sum(client.nthreads().values()))


def run(
    bundles: Iterable[Bundle],
    task: Task,
    client: Client | None,
    emit: Listener = events.ignore,
    rescue: Task | None = None,
) -> Outcomes:
    """Run a task for every bundle and yield what became of each shard, as tasks finish.

    Bundles are taken as they are needed. A task that fails is split, so that one bad shard among many costs
    only its own rows; what storage failed for is tried again after a while. Closing the iterator cancels what
    has not finished.

    Parameters
    ----------
    client
        Of a cluster; None runs the same graphs serially, in order, in this process.
    emit
        Told of each shard that is tried again, whether storage failed for it, a task that held others too,
        or its worker was lost; and from another thread of workers that are lost.
    rescue
        Run in a thread of this process, for each shard of a task that lost its workers time and again.

    Raises
    ------
    ClusterLostError
        Where the scheduler is gone, or there was no worker for `capacity.WORKERLESS_SECONDS`.
    StorageDownError
        Where storage fails for one shard after the other.
    """
    backlog, run_id = Backlog(bundles, emit), uuid4().hex[:12]
    if client is None:
        yield from _serial(backlog, task, run_id)
        return
    yield from _Window(backlog, task, run_id, client, rescue, emit).run()


def _failed(backlog: Backlog, bundle: Bundle, error: BaseException) -> Iterator[Failure]:
    yield from backlog.failed(bundle, error, time.monotonic())
    if backlog.breaker.down:
        raise StorageDownError(f"storage is down: {error}")


def _serial(backlog: Backlog, task: Task, run_id: str) -> Outcomes:
    while True:
        now = time.monotonic()
        taken = backlog.take(1, now) if backlog.breaker.room(0, 1, now) else []
        if taken:
            tasks = graph(taken, task, run_id)
            try:
                (reports,) = get_sync(tasks, list(tasks))
            except ShardError as error:
                yield from _failed(backlog, taken[0], error)
            else:
                backlog.succeeded(taken[0])
                yield from reports
        elif (wait := backlog.wait(now)) is not None:
            time.sleep(wait)
        else:
            return


class _Window:
    """Tasks in flight on a cluster: as many as keep it busy, however many there are to come."""

    def __init__(
        self,
        backlog: Backlog,
        task: Task,
        run_id: str,
        client: Client,
        rescue: Task | None,
        emit: Listener,
    ) -> None:
        self._backlog = backlog
        self._task = task
        self._run_id = run_id
        self._slices = count()
        self._client = client
        self._rescue = rescue
        self._emit = emit
        self._rescuer = ThreadPoolExecutor(1, "rescue")
        self._capacity = Capacity(threads(client), time.monotonic())
        self._flying: dict[Future[tuple[PartReport, ...]] | Rescued[tuple[PartReport, ...]], Bundle] = {}
        self._finished: SimpleQueue[Any] = SimpleQueue()
        """Tasks that have ended, and the keys of those that have lost their worker, as lists."""
        self._deaths: Counter[Any] = Counter()

    def run(self) -> Outcomes:
        self._client.subscribe_topic(_ALL, self._hear)
        try:
            while True:
                with self._lost():
                    wait = self._submit()
                if not self._flying and wait is None:
                    return
                finished = self._wait(capacity.RECOUNT_SECONDS if wait is None else wait)
                told = self._fetch(finished)
                for future in finished:
                    if isinstance(future, list):
                        self._tell(future)
                        continue
                    yield from self._settle(future, self._flying.pop(future), told.get(future))
        finally:
            self._rescuer.shutdown(wait=False, cancel_futures=True)
            if self._client.status == "running":
                self._client.unsubscribe_topic(_ALL)
                self._client.cancel([each for each in self._flying if isinstance(each, Future)], force=True)

    def _hear(self, event: tuple[float, Any]) -> None:
        """Hear of a worker that is lost; the scheduler knows which were asked to go."""
        _, told = event
        if told.get("action") == "remove-worker" and not told["expected"]:
            self._emit(WorkerLost(told["worker"]))
            self._finished.put([*told["processing-tasks"], *told["lost-computed-tasks"]])

    def _tell(self, keys: list[str]) -> None:
        """Tell of tasks whose worker was lost: the scheduler gives them to others."""
        flying = {future.key: bundle for future, bundle in self._flying.items() if isinstance(future, Future)}
        for key in flying.keys() & keys:
            self._deaths[key] += 1
            self._backlog.retried(flying[key], "its worker was lost")

    def _submit(self) -> float | None:
        """Fill the window, and tell in how many seconds at most to look again; None where nothing waits."""
        backlog, most = self._backlog, self._capacity.tasks(time.monotonic())
        while True:
            now = time.monotonic()
            room = backlog.breaker.room(len(self._flying), most, now)
            if self._flying and 2 * room < most:
                room = 0  # a graph costs the scheduler more than a task of it
            taken = backlog.take(min(room, _SLICE), now) if room else []
            if not taken:
                wait = backlog.wait(now)
                if wait is None or (self._flying and not room):
                    return None if wait is None else capacity.RECOUNT_SECONDS  # for what flies to finish
                return min(max(wait, 0.01), capacity.RECOUNT_SECONDS)
            # Dask remembers a hundred thousand keys; each of these is met once.
            key_split.cache_clear()
            # What is tried again must have a key of its own, or the scheduler answers with the old error.
            tasks = graph(taken, self._task, f"{self._run_id}{next(self._slices)}")
            # What fails is tried again by rules that know why it failed.
            futures = self._client.get(tasks, list(tasks), sync=False, retries=0)
            for future, bundle in zip(futures, taken, strict=True):
                self._watch(future, bundle)

    def _watch(self, future: Any, bundle: Bundle) -> None:
        self._flying[future] = bundle
        future.add_done_callback(self._finished.put)

    def _wait(self, seconds: float) -> list[Any]:
        """Wait until a task has ended, and give all that have."""
        finished = []
        with suppress(Empty):
            finished.append(self._finished.get(timeout=seconds))
            while True:
                finished.append(self._finished.get_nowait())
        return finished

    def _fetch(self, finished: Iterable[Any]) -> dict[Any, tuple[PartReport, ...]]:
        """Fetch the reports of tasks that ended well in one round trip; without those lost on the way."""
        well = [each for each in finished if isinstance(each, Future) and each.status == "finished"]
        if not well:
            return {}
        with suppress(OSError, TimeoutError, CancelledError):
            told = self._client.gather(dict(enumerate(well)), errors="skip")
            return {future: told[number] for number, future in enumerate(well) if told.get(number)}
        return {}

    def _settle(
        self, future: Any, bundle: Bundle, reports: tuple[PartReport, ...] | None
    ) -> Iterator[PartReport | Failure]:
        deaths = self._deaths.pop(getattr(future, "key", ""), 0)
        if future.cancelled() or self._client.status != "running":
            raise ClusterLostError("the scheduler is gone")
        try:
            error = None if reports else future.exception()
            reports = reports or (() if error else future.result())
        except (OSError, TimeoutError, CancelledError):
            reports = error = None
        if reports is None or (isinstance(future, Future) and future.status == "lost"):
            # Its worker died with the report: the part is there, and will be reported anew.
            self._backlog.put(bundle, time.monotonic())
            if not deaths:  # or it was told when the worker went
                self._backlog.retried(bundle, "its report was lost with its worker")
            return
        if error is None:
            self._backlog.succeeded(bundle)
            yield from reports
        elif isinstance(error, KilledWorker) and self._rescue is not None:
            if deaths <= error.allowed_failures:  # the last of them is not heard of yet
                self._backlog.retried(bundle, "its worker was lost")
            for shard in bundle.shards:
                one = Bundle((shard,))
                self._watch(self._rescuer.submit(self._rescue, one), one)
        else:
            yield from _failed(self._backlog, bundle, error)

    @contextmanager
    def _lost(self) -> Iterator[None]:
        """Tell a scheduler that does not answer from a bug."""
        try:
            yield
        except Exception as error:
            gone = isinstance(error, OSError | TimeoutError | CancelledError)
            if isinstance(error, StoppedError) or (self._client.status == "running" and not gone):
                raise
            raise ClusterLostError("the scheduler is gone") from error
