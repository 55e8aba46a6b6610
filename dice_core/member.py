"""A member of an archive: what its header tells of it, and where a walk over the headers can resume."""

from dataclasses import dataclass
from typing import Protocol

from dice_core.rows import Reason


class Readable(Protocol):
    """All that a forward-only stream needs to offer."""

    def read(self, size: int, /) -> bytes:
        """Return up to `size` bytes, none at the end."""


@dataclass(slots=True)  # frozen, one would take five times as long to make, and millions are made
class Member:
    """One member that is not a directory, as its header describes it; offsets and sizes in bytes."""

    index: int
    """Position among the members, directories not counted, from 0."""
    name: str
    """Always valid UTF-8; bytes that are not are written as ``\\xNN``."""
    offset: int
    """Of the payload (tar) or of the local header (zip) in the uncompressed stream."""
    size: int
    """Uncompressed, as claimed."""
    reason: Reason | None = None
    """Why it cannot be read, where the headers alone tell."""
    compressed_size: int = 0
    method: int = 0
    crc: int | None = None
    """CRC-32 of the uncompressed bytes; None in tar, which has none."""


@dataclass(frozen=True, slots=True)
class Cut:
    """Where a walk can resume: at the headers of member `index`, which begin at byte `offset`.

    In tar that is its first header block, long-name and pax headers included; in zip its central record.
    """

    index: int
    offset: int


START = Cut(0, 0)
"""The beginning of any archive."""

FREE_EXPANSION = 1 << 20
"""Bytes that may come of however few compressed ones: what is blank is small, and harms nobody."""


def expands_too_far(size: int, compressed_size: int, limit: float) -> bool:
    """Tell whether bytes are more than a limit times those they were compressed to."""
    return size > FREE_EXPANSION and size > limit * compressed_size


def is_junk(name: str) -> bool:
    """Tell whether a member is what macOS or Windows leaves in archives rather than content."""
    *folders, file = name.replace("\\", "/").split("/")
    return (
        file == ".DS_Store"
        or file.startswith("._")
        or file.lower() in ("thumbs.db", "desktop.ini")
        or "__MACOSX" in folders
    )


def folder_of(name: str) -> str:
    """Return the immediate parent folder of a member's name, "" where it has none."""
    parts = [part for part in name.replace("\\", "/").split("/") if part not in ("", ".")]
    return parts[-2] if len(parts) > 1 else ""


def read_up_to(stream: Readable, size: int) -> bytes:
    """Read exactly `size` bytes, fewer only at the end: a raw stream may return less than asked."""
    data = stream.read(size)
    while len(data) < size and (more := stream.read(size - len(data))):
        data += more
    return data
