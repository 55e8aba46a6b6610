"""Reads the members of a shard, in order, from whatever holds them."""

import gzip
from collections.abc import Iterator
from dataclasses import dataclass

from dice_core.member import Cut, Member, is_junk
from dice_core.rows import Reason
from dice_core.tar import read_tar, stream_tar
from dice_core.window import PIECE
from dice_core.zip import read_zip
from jobs import storage
from jobs.errors import SourceChangedError
from jobs.plan import Kind, Shard


@dataclass(frozen=True, slots=True)
class Limits:
    """What a member may hold before it is rejected as too large."""

    max_bytes: int = 64 << 20
    max_pixels: int = 100_000_000


def members(shard: Shard, max_bytes: int) -> Iterator[tuple[Member, bytes | Reason]]:
    """Read every member of a shard, in order: its bytes, or why it has none.

    Raises
    ------
    SourceChangedError
        Where the archive, or a file of the folder, changed since the plan was made.
    OSError
        Where the storage fails.
    """
    if shard.kind is Kind.FOLDER:
        yield from _read_folder(shard, max_bytes)
        return
    _check_unchanged(shard)
    for member, content in _read_archive(shard, max_bytes):
        broken = content is Reason.BROKEN_ARCHIVE
        yield member, Reason.ARCHIVE_JUNK if is_junk(member.name) and not broken else content
    _check_unchanged(shard)


def _read_archive(shard: Shard, max_bytes: int) -> Iterator[tuple[Member, bytes | Reason]]:
    # Headers and payloads are read from pieces that may reach beyond the last.
    until = None if shard.end is None else shard.end + PIECE
    with storage.open_read(shard.path, until) as stream:
        if shard.kind is Kind.TARGZ:
            with gzip.open(stream) as content:
                yield from stream_tar(content, max_bytes)
            return
        read = read_zip if shard.kind is Kind.ZIP else read_tar
        yield from read(stream, max_bytes, Cut(shard.first, shard.offset), shard.stop)


def _read_folder(shard: Shard, max_bytes: int) -> Iterator[tuple[Member, bytes | Reason]]:
    reasons = [_unread(entry, max_bytes) for entry in shard.entries]
    wanted = (entry for entry, reason in zip(shard.entries, reasons, strict=True) if reason is None)
    contents = storage.read_entries(shard.path, wanted)
    for index, (entry, reason) in enumerate(zip(shard.entries, reasons, strict=True), shard.first):
        member = Member(index, storage.printable(entry.name), 0, entry.size)
        yield member, next(contents) if reason is None else reason
    next(contents, None)  # past the last, it may tell that one is another by now


def _unread(entry: storage.Entry, max_bytes: int) -> Reason | None:
    if is_junk(entry.name):
        return Reason.ARCHIVE_JUNK
    if not entry.regular:
        return Reason.NOT_A_FILE
    return Reason.TOO_LARGE if entry.size > max_bytes else None


def _check_unchanged(shard: Shard) -> None:
    if not storage.is_unchanged(shard.path, shard.stamp):
        raise SourceChangedError(f"{shard.path} changed since the job was planned")
