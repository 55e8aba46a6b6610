"""A job in shares: each scored by a start that knows nothing of the others, and merged at the end."""

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from jobs.errors import Refusal
from jobs.planlist import Planned

_FORM = re.compile(r"([0-9]{1,9})/([0-9]{1,9})")


@dataclass(frozen=True, slots=True)
class Share:
    """One of so many shares of a job; shards are dealt out in the order of the plan.

    Attributes
    ----------
    number
        From 1.
    of
        How many there are.
    """

    number: int
    of: int

    @classmethod
    def parse(cls, text: str) -> "Share":
        """Read ``i/n``.

        Raises
        ------
        Refusal
            Where it is none.
        """
        found = _FORM.fullmatch(text)
        number, of = map(int, found.groups()) if found else (0, 0)
        if not 1 <= number <= of:
            raise Refusal(f"--part {text}: give a share such as 1/3, from 1/3 to 3/3")
        return cls(number, of)

    def __str__(self) -> str:
        return f"{self.number}/{self.of}"

    def others(self, plan: Iterable[Planned]) -> frozenset[str]:
        """Name the parts that are for other shares to write."""
        return frozenset(
            part
            for position, part in enumerate(part for source in plan for part in source.parts)
            if position % self.of != self.number - 1
        )


def lacking(plan: Iterable[Planned], there: Collection[str], of: int) -> list[Share]:
    """Tell which shares have not written all their parts."""
    parts = (part for source in plan for part in source.parts)
    numbers = {position % of + 1 for position, part in enumerate(parts) if part not in there}
    return [Share(number, of) for number in sorted(numbers)]
