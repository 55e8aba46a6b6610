"""How many images a task holds: enough to be worth its sending, few enough that all workers end together."""

from collections.abc import Callable, Iterable, Iterator
from itertools import chain

from jobs.plan import SHARD_SIZE, Bundle, Shard

SECONDS = 2.0
"""How long a task is to last: what Dask adds to each, some milliseconds, is little beside it, and a worker
that dies or is told to stop has not much under way."""

_TASKS_PER_THREAD = 4
"""A task holds at most what is left, divided by so many for each thread: they shrink towards the end."""
_NEWEST = 0.25
"""What the newest shard weighs in the mean of what an image takes."""
_MOST = 8
"""Times the least that a task holds at most: rejects that took no time tell nothing of what comes next."""


class TaskSize:
    """Sizes tasks by what images have taken so far, and by what is left.

    Guided self-scheduling (Polychronopoulos and Kuck, 1987), with a bound in seconds: how long an image takes
    differs a thousandfold between small and large photographs, near and far stores. Rows depend on shards
    alone, so they do not depend on any of this.

    Parameters
    ----------
    least
        Images of a task while nothing is known, and of the smallest.
    images
        What there is to score in all.
    threads
        Counts the threads that score at a time; 0 where nothing is won by larger tasks.
    """

    def __init__(self, least: int, images: int, threads: Callable[[], int]) -> None:
        self._least = least
        self._left = images
        self._threads = threads
        self._seconds_per_image = 0.0

    @classmethod
    def of(cls, least: int, planned: Iterable[Shard], threads: Callable[[], int]) -> "TaskSize":
        """Size tasks for all that is planned."""
        return cls(least, sum(map(_images, planned)), threads)

    def scored(self, images: int, seconds: float) -> None:
        """Hear in how many seconds a shard of so many images was scored; in 0 where its part was there."""
        if images and seconds:
            new, old = seconds / images, self._seconds_per_image
            self._seconds_per_image = old + _NEWEST * (new - old) if old else new

    def next(self) -> int:
        """Tell how many images the next task is to hold, at least."""
        if not self._seconds_per_image or not (threads := self._threads()):
            return self._least
        share = self._left / (_TASKS_PER_THREAD * threads)
        return max(self._least, int(min(SECONDS / self._seconds_per_image, share, _MOST * self._least)))

    def bundle(self, planned: Iterable[Shard]) -> Iterator[Bundle]:
        """Bundle consecutive shards into tasks, each of the size that is right when it begins.

        A shard whose images nobody has counted ends its task, for it may be of any length.
        """
        planned = iter(planned)
        for first in planned:
            size, held, waiting = self.next(), 0, []
            for shard in chain((first,), planned):
                waiting.append(shard)
                held += _images(shard)
                if held >= size or shard.images is None:
                    break
            self._left -= held
            yield Bundle(tuple(waiting))


def _images(shard: Shard) -> int:
    """Count the images of a shard; one that nobody has counted is taken for one of the usual size."""
    return SHARD_SIZE if shard.images is None else shard.images
