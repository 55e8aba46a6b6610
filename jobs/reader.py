"""Reads the members of a shard, in order, from whatever holds them."""

import gzip
import io
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from dice_core.member import Cut, Member, is_junk, read_up_to
from dice_core.rows import Reason
from dice_core.tar import read_tar, stream_tar
from dice_core.zip import read_zip
from jobs import storage
from jobs.plan import Kind, Shard


@dataclass(frozen=True, slots=True)
class Limits:
    """What a member may hold before it is rejected as too large."""

    max_bytes: int = 64 << 20
    max_pixels: int = 100_000_000


class SourceChangedError(Exception):
    """A source is no longer what was planned; its rows would mix two contents."""


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
    with storage.open_read(shard.path) as stream:
        if shard.kind is Kind.IMAGE:
            yield _read_image(stream, shard, max_bytes)
            return
        if shard.kind is Kind.TARGZ:
            with gzip.open(stream) as content:
                yield from stream_tar(content, max_bytes)
            return
        read = read_zip if shard.kind is Kind.ZIP else read_tar
        yield from read(stream, max_bytes, Cut(shard.first, shard.offset), shard.stop)


def _read_image(stream: BinaryIO, shard: Shard, max_bytes: int) -> tuple[Member, bytes | Reason]:
    """Read a file as the one member of a source, named with its folder, which may be its label."""
    name = "/".join(storage.printable(shard.archive).split("/")[-2:]).lstrip("/")
    member = Member(0, name, 0, stream.seek(0, io.SEEK_END))
    stream.seek(0)
    return member, Reason.TOO_LARGE if member.size > max_bytes else read_up_to(stream, member.size)


def _read_folder(shard: Shard, max_bytes: int) -> Iterator[tuple[Member, bytes | Reason]]:
    for index, entry in enumerate(shard.entries, shard.first):
        member = Member(index, storage.printable(entry.name), 0, entry.size)
        if is_junk(entry.name):
            yield member, Reason.ARCHIVE_JUNK
        elif not entry.regular:
            yield member, Reason.NOT_A_FILE
        elif entry.size > max_bytes:
            yield member, Reason.TOO_LARGE
        else:
            content = storage.read(storage.join(shard.path, entry.name))
            if storage.entry(shard.path, entry.name) != entry:
                raise SourceChangedError(f"{entry.name} changed since the job was planned")
            yield member, content


def _check_unchanged(shard: Shard) -> None:
    if storage.stamp(shard.path) != shard.stamp:
        raise SourceChangedError(f"{shard.path} changed since the job was planned")
