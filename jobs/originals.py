"""The images that rows were made of, read once more from where their archives are now, each by its place."""

import gzip
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, BinaryIO

from dice_core.archive import read_member
from dice_core.member import Cut, Member
from dice_core.rows import Reason
from dice_core.zip import walk_zip
from jobs import folder, planlist, storage
from jobs.errors import Refusal
from jobs.kinds import Kind
from jobs.parquet import digest
from jobs.planlist import Planned
from jobs.reader import Limits
from jobs.roots import Roots

PLACE = ("archive", "index", "member", "offset", "size", "content_hash")
"""The columns of a row that tell where its image is."""


@dataclass(frozen=True, slots=True)
class Gone:
    """An image that is not to be had any more, and why."""

    why: str


class Originals:
    """Finds the images of a job's rows.

    Parameters
    ----------
    out
        The job folder.
    roots
        ``PREFIX=NAME`` each: where archives are now that are not where they were scored.

    Raises
    ------
    Refusal
        Where the folder is no job's, or a root is not of that form.
    """

    def __init__(self, out: str, roots: Iterable[str] = ()) -> None:
        job = folder.read_job(out)
        if job is None:
            raise Refusal(f"{out}: not a job folder: name the one that score wrote with --out")
        self._out = out
        self._roots = Roots.parse(roots).over(job.get("roots", {}))
        self._max_bytes = int(job["decides"].get("max_bytes", Limits().max_bytes))

    def read(self, rows: Sequence[Mapping[str, Any]]) -> list[bytes | Gone]:
        """Read the bytes of each row's image, in the order of the rows, which have the columns of `PLACE`."""
        order = sorted(range(len(rows)), key=lambda at: (rows[at]["archive"], rows[at]["index"]))
        archives = {row["archive"] for row in rows}
        try:
            planned = {line.archive: line for line in planlist.read(self._out) if line.archive in archives}
        except ValueError:
            planned = {}
        found: dict[int, bytes | Gone] = {}
        for archive, places in groupby(order, key=lambda at: str(rows[at]["archive"])):
            here = list(places)
            contents = self._read_archive(archive, planned.get(archive), [rows[at] for at in here])
            found.update(zip(here, contents, strict=True))
        return [_checked(found[at], row) for at, row in enumerate(rows)]

    def _read_archive(
        self, archive: str, planned: Planned | None, rows: list[Mapping[str, Any]]
    ) -> list[bytes | Gone]:
        """Read images of one archive, in its order; once it fails, it fails for the rest."""
        found: list[bytes | Gone] = []
        try:
            path = next((path for path in self._roots.paths(archive) if storage.exists(path)), archive)
            if planned is None:
                raise FileNotFoundError("the plan of the job does not tell of it")
            # What was read before it fails is kept.
            contents = self._read(path, planned, rows)
            found.extend(
                Gone(content.value) if isinstance(content, Reason) else content for content in contents
            )
        except (OSError, EOFError, ValueError, zlib.error) as error:
            why = getattr(error, "strerror", None) or str(error)
            found += [Gone(f"{archive}: {why}")] * (len(rows) - len(found))
        return found

    def _read(self, path: str, planned: Planned, rows: list[Mapping[str, Any]]) -> Iterator[bytes | Reason]:
        kind = Kind(planned.kind)
        if kind is Kind.FOLDER:
            yield from (storage.read(storage.join(path, row["member"])) for row in rows)
            return
        with storage.open_read(path) as stream:
            if kind is Kind.TARGZ:
                # There is no place to begin in it: it is unpacked once, up to the last image.
                with gzip.open(stream) as unpacked:
                    yield from self._members(unpacked, map(_member, rows))
            elif kind is Kind.ZIP:
                yield from self._members(stream, (_entry(stream, planned, row) for row in rows))
            else:
                yield from self._members(stream, map(_member, rows))

    def _members(self, stream: Any, members: Iterable[Member]) -> Iterator[bytes | Reason]:
        return (read_member(stream, member, self._max_bytes) for member in members)


def _member(row: Mapping[str, Any]) -> Member:
    return Member(row["index"], row["member"], row["offset"], row["size"])


def _entry(stream: BinaryIO, planned: Planned, row: Mapping[str, Any]) -> Member:
    """Find the directory entry of a row in a zip, from the shard's first on."""
    shard = max((at for at, first in enumerate(planned.first) if first <= row["index"]), default=0)
    cut = Cut(planned.first[shard], planned.offset[shard])
    for _, member in walk_zip(stream, cut, row["index"] + 1):
        if member.index == row["index"]:
            return member
    raise ValueError("ends before that image")


def _checked(content: bytes | Gone, row: Mapping[str, Any]) -> bytes | Gone:
    if isinstance(content, Gone) or digest(content) == row["content_hash"]:
        return content
    return Gone(f"{row['archive']}: its bytes are no longer those that were scored")
