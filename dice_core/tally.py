"""Counts of rows, which merge: by archive, lot, label, face, status, reason, verdict; with zero and plus."""

import json
from collections import Counter
from collections.abc import Callable, Iterable
from typing import NamedTuple

import pyarrow as pa

from dice_core.rows import Status, Verdict


class Kind(NamedTuple):
    """What rows are counted by; ``None`` where the row has none."""

    archive: str
    lot: str
    label: str | None
    face: str | None
    status: str
    reason: str | None
    verdict: str | None


class Tally:
    """How many rows there are of each kind.

    Tallies form a commutative monoid: ``Tally()`` is zero, ``+`` merges, and neither order nor grouping
    matters, so every part can carry its own and any subset can be closed later.
    """

    def __init__(self, counts: Iterable[tuple[Kind, int]] = ()) -> None:
        self._counts: Counter[Kind] = Counter()
        for kind, count in counts:
            if count:  # or equal tallies would differ in hash and JSON
                self._counts[Kind(*kind)] += count

    @classmethod
    def of(cls, rows: pa.Table) -> "Tally":
        """Count a table that has at least the columns of `Kind`."""
        grouped = rows.select(Kind._fields).group_by(list(Kind._fields)).aggregate([([], "count_all")])
        columns = [grouped[name].to_pylist() for name in Kind._fields]
        counts = grouped["count_all"].to_pylist()
        return cls((Kind(*values), count) for *values, count in zip(*columns, counts, strict=True))

    def __add__(self, other: "Tally") -> "Tally":
        merged = Tally(self._counts.items())
        merged._counts.update(other._counts)
        return merged

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Tally) and self._counts == other._counts

    def __hash__(self) -> int:
        return hash(frozenset(self._counts.items()))

    def __repr__(self) -> str:
        return f"Tally({self.rows} rows of {len(self._counts)} kinds)"

    def count(self, where: Callable[[Kind], bool]) -> int:
        """Count the rows whose kind fulfils `where`."""
        return sum(count for kind, count in self._counts.items() if where(kind))

    @property
    def rows(self) -> int:
        """All rows."""
        return self._counts.total()

    @property
    def ok(self) -> int:
        """Rows with scores."""
        return self.count(lambda kind: kind.status == Status.OK)

    @property
    def rejected(self) -> int:
        """Rows of members that should have been images and could not be scored."""
        return self.count(lambda kind: kind.status == Status.REJECTED)

    @property
    def ignored(self) -> int:
        """Rows of archive junk."""
        return self.count(lambda kind: kind.status == Status.IGNORED)

    @property
    def unknown(self) -> int:
        """Rows of images that do not look like any of the model's parts."""
        return self.count(lambda kind: kind.verdict == Verdict.UNKNOWN_PART)

    @property
    def anomalies(self) -> int:
        """Rows of images judged defective, parts of unknown kind included."""
        return self.count(lambda kind: kind.verdict in (Verdict.ANOMALY, Verdict.UNKNOWN_PART))

    def by(self, field: str) -> dict[str | None, int]:
        """Count per value of one field of `Kind`."""
        position = Kind._fields.index(field)
        counts: Counter[str | None] = Counter()
        for kind, count in self._counts.items():
            counts[kind[position]] += count
        return dict(counts)

    def rejects(self) -> dict[str, int]:
        """Count the rejected rows per reason."""
        counts: Counter[str] = Counter()
        for kind, count in self._counts.items():
            if kind.status == Status.REJECTED and kind.reason is not None:
                counts[kind.reason] += count
        return dict(counts)

    def archives(self, reason: str) -> list[str]:
        """List the archives with a row of that reason, sorted."""
        return sorted({kind.archive for kind in self._counts if kind.reason == reason})

    def to_json(self) -> str:
        """Write the counts as JSON that is the same for equal tallies."""
        listed = sorted(
            ([*kind, count] for kind, count in self._counts.items()),
            key=lambda entry: [(value is not None, str(value)) for value in entry],
        )
        return json.dumps(listed, ensure_ascii=False, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> "Tally":
        """Read what `to_json` wrote; ValueError where it is not that."""
        try:
            return cls((Kind(*values), int(count)) for *values, count in json.loads(text))
        except (TypeError, KeyError, OverflowError, RecursionError) as error:
            raise ValueError(f"not a tally: {text[:80]!r}") from error
