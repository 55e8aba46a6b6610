"""A circuit breaker: when storage fails for one shard after another, submitting waits, and at last stops."""

FEWEST = 3
"""Shards that storage must have failed for, and none in between that it did not: fewer may be bad blocks."""

PATIENCE = 60.0
"""Seconds of nothing but failures after which storage is down."""

FIRST_WAIT = 1.0
LONGEST_WAIT = 8.0
"""Seconds between two tries while it is open; the wait doubles from the first to the longest."""


class Breaker:
    """Counts failures of storage since its last success; time is an argument.

    Closed, any number of tasks may be submitted. Open, one at a time is, after a wait that grows; the first
    success closes it again. Where failures have lasted for `PATIENCE`, or one came that waiting does not
    mend, storage is `down` for good.
    """

    def __init__(self) -> None:
        self.down = False
        self._failing: set[str] = set()
        self._began = 0.0
        self._next = 0.0
        self._wait = FIRST_WAIT

    @property
    def is_open(self) -> bool:
        """Whether storage fails for shard after shard."""
        return self.down or len(self._failing) >= FEWEST

    def failed(self, part: str, now: float, *, hopeless: bool = False) -> None:
        """Count a failure of storage for a shard, by the name of its part."""
        if not self._failing:
            self._began = now
        self._failing.add(part)
        if hopeless or (self.is_open and now - self._began >= PATIENCE):
            self.down = True
        if self.is_open:
            self._next = now + self._wait
            self._wait = min(2 * self._wait, LONGEST_WAIT)

    def succeeded(self) -> None:
        """Close it."""
        self._failing.clear()
        self._wait = FIRST_WAIT

    def room(self, flying: int, most: int, now: float) -> int:
        """Tell how many tasks may be submitted beside those in flight, of which there may be `most`."""
        if not self.is_open:
            return max(0, most - flying)
        return int(not self.down and not flying and now >= self._next)

    def until(self, now: float) -> float:
        """Seconds until it may let a task through; 0 where it lets them through now."""
        return max(0.0, self._next - now) if self.is_open else 0.0
