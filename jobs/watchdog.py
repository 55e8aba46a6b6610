"""Ends a process whose work hangs: by the system's own timer, which no stuck thread can hold back."""

import math
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Lock, get_ident

Beat = Callable[[], None]
"""Tells that the work goes on."""

_due: dict[int, float] = {}
_setting = Lock()


@contextmanager
def watched(seconds: float | None) -> Iterator[Beat]:
    """Watch the block that runs in this thread: without a beat for so long, the process ends at once.

    The alarm signal is left to the system, which ends the process even where a decoder holds the interpreter
    for ever; whoever started the process sees that it died of ``SIGALRM``. A process has one such timer, so
    it is set for the thread that is due first.

    Parameters
    ----------
    seconds
        Longest time between two beats; None watches nothing.
    """
    if seconds is None:
        yield lambda: None
        return
    thread = get_ident()

    def beat() -> None:
        _set(thread, time.monotonic() + seconds)

    beat()
    try:
        yield beat
    finally:
        _set(thread, math.inf)


def _set(thread: int, due: float) -> None:
    with _setting:
        _due[thread] = due
        first = min(_due.values())
        if due == math.inf:
            del _due[thread]
        # Zero would stop the timer where it is due already.
        left = 0.0 if first == math.inf else max(first - time.monotonic(), 1e-3)
        signal.setitimer(signal.ITIMER_REAL, left)
