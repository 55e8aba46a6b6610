"""The plan: one record per archive, cut into shards of a fixed number of images.

Planning reads headers and no pixels. Shards depend on the archives and the shard size alone, never on the
workers, so the same sources always give the same parts under the same names.
"""

import io
import sys
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from hashlib import blake2b
from typing import BinaryIO

from dice_core.member import START, Cut
from jobs import storage
from jobs.errors import Refusal
from jobs.identity import Identity
from jobs.kinds import Kind, recognise
from jobs.storage import Entry

SHARD_SIZE = 2000
"""Images in a shard, and the fewest in a task: a quarter of a second's work at the least."""

_DIGEST_BYTES = 16
"""Of shorter ones two sources can be found that have the same, which would be one in the job's folder."""


@dataclass(frozen=True, slots=True)
class ArchiveRecord:
    """One source as it was when the plan was made.

    Attributes
    ----------
    archive
        Its name in the rows: its absolute path, unless a source root gives it another.
    identity
        Names its content at that time, wherever it is mounted; another identity is another content.
    members
        How many members it has; None where only reading it all would tell.
    cuts
        Where each shard begins, in order.
    entries
        The files of a folder; empty for archives.
    stamp
        Of the file at that time: while it has it, it was not written to. Empty for folders.
    mounted
        The path it is read at, where that is not its name.
    """

    archive: str
    kind: Kind
    identity: str
    members: int | None
    cuts: tuple[Cut, ...]
    entries: tuple[Entry, ...] = ()
    stamp: str = ""
    mounted: str | None = None

    @property
    def path(self) -> str:
        """Where it is read."""
        return self.mounted or self.archive


@dataclass(frozen=True, slots=True)
class Shard:
    """A slice of one archive: what is read at once and becomes one part.

    Attributes
    ----------
    first, stop
        Range of member indices, `stop` exclusive; None for all that follow.
    offset
        Byte at which a reader starts to walk.
    members
        Members of the whole archive, where known.
    entries
        The files of a folder's slice; empty for archives.
    stamp, mounted
        As its record has them.
    end
        Byte at which the next shard's members begin, where they follow each other in it; None otherwise.
    """

    archive: str
    kind: Kind
    identity: str
    first: int
    stop: int | None
    offset: int
    members: int | None
    entries: tuple[Entry, ...] = ()
    stamp: str = ""
    mounted: str | None = None
    end: int | None = None

    @property
    def path(self) -> str:
        """Where its archive is read."""
        return self.mounted or self.archive

    @property
    def part(self) -> str:
        """Name of the part this shard becomes."""
        return part_name(f"{archive_prefix(self.archive)}{_digits(self.identity)}-", self.first)

    @property
    def images(self) -> int | None:
        """Members of this shard, where known."""
        return None if self.stop is None else self.stop - self.first

    def __str__(self) -> str:
        return f"{self.archive} [{self.first}:{'' if self.stop is None else self.stop}]"


@dataclass(frozen=True, slots=True)
class Bundle:
    """Consecutive shards that make one task."""

    shards: tuple[Shard, ...]


def archive_prefix(archive: str) -> str:
    """Begin the names of all parts of an archive, whatever its content was."""
    return f"part-{_digits(archive)}-"


def part_prefix(record: ArchiveRecord) -> str:
    """Begin the names of all parts of an archive with its present content."""
    return f"{archive_prefix(record.archive)}{_digits(record.identity)}-"


def part_name(prefix: str, first: int) -> str:
    """Name the part that begins with a member, from how the names of all parts of its archive begin."""
    return f"{prefix}{first:010d}.parquet"


def map_name(archive: str, index: int) -> str:
    """Name the heat map of a member."""
    return f"map-{_digits(archive)}-{index:010d}.png"


def _digits(text: str) -> str:
    return blake2b(text.encode(errors="surrogateescape"), digest_size=_DIGEST_BYTES).hexdigest()


Walked = Callable[[int], None]
"""Told of members that were found."""


def survey(
    archive: str,
    shard_size: int,
    max_members: int = sys.maxsize,
    tell: Walked = lambda members: None,
) -> ArchiveRecord:
    """Make the record of a source under its own path: look at its format, walk its headers.

    A file that is named as archives are and is none, such as one of zero bytes, is a broken archive.

    Parameters
    ----------
    max_members
        Of more members one is counted, which stands for all that follow.
    tell
        Told of members as they are found, a shard at a time.

    Raises
    ------
    Refusal
        Where it cannot be opened, or is no archive by content and name.
    """
    try:
        if storage.is_folder(archive):
            return survey_folder(archive, storage.list_entries(archive), shard_size, max_members)
        if not storage.is_file(archive):
            raise Refusal(f"{archive}: neither a file nor a folder: name archives of images")
        stamp = storage.stamp(archive)
        with storage.open_read(archive) as stream:
            return replace(survey_stream(stream, archive, shard_size, max_members, tell), stamp=stamp)
    except OSError as error:
        raise Refusal(f"{archive}: {error.strerror or error}: leave it out or make it readable") from error


def survey_folder(
    archive: str, entries: list[Entry], shard_size: int, max_members: int = sys.maxsize
) -> ArchiveRecord:
    """Make the record of a folder from its files in order; Refusal where it has none."""
    if not entries:
        raise Refusal(f"{archive}: an empty folder: name one that holds images")
    taken = tuple(entries[: max_members + 1])
    cuts = tuple(Cut(first, 0) for first in range(0, len(taken), shard_size))
    return ArchiveRecord(archive, Kind.FOLDER, Identity.of_folder(entries), len(taken), cuts, taken)


def survey_stream(
    stream: BinaryIO,
    archive: str,
    shard_size: int,
    max_members: int = sys.maxsize,
    tell: Walked = lambda members: None,
) -> ArchiveRecord:
    """Make the record of an archive from its open stream."""
    identity = Identity(stream)
    kind, walked = recognise(stream, archive)
    if walked is None:
        members = None if kind is Kind.TARGZ else 1
        return ArchiveRecord(archive, kind, identity.digest(), members, (START,))
    cuts: list[Cut] = []
    members = compressed = 0
    for cut, member in walked:
        identity.add(member)
        if members % shard_size == 0:
            cuts.append(cut)
            tell(min(members, shard_size))
        members += 1
        compressed += member.compressed_size
        if members > max_members:
            break
    # Entries of a zip that lie in each other: a few bytes would be inflated over and over.
    if compressed > stream.seek(0, io.SEEK_END):
        return ArchiveRecord(archive, Kind.BROKEN, identity.digest(), 1, (START,))
    return ArchiveRecord(archive, kind, identity.digest(), members, tuple(cuts))


def shards(records: Iterable[ArchiveRecord], there: Collection[str] = frozenset()) -> Iterator[Shard]:
    """Cut archives into shards, in order, one at a time as they are asked for.

    Those whose parts are `there` are left out, by name, before anything is made of them: a job that goes on
    may have a million.
    """
    for record in records:
        prefix = part_prefix(record)
        stops = [*(cut.index for cut in record.cuts), record.members][1:]
        # In a zip, a cut is where its directory is read.
        ends = [*(cut.offset if record.kind is Kind.TAR else None for cut in record.cuts), None][1:]
        for cut, stop, end in zip(record.cuts, stops, ends, strict=True):
            if part_name(prefix, cut.index) not in there:
                yield Shard(
                    record.archive,
                    record.kind,
                    record.identity,
                    cut.index,
                    stop,
                    cut.offset,
                    record.members,
                    record.entries[cut.index : stop],
                    record.stamp,
                    record.mounted,
                    end,
                )
