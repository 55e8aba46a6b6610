"""What a scoring does with a table of labels: takes it, gives it to the workers, tells what came of it."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import pyarrow.dataset as ds

from jobs import folder, parquet, storage
from jobs.errors import Refusal
from jobs.evaluate import open_rows, read_model
from jobs.labels import LabelFile, Labels, held
from jobs.lookup import Lookup
from jobs.plan import ArchiveRecord
from jobs.roots import Roots
from jobs.rows import ScorerLike

UNMATCHED_TOLD = 10
"""Lines without an image that are named; all are counted."""

_SHOWN = 10


@dataclass(frozen=True)
class Labelling:
    """The table of labels of a scoring, where it has one.

    Attributes
    ----------
    table
        Where the user has it; None where that is not known.
    labels
        What it says; None where labels are those of folders.
    unknown
        Labels in it that the model does not know, and how many lines have each.
    """

    table: str | None = None
    labels: Labels | None = None
    unknown: Mapping[str, int] | None = None

    @classmethod
    def read(cls, table: str | None, scorer: ScorerLike) -> Self:
        """Read a table for a model.

        Raises
        ------
        Refusal
            Where it is none, or the model knows none of its labels.
        """
        if table is None:
            return cls()
        labels = Labels.read(table)
        known = [*scorer.faces, *scorer.anomaly_labels]
        unknown = _unknown(labels, known)
        if len(unknown) == len(labels.names):
            raise Refusal(
                f"--labels {table}: the model knows none of its labels, {_listed(list(unknown))}: it knows "
                f"{_listed(known)}"
            )
        return cls(table, labels, unknown)

    @classmethod
    def kept(cls, out: str, decides: Mapping[str, Any]) -> Self:
        """Take up the table of a job from its folder, which has what it says.

        Raises
        ------
        Refusal
            Where it is not what the job was labelled by.
        """
        if decides.get("labels") is None:
            return cls()
        try:
            labels = held(LabelFile(storage.join(out, folder.LABELS), decides["labels"]))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise Refusal(f"{out}: its labels cannot be read ({error}): score it again, or a part") from error
        bank = read_model(out)
        known = [*(face.name for face in bank.faces), *bank.anomaly_labels]
        return cls(labels=labels, unknown=_unknown(labels, known))

    @property
    def hash(self) -> str | None:
        """Hash what the table says."""
        return None if self.labels is None else self.labels.hash

    def check(self, records: Sequence[ArchiveRecord], earlier: Iterable[str] = ()) -> None:
        """Refuse a table that may mean either of two sources, of this start or of `earlier` ones."""
        if self.labels is not None:
            asked = (storage.printable(record.archive) for record in records)
            self.labels.check(dict.fromkeys([*earlier, *asked]))

    def write(self, out: str) -> LabelFile | None:
        """Put what the table says into the job folder, for the workers."""
        if self.labels is None:
            return None
        url = storage.join(out, folder.LABELS)
        self.labels.write(url)
        return LabelFile(url, self.labels.hash)

    def told(self, out: str) -> dict[str, Any] | None:
        """Tell of the table as the summary does: which lines found no image among all rows of the job."""
        if self.labels is None:
            return None
        roots = Roots((folder.read_job(out) or {}).get("roots", {}))
        ways: dict[str, tuple[str, ...]] = {}
        lookup = Lookup(self.table, self.labels)
        columns = ("archive", "member", "content_hash")
        for batch in parquet.scan(open_rows(out), columns, ds.scalar(True)):
            for archive, member, content in zip(*(batch[name].to_pylist() for name in columns), strict=True):
                if archive not in ways:
                    ways[archive] = tuple(roots.paths(archive))
                lookup.name(ways[archive], member, content)
        return {
            "lines": lookup.matched + lookup.unmatched,
            "matched": lookup.matched,
            "unmatched": lookup.unmatched,
            "first_unmatched": lookup.first_unmatched(UNMATCHED_TOLD),
            "unknown": self.unknown,
        }


UNLABELLED = Labelling()
"""No table: labels are those of folders."""


def _unknown(labels: Labels, known: Sequence[str]) -> dict[str, int]:
    lines = Counter(labels.names[label] for label in labels.label.tolist())
    return {name: lines[name] for name in sorted(lines) if name not in known}


def _listed(names: Sequence[str]) -> str:
    more = len(names) - _SHOWN
    return f"{', '.join(names[:_SHOWN])}{f' and {more:,} more' if more > 0 else ''}"
