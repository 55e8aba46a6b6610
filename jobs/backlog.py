"""What is still to be submitted: the plan's next, and what has to be tried again."""

from collections.abc import Iterable, Iterator
from heapq import heappop, heappush
from itertools import count, islice

from jobs import events
from jobs.breaker import Breaker
from jobs.events import Listener, Retried
from jobs.place import ShardError, StorageError
from jobs.plan import Bundle, Shard
from jobs.shard import Failure

DELAYS = (0.5, 1.0, 2.0, 4.0)
"""Seconds until a shard that storage failed for is tried again, the first time, the second and so on."""


class Backlog:
    """Hands out bundles, and decides what becomes of those that failed; time is an argument.

    A failed bundle is split, so that one bad shard among many costs only its own rows. A shard that storage
    failed for comes back after a while, a few times; one that failed otherwise would only fail again.
    """

    def __init__(self, planned: Iterable[Bundle], emit: Listener = events.ignore) -> None:
        self.breaker = Breaker()
        self._emit = emit
        self._planned = iter(planned)
        self._ended = False
        self._again: list[tuple[float, int, Bundle]] = []
        self._order = count()
        self._tries: dict[str, int] = {}
        self._attempts: dict[str, int] = {}
        """The number of the last try of what is tried again."""

    def take(self, most: int, now: float) -> list[Bundle]:
        """Take what is due again, then the plan's next; at most so many."""
        if self.breaker.is_open:
            # What failed would tell less of storage than what was not tried yet.
            return self._next(most) or self._due(most, now)
        due = self._due(most, now)
        return [*due, *self._next(most - len(due))]

    def _next(self, most: int) -> list[Bundle]:
        found = list(islice(self._planned, most))
        self._ended = self._ended or len(found) < most
        return found

    def _due(self, most: int, now: float) -> list[Bundle]:
        found: list[Bundle] = []
        while len(found) < most and self._again and self._again[0][0] <= now:
            found.append(heappop(self._again)[2])
        return found

    def wait(self, now: float) -> float | None:
        """Tell how many seconds from now there is something to take; None where there is nothing any more."""
        if self._again:
            return max(self._again[0][0] - now, self.breaker.until(now), 0.0)
        return None if self._ended else self.breaker.until(now)

    def succeeded(self, bundle: Bundle) -> None:
        """Hear of a bundle that was scored."""
        self.breaker.succeeded()
        if self._tries or self._attempts:
            for shard in bundle.shards:
                self._forget(shard)

    def _forget(self, shard: Shard) -> None:
        self._tries.pop(shard.part, None)
        self._attempts.pop(shard.part, None)

    def failed(self, bundle: Bundle, error: BaseException, now: float) -> Iterator[Failure]:
        """Try again, or give up on a shard."""
        again = isinstance(error, StorageError)
        # While storage fails for all, it is not the shard that fails.
        counts = not self.breaker.is_open
        if isinstance(error, StorageError):
            self.breaker.failed(bundle.shards[0].part, now, hopeless=error.hopeless)
        if len(bundle.shards) > 1:
            for shard in bundle.shards:
                self._retry(shard, now, error)
            return
        (shard,) = bundle.shards
        tries = self._tries.get(shard.part, 0)
        if again and (tries < len(DELAYS) or not counts):
            self._tries[shard.part] = tries + counts
            self._retry(shard, now + DELAYS[min(tries, len(DELAYS) - 1)], error)
        else:
            self._forget(shard)
            yield Failure(shard, text_of(error))

    def _retry(self, shard: Shard, due: float, error: BaseException) -> None:
        one = Bundle((shard,))
        self.put(one, due)
        self.retried(one, text_of(error))

    def retried(self, bundle: Bundle, why: str) -> None:
        """Tell that shards are tried once more."""
        for shard in bundle.shards:
            attempt = self._attempts[shard.part] = self._attempts.get(shard.part, 1) + 1
            self._emit(Retried(shard.archive, shard.first, why, attempt))

    def put(self, bundle: Bundle, due: float) -> None:
        """Have a bundle handed out once more, from a time on."""
        heappush(self._again, (due, next(self._order), bundle))


def text_of(error: BaseException) -> str:
    """Write an error in one line; a `ShardError` names its place and its cause itself."""
    text = str(error) if isinstance(error, ShardError) else f"{type(error).__name__}: {error}"
    return " ".join(text.split())
