"""How far the planning of a start is: what is told while many or long archives are walked."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Lock
from typing import Self

from jobs import events
from jobs.events import Listener, Planning

FIRST_SECONDS = 1.0
"""Planning that ends before is not told of."""

BETWEEN_SECONDS = 0.5


class Surveying:
    """Counts sources and members as they are looked at, in whatever thread, and tells of it at times."""

    def __init__(
        self, sources: int, listener: Listener = events.ignore, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._sources = sources
        self._listener = listener
        self._clock = clock
        self._next = clock() + FIRST_SECONDS
        self._lock = Lock()
        self._told = False
        self._done = self._members = 0
        self._ended = False

    @contextmanager
    def following(self) -> Iterator[Self]:
        """Follow the planning that the block does; however it ends, threads of it that still walk end too."""
        try:
            yield self
        finally:
            with self._lock:
                self._ended = True
                if self._told:
                    self._tell()

    def walked(self, members: int) -> None:
        """Take members that were found.

        Raises
        ------
        EndedError
            Where nobody waits for them any more.
        """
        self._add(0, members)

    def done(self) -> None:
        """Take a source that was looked at."""
        self._add(1, 0)

    def _add(self, done: int, members: int) -> None:
        with self._lock:
            if self._ended:
                raise EndedError
            self._done += done
            self._members += members
            if self._clock() >= self._next:
                self._next = self._clock() + BETWEEN_SECONDS
                self._told = True
                self._tell()

    def _tell(self) -> None:
        self._listener(Planning(self._sources, self._done, self._members, ended=self._ended))


class EndedError(Exception):
    """The planning has ended for another reason."""
