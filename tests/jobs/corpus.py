"""Bad, odd and hostile archives, made by code, each with the rows that it must become.

The images are as large as `fake_scorer` wants them, unless their size is what is wrong with them.
"""

from collections.abc import Callable
from typing import NamedTuple

import samples

from dice_core.rows import Reason

GOOD = samples.jpeg(1)
"""An image that nothing is wrong with."""
OTHER = samples.jpeg(2)

MAX_BYTES, MAX_MEMBERS, MAX_EXPANSION = 4 << 20, 200, 200
"""The limits that the rows are by."""


class Row(NamedTuple):
    """A member's name, and why it has no scores; None where it has."""

    member: str
    reason: Reason | None = None


class Case(NamedTuple):
    """One archive: the end of its file's name, how its bytes are made, and the rows they become."""

    suffix: str
    make: Callable[[], bytes]
    rows: tuple[Row, ...]


BROKEN = Row("", Reason.BROKEN_ARCHIVE)
CASES: dict[str, Case] = {}


def case(suffix, data, *rows):
    """Make a case of bytes or of what makes them; a row may be a mere name, or a reason of the member a."""
    make = data if callable(data) else lambda: data
    return Case(suffix, make, tuple(_row(row) for row in rows))


def _row(row):
    if isinstance(row, Reason):
        return Row("a", row)
    return row if isinstance(row, Row) else Row(*row) if isinstance(row, tuple) else Row(row)
