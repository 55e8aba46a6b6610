"""The list of what was planned: one line for each source of a job, so that what is missing has a name.

It also decides which rows are a source's: parts of a content that the plan no longer has count for nothing,
from the moment the plan is replaced. And it remembers, so that a source that was not written to since is
planned once more without being opened.
"""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from dice_core.member import Cut
from jobs import parquet, storage
from jobs.arrowfiles import opened
from jobs.errors import Refusal
from jobs.kinds import Kind
from jobs.plan import ArchiveRecord, archive_prefix, part_name, part_prefix

PLAN = "_plan.parquet"

PLAN_SCHEMA = pa.schema(
    [
        pa.field("archive", pa.string(), nullable=False),
        pa.field("identity", pa.string(), nullable=False),
        pa.field("members", pa.int64()),
        pa.field("prefix", pa.string(), nullable=False),
        pa.field("first", pa.list_(pa.int64()), nullable=False),
        pa.field("offset", pa.list_(pa.int64()), nullable=False),
        pa.field("kind", pa.string(), nullable=False),
        pa.field("stamp", pa.string(), nullable=False),
    ]
)
"""One line per source: `members` where known, how its parts' names begin, where its shards begin (member and
byte), and the stamp the file had."""

_AT_ONCE = 1000


class Planned(NamedTuple):
    """One source as it was planned."""

    archive: str
    identity: str
    members: int | None
    prefix: str
    first: list[int]
    offset: list[int]
    kind: str
    stamp: str

    def record(self, archive: str, path: str) -> ArchiveRecord:
        """Give the record that was planned; of an archive, as the files of a folder are not remembered."""
        cuts = tuple(map(Cut, self.first, self.offset))
        mounted = None if path == archive else path
        kind = Kind(self.kind)
        return ArchiveRecord(
            archive, kind, self.identity, self.members, cuts, stamp=self.stamp, mounted=mounted
        )

    @property
    def parts(self) -> Iterator[str]:
        """Names of the parts its shards become."""
        return (part_name(self.prefix, first) for first in self.first)

    def rows(self, shard: int) -> int | None:
        """Count the rows of one of its shards, by its position; None where only reading would tell."""
        ends = [*self.first[1:], self.members]
        end = ends[shard]
        return None if end is None else end - self.first[shard]


def read(out: str) -> Iterator[Planned]:
    """Read the plan of a job; nothing where there is none.

    Raises
    ------
    ValueError
        Where the file is no plan.
    """
    url = storage.join(out, PLAN)
    if not storage.exists(url):
        return
    with opened(url) as file:
        try:
            for batch in pq.ParquetFile(file).iter_batches(_AT_ONCE, columns=PLAN_SCHEMA.names):
                yield from (Planned(**line) for line in batch.cast(PLAN_SCHEMA).to_pylist())
        except (pa.ArrowException, OSError, KeyError, TypeError) as error:
            raise ValueError(f"not a plan: {error}") from error


def live(out: str, names: Iterable[str]) -> Iterator[str]:
    """Leave out the names of parts whose source was replaced: the plan has another content of it.

    Where `names` were listed before, a source is seen whole, as it was, or without rows of that content:
    parts go only after the plan is another.

    Raises
    ------
    ValueError
        Where the file is no plan.
    """
    current = _current(out)
    archive, content = len(archive_prefix("")), len(_prefix_of_nothing())
    return (name for name in names if current.get(name[:archive], name[:content]) == name[:content])


def _current(out: str) -> dict[str, str]:
    """Give how the names of a source's parts begin with its content, by how they begin without."""
    url = storage.join(out, PLAN)
    if not storage.exists(url):
        return {}
    length = len(archive_prefix(""))
    try:
        prefixes = parquet.read_columns(url, ("prefix",))["prefix"].to_pylist()
    except (pa.ArrowException, OSError, KeyError) as error:
        raise ValueError(f"not a plan: {error}") from error
    return {prefix[:length]: prefix for prefix in prefixes}


def _prefix_of_nothing() -> str:
    return part_prefix(ArchiveRecord("", Kind.TAR, "", None, ()))


def remembered(out: str) -> dict[str, Planned]:
    """Give what was planned by how the names of its parts begin; nothing where that cannot be read."""
    length = len(archive_prefix(""))
    try:
        return {planned.prefix[:length]: planned for planned in read(out)}
    except ValueError:
        return {}


def archives(out: str) -> Iterator[str]:
    """Name the sources that were planned, as they are printed; none where that cannot be read."""
    yield from (planned.archive for planned in remembered(out).values())


def merged(out: str, records: Iterable[ArchiveRecord]) -> pa.Table | None:
    """Join sources to those planned before, in the place of what they were; None where that changes nothing.

    A plan that cannot be read is forgotten: sources named once more are planned anew, and none is scored
    twice for it.

    Raises
    ------
    Refusal
        Where two sources could not be told apart, as `check_apart` has it.
    """
    try:
        known = _table(read(out))
    except ValueError:
        known = None
    listed = _table(map(_line, records))
    sources = _sources(listed)
    if known is None:
        check_apart(sources)
        return listed
    there = _sources(known)
    check_apart([*there, *sources])
    named = set(sources)
    others = pa.array([source not in named for source in there], pa.bool_())
    joined = pa.concat_tables([known.filter(others), listed]).sort_by("archive")
    unchanged = storage.exists(storage.join(out, PLAN)) and joined.equals(known)
    return None if unchanged else joined


def check_apart(sources: Iterable[tuple[str, str]]) -> None:
    """Refuse two sources of which one would be taken for the other.

    Parameters
    ----------
    sources
        Each one's name as it is printed, and how the names of its parts begin, which follows from the name
        as it is; the same one may come again.

    Raises
    ------
    Refusal
        Where the names of two are printed alike, or their parts begin alike.
    """
    begins: dict[str, str] = {}
    archives: dict[str, str] = {}
    for archive, begin in sources:
        if begins.setdefault(archive, begin) != begin:
            raise Refusal(
                f"{archive}: so the names of two sources are printed, one of which has bytes that are no "
                "text: rename one of them"
            )
        if archives.setdefault(begin, archive) != archive:
            raise Refusal(
                f"{archive}: its parts would have the names of those of {archives[begin]}: rename one of them"
            )


def write(out: str, lines: pa.Table) -> None:
    """Write the plan, whole or not at all."""
    with storage.writing(storage.join(out, PLAN)) as file:
        pq.write_table(lines, file)


def _line(record: ArchiveRecord) -> Planned:
    archive = storage.printable(record.archive)
    firsts, offsets = [cut.index for cut in record.cuts], [cut.offset for cut in record.cuts]
    prefix, kind = part_prefix(record), record.kind.value
    return Planned(archive, record.identity, record.members, prefix, firsts, offsets, kind, record.stamp)


def _sources(lines: pa.Table) -> list[tuple[str, str]]:
    begins = pc.utf8_slice_codeunits(lines["prefix"], 0, len(archive_prefix("")))
    return list(zip(lines["archive"].to_pylist(), begins.to_pylist(), strict=True))


def _table(lines: Iterable[Planned]) -> pa.Table:
    listed = [line._asdict() for line in lines]
    return pa.Table.from_pylist(listed, PLAN_SCHEMA).sort_by("archive")
