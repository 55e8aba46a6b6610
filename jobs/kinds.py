"""Kinds of sources: how the members of each are reached, and how a file is told to be of one."""

import gzip
import zlib
from collections.abc import Iterator
from enum import StrEnum
from typing import BinaryIO

from dice_core.archive import sniff
from dice_core.member import Cut, Member
from dice_core.tar import walk_tar
from dice_core.zip import walk_zip
from jobs.errors import Refusal

_HEAD = 512
"""Bytes that tell an archive's format."""

_IMAGE_NAMES = (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp")
_ARCHIVE_NAMES = (".tar", ".tar.gz", ".tgz", ".zip")
_IMAGE_HEADS = (b"\xff\xd8\xff", b"\x89PNG\r\n", b"GIF8", b"BM", b"II*\0", b"MM\0*", b"RIFF")


class Kind(StrEnum):
    """How the members of a source are reached."""

    TAR = "tar"
    TARGZ = "targz"
    ZIP = "zip"
    FOLDER = "folder"
    IMAGE = "image"
    """One, by itself."""
    BROKEN = "broken"
    """Not at all: the one row there is says so."""


def recognise(stream: BinaryIO, archive: str) -> tuple[Kind, Iterator[tuple[Cut, Member]] | None]:
    """Tell how a file is read, and give the walk over its headers, None where they tell nothing more.

    Its content decides, and its name where that says nothing: what is named as an archive or an image and is
    none becomes a row that says so.

    Raises
    ------
    Refusal
        Where it is neither by content nor by name.
    """
    name = archive.lower()
    stream.seek(0)
    head = stream.read(_HEAD)
    stream.seek(0)
    match sniff(head):
        case "tar":
            return Kind.TAR, walk_tar(stream)
        case "zip":
            return Kind.ZIP, walk_zip(stream)
        case "gzip" if _holds_tar(stream):
            return Kind.TARGZ, None
        case _ if head.startswith(_IMAGE_HEADS) or name.endswith(_IMAGE_NAMES):
            return Kind.IMAGE, None
        case _ if name.endswith(".zip"):
            return Kind.ZIP, walk_zip(stream)  # behind a program that unpacks it, perhaps
        case _ if name.endswith(_ARCHIVE_NAMES):
            return Kind.BROKEN, None
    raise Refusal(
        f"{archive}: neither tar, tar.gz, zip, image nor a folder: name archives of images; "
        f"a list of them is given as @{archive}"
    )


def _holds_tar(stream: BinaryIO) -> bool:
    try:
        with gzip.open(stream) as content:
            return sniff(content.read(_HEAD)) == "tar"
    except (EOFError, zlib.error, gzip.BadGzipFile):
        return False
