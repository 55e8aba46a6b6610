"""The time at which a start submits no more, for somebody will end it soon."""

import time
from collections.abc import Callable, Iterable, Iterator

from jobs.plan import Bundle


class DeadlineError(Exception):
    """The time is up: what was submitted is committed, and the rest is for the same command to score."""


class Deadline:
    """Ends a plan when its time has come.

    Parameters
    ----------
    seconds
        From now; None for never.
    """

    def __init__(self, seconds: float | None, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._end = None if seconds is None else clock() + seconds
        self._met = False

    def until(self, bundles: Iterable[Bundle]) -> Iterator[Bundle]:
        """Hand bundles on as long as there is time."""
        for bundle in bundles:
            if self._end is not None and self._clock() >= self._end:
                self._met = True
                return
            yield bundle

    def check(self) -> None:
        """Raise `DeadlineError` where a bundle was held back."""
        if self._met:
            raise DeadlineError
