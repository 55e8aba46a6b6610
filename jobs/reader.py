"""Reads the members of a shard, in order, from whatever holds them."""

import io
from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import BinaryIO

from dice_core.gunzip import Gunzip
from dice_core.member import Cut, Member, is_junk, read_up_to
from dice_core.rows import Reason
from dice_core.tar import read_tar, stream_tar
from dice_core.window import PIECE
from dice_core.zip import read_zip
from jobs import storage
from jobs.errors import Refusal, SourceChangedError
from jobs.kinds import Kind
from jobs.plan import Shard


@dataclass(frozen=True, slots=True)
class Limits:
    """What archives and images may hold before they are rejected as too large.

    Raises
    ------
    Refusal
        Where one of them is no positive number.
    """

    max_bytes: int = 64 << 20
    """Of a member."""
    max_pixels: int = 50_000_000
    """Of an image, by its header."""
    max_members: int = 10_000_000
    """Of a source; what follows them is one row."""
    max_expansion: int = 200
    """Bytes that may come of each compressed one, of a zip's member and of a gzip up to any place, beyond
    the first mebibyte."""

    def __post_init__(self) -> None:
        for limit in fields(self):
            value = getattr(self, limit.name)
            if value < 1:
                raise Refusal(f"--{limit.name.replace('_', '-')} {value}: give a number from 1 up")


def members(shard: Shard, limits: Limits) -> Iterator[tuple[Member, bytes | Reason]]:
    """Read every member of a shard, in order: its bytes, or why it has none.

    The member that is one too many ends its source: it has no name and is too large.

    Raises
    ------
    SourceChangedError
        Where the archive, or a file of the folder, changed since the plan was made.
    OSError
        Where the storage fails.
    """
    _check_unchanged(shard)
    read = _read_folder if shard.kind is Kind.FOLDER else _read_archive
    for member, content in read(shard, limits):
        if member.index == limits.max_members:
            yield Member(member.index, "", member.offset, 0), Reason.TOO_LARGE
            break
        broken = content is Reason.BROKEN_ARCHIVE
        yield member, Reason.ARCHIVE_JUNK if is_junk(member.name) and not broken else content
    _check_unchanged(shard)


def _read_archive(shard: Shard, limits: Limits) -> Iterator[tuple[Member, bytes | Reason]]:
    start = Cut(shard.first, shard.offset)
    # Headers and payloads are read from pieces that may reach beyond the last.
    until = None if shard.end is None else shard.end + PIECE
    with storage.open_read(shard.path, until) as stream:
        match shard.kind:
            case Kind.TARGZ:
                yield from stream_tar(Gunzip(stream, limits.max_expansion), limits.max_bytes)
            case Kind.ZIP:
                expansion = limits.max_expansion
                yield from read_zip(stream, limits.max_bytes, start, shard.stop, max_expansion=expansion)
            case Kind.IMAGE:
                yield _read_image(stream, shard, limits.max_bytes)
            case Kind.BROKEN:
                yield Member(0, "", 0, 0, Reason.BROKEN_ARCHIVE), Reason.BROKEN_ARCHIVE
            case _:
                yield from read_tar(stream, limits.max_bytes, start, shard.stop)


def _read_image(stream: BinaryIO, shard: Shard, max_bytes: int) -> tuple[Member, bytes | Reason]:
    """Read a file as the one member of a source, named with its folder, which may be its label."""
    name = "/".join(storage.printable(shard.archive).split("/")[-2:]).lstrip("/")
    member = Member(0, name, 0, stream.seek(0, io.SEEK_END))
    stream.seek(0)
    return member, Reason.TOO_LARGE if member.size > max_bytes else read_up_to(stream, member.size)


def _read_folder(shard: Shard, limits: Limits) -> Iterator[tuple[Member, bytes | Reason]]:
    reasons = [_unread(entry, limits.max_bytes) for entry in shard.entries]
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
    """Look whether an archive was written to; the files of a folder are looked at one by one."""
    if shard.kind is not Kind.FOLDER and not storage.is_unchanged(shard.path, shard.stamp):
        raise SourceChangedError(f"{shard.path} changed since the job was planned")
