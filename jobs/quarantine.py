"""Runs what has killed workers, one thing at a time in a process of its own, and tells when that dies."""

import multiprocessing
import signal
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from threading import Lock
from typing import Any, Self, TypeVar

import psutil
from threadpoolctl import threadpool_limits

from jobs.poison import WorkerDiedError

_LOOK_SECONDS = 0.1
"""Time between two looks at the memory of the process."""

_STARTS = 5
"""Processes that may die one after the other before they have been given anything."""

T = TypeVar("T")


class ClosedError(Exception):
    """Nobody waits for the answer any more."""


class Quarantine:
    """A worker process that runs one function at a time, and is started anew when it has died.

    It is a copy of a server process that has imported everything, so that another one costs little. It dies
    by itself when this process is gone.

    Parameters
    ----------
    preparation
        Run in each new process first, so that a death meanwhile does not count.
    limit
        Bytes it may hold before it is killed, as a worker would be.
    """

    def __init__(self, preparation: Callable[[], object], limit: int) -> None:
        self._preparation = preparation
        self._limit = limit
        self._running: tuple[BaseProcess, Connection] | None = None
        self._closed = False
        self._changing = Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._closed = True
        self._end()

    def __call__(self, task: Callable[[], T]) -> T:
        """Run a function and give what it returns.

        Raises
        ------
        WorkerDiedError
            Where the process died while it ran.
        ClosedError
            Where this was closed meanwhile.
        """
        running = self._running or self._start()
        try:
            return self._ask(running, task)
        except WorkerDiedError:
            self._end()
            if self._closed:
                raise ClosedError from None
            raise

    def _start(self) -> tuple[BaseProcess, Connection]:
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(["__main__", "jobs.kernels", "dice_core.score"])
        for _ in range(_STARTS):
            ours, theirs = context.Pipe()
            process = context.Process(target=_serve, args=(theirs,), daemon=True)
            with self._changing:
                if self._closed:
                    raise ClosedError
                process.start()
                self._running = process, ours
            theirs.close()  # or its end would never be seen
            try:
                self._ask(self._running, self._preparation)
            except WorkerDiedError:
                self._end()
            else:
                return process, ours
        raise RuntimeError(f"{_STARTS} processes died before they were given anything to do")

    def _end(self) -> None:
        with self._changing:
            if self._running is not None:
                process, ours = self._running
                process.kill()
                process.join()
                ours.close()
                self._running = None

    def _ask(self, running: tuple[BaseProcess, Connection], function: Callable[[], T]) -> T:
        process, ours = running
        try:
            ours.send(function)
            while not ours.poll(_LOOK_SECONDS):
                if _held(process) > self._limit:
                    process.kill()
            answer, error = ours.recv()
        except (OSError, EOFError) as gone:
            raise WorkerDiedError from gone
        if error is not None:
            raise error
        return answer  # type: ignore[no-any-return]


def _held(process: BaseProcess) -> int:
    try:
        return int(psutil.Process(process.pid).memory_info().rss)
    except psutil.Error:
        return 0


def _serve(asked: Connection) -> None:
    """Run what is asked for until nobody is there to ask."""
    signal.signal(
        signal.SIGINT, signal.SIG_IGN
    )  # a terminal sends it to all; this one is ended by its parent
    with suppress(EOFError):
        while True:
            function = asked.recv()
            told: tuple[Any, Exception | None]
            try:
                with threadpool_limits(1, user_api="blas"):  # as the tasks of workers have it
                    told = function(), None
            except Exception as error:  # noqa: BLE001 - raised again where it is asked
                told = None, error
            asked.send(told)
