"""When a worker that a queue will end has to end itself: its task done, its results told."""

import re
from typing import NamedTuple

_PATTERN = re.compile(r"(?:(\d+)-)?(\d+)(?::(\d+))?(?::(\d+))?")
_FEW = 600.0


class Lifetime(NamedTuple):
    """Seconds after which a worker retires, give or take the stagger."""

    lifetime: int
    stagger: int

    def options(self) -> list[str]:
        """Give them as the options of ``dask worker``."""
        return ["--lifetime", f"{self.lifetime}s", "--lifetime-stagger", f"{self.stagger}s"]


def seconds(walltime: str) -> int:
    """Read a walltime as queues write it: ``D-HH:MM:SS``, ``D-HH``, ``HH:MM:SS``, ``MM:SS`` or ``MM``.

    Raises
    ------
    ValueError
        Where it is none, or zero.
    """
    found = _PATTERN.fullmatch(walltime)
    if found is None:
        raise ValueError(f"{walltime} is no walltime such as 01:00:00")
    days, *fields = (None if group is None else int(group) for group in found.groups())
    given = [number for number in fields if number is not None]
    # With days the first is hours; without, the last of three or two is seconds, and one alone is minutes.
    scale = (3600, 60, 1) if days is not None or len(given) > 2 else (60, 1)  # noqa: PLR2004
    total = 86400 * (days or 0) + sum(a * b for a, b in zip(given, scale, strict=False))
    if not total:
        raise ValueError(f"{walltime} leaves no time")
    return total


def lifetime(walltime: float) -> Lifetime:
    """Choose when workers retire: all before the walltime, and not all at once.

    The last of them has a tenth of the walltime left, or five minutes where that is less, for starting late
    and for the task at hand.
    """
    margin = min(walltime / 10, _FEW / 2)
    stagger = min(walltime / 10, _FEW)
    return Lifetime(round(walltime - margin - stagger), round(stagger))
