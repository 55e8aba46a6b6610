"""Times candidates side by side, in interleaved rounds, so that a machine's moods hit all alike."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from statistics import median
from time import perf_counter
from typing import Any

ROUNDS = 7


@dataclass(frozen=True)
class Timing:
    """Seconds per item in each round, of one candidate.

    Attributes
    ----------
    rounds
        Seconds of each round over the items it did.
    items
        Items, such as images, in a round.
    """

    rounds: tuple[float, ...]
    items: int

    @property
    def microseconds(self) -> float:
        """Median over the rounds, per item."""
        return 1e6 * median(self.rounds)

    def row(self, name: str) -> dict[str, Any]:
        """One line of a table: median and range, microseconds per item."""
        return {
            "what": name,
            "us": round(self.microseconds, 2),
            "least": round(1e6 * min(self.rounds), 2),
            "most": round(1e6 * max(self.rounds), 2),
            "items a round": self.items,
        }


def measure(
    candidates: Mapping[str, tuple[Callable[[], object], int]], rounds: int = ROUNDS
) -> dict[str, Timing]:
    """Time each candidate once a round.

    Parameters
    ----------
    candidates
        Per name, what to run and how many items that is. Each runs once before, which is not timed: it may
        compile, or open what the others find open.
    rounds
        Rounds that are timed.
    """
    for run, _ in candidates.values():
        run()
    taken: dict[str, list[float]] = {name: [] for name in candidates}
    for _ in range(rounds):
        for name, (run, items) in candidates.items():
            start = perf_counter()
            run()
            taken[name].append((perf_counter() - start) / items)
    return {name: Timing(tuple(seconds), candidates[name][1]) for name, seconds in taken.items()}


def ratio(slow: Timing, fast: Timing) -> float:
    """How many times as long the one takes, the median over the rounds."""
    return median(one / other for one, other in zip(slow.rounds, fast.rounds, strict=True))
