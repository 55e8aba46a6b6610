"""How many images a task holds: enough to be worth its sending, few enough that all workers end together."""

from collections.abc import Callable, Iterable, Iterator

from jobs.plan import SHARD_SIZE, Bundle, Shard

SECONDS = 2.0
"""How long a task is to last: what Dask adds to each, some milliseconds, is then nothing, and a worker that
dies or is told to stop has not much under way."""

_TASKS_PER_THREAD = 4
"""A task holds at most what is left, divided by so many for each thread: they shrink towards the end."""
_NEWEST = 0.25
"""What the newest shard weighs in the mean of what an image takes."""


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
        What there is to score in all. By 0, every task is of the least size.
    threads
        Counts the threads that score at a time; 0 where nothing is won by larger tasks.
    """

    def __init__(self, least: int, images: int = 0, threads: Callable[[], int] = lambda: 0) -> None:
        self._least = least
        self._left = images
        self._threads = threads
        self._seconds_per_image = 0.0

    def scored(self, images: int, seconds: float) -> None:
        """Hear what a shard took; without seconds, it was there before."""
        if images and seconds:
            new, old = seconds / images, self._seconds_per_image
            self._seconds_per_image = old + _NEWEST * (new - old) if old else new

    def next(self) -> int:
        """Tell how many images the next task is to hold, at least."""
        if not self._seconds_per_image or not (threads := self._threads()):
            return self._least
        share = self._left / (_TASKS_PER_THREAD * threads)
        return max(self._least, int(min(SECONDS / self._seconds_per_image, share)))

    def bundle(self, planned: Iterable[Shard]) -> Iterator[Bundle]:
        """Bundle consecutive shards into tasks of the size that is right when each begins.

        A shard whose images nobody has counted makes a task whole, as may be of any length.
        """
        waiting: list[Shard] = []
        held, size = 0, self._least
        for shard in planned:
            if not waiting:
                size = self.next()
            waiting.append(shard)
            held += size if shard.images is None else shard.images
            if held >= size:
                yield Bundle(tuple(waiting))
                self._left -= count(waiting)
                waiting, held = [], 0
        if waiting:
            yield Bundle(tuple(waiting))


def count(planned: Iterable[Shard]) -> int:
    """Count the images of shards; one that nobody has counted is taken for one of the usual size."""
    return sum(SHARD_SIZE if shard.images is None else shard.images for shard in planned)
