"""Finds the images that kill their workers, and scores the shard around them."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Protocol, TypeVar

from jobs.place import ShardError
from jobs.plan import Bundle, Shard
from jobs.shard import PartReport, ShardSettings, count_members, score_shard, try_range

DEATHS = 3
"""Workers that one image must have killed, scored alone, before it is left out."""

MOST = 8
"""Images of a shard that may be left out: where more kill their workers, it is not the images."""

T = TypeVar("T")


class Trial(Protocol):
    """Runs a function in a worker that does nothing else."""

    def __call__(self, task: Callable[[], T]) -> T:
        """Run it and give what it returns.

        Raises
        ------
        WorkerDiedError
            Where the worker died while the function ran: not before, and not after.
        """


class WorkerDiedError(Exception):
    """A worker died of what it was given, or was killed meanwhile."""


def rescue(settings: ShardSettings, trial: Trial, bundle: Bundle) -> tuple[PartReport, ...]:
    """Score shards that have killed their workers, leaving out the images that do so.

    Raises
    ------
    ShardError
        Where a shard cannot be scored all the same.
    """
    return tuple(_rescue_shard(shard, settings, trial) for shard in bundle.shards)


def _rescue_shard(shard: Shard, settings: ShardSettings, trial: Trial) -> PartReport:
    score = partial(score_shard, shard, settings)
    if (report := _once(trial, score)) is not None:
        return report  # a neighbour, or someone outside, had killed its workers

    def kills(first: int, stop: int) -> bool:
        return _once(trial, partial(try_range, shard, settings, first, stop)) is None

    killers: frozenset[int] = frozenset()
    stop = shard.stop
    if stop is None:
        counted = _often(trial, partial(count_members, shard, settings))
        stop = None if counted is None else shard.first + counted
    if stop is not None:
        killers = frozenset(_checked(find(shard.first, stop, kills), shard))
    report = _often(trial, partial(score, killers=killers))
    if report is None:
        how = f"even without {len(killers)} that do so alone" if killers else "though no image does so alone"
        raise ShardError(f"{shard}: kills its worker, {how}")
    return report


def _checked(found: Iterator[int], shard: Shard) -> list[int]:
    killers = []
    for killer in found:
        killers.append(killer)
        if len(killers) > MOST:
            raise ShardError(f"{shard}: more than {MOST} images kill their workers: it is not the images")
    return killers


def find(first: int, stop: int, kills: Callable[[int, int], bool]) -> Iterator[int]:
    """Find the images in a range that kill their workers, by halving, in order.

    Parameters
    ----------
    kills
        Tells whether a worker died while images, from the first up to but without the last, were scored.
        One death is enough to look closer; an image is found when each of `DEATHS` workers died of it alone.
    """
    waiting = [(first, stop)]
    while waiting:
        low, high = waiting.pop()
        if high - low == 1:
            if all(kills(low, high) for _ in range(DEATHS)):
                yield low
            continue
        middle = (low + high) // 2
        halves = (middle, high), (low, middle)
        waiting += [(one, end) for one, end in halves if end - one == 1 or kills(one, end)]


def _once(trial: Trial, task: Callable[[], T]) -> T | None:
    try:
        return trial(task)
    except WorkerDiedError:
        return None


def _often(trial: Trial, task: Callable[[], T]) -> T | None:
    """Run what should not kill; workers die of other things as well."""
    for _ in range(DEATHS):
        if (told := _once(trial, task)) is not None:
            return told
    return None
