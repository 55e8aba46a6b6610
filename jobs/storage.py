"""Where files are: list, identify, open, and write whole or not at all.

Every function takes a path or a URL: a plain path or ``file://``, ``s3://`` or ``gs://``. What is done there
is told by `files` and `objects`; what a store has not, locks and temporary names, is answered here.
"""

from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import BinaryIO, Protocol

from jobs import files, objects
from jobs.errors import Refusal
from jobs.files import Entry, is_being_written
from jobs.listing import WILDCARDS
from jobs.store import PROTOCOLS

__all__ = ["Entry", "is_being_written"]

_LOCAL = ("file", "local")


class _Place(Protocol):
    """What files and objects have in common."""

    def absolute(self, url: str) -> str: ...
    def lies_in(self, path: str, place: str, /) -> bool: ...
    def named(self, path: str, /) -> list[str]: ...
    def exists(self, path: str, /) -> bool: ...
    def is_file(self, path: str, /) -> bool: ...
    def is_folder(self, path: str, /) -> bool: ...
    def stamp(self, path: str, /) -> str: ...
    def is_unchanged(self, path: str, stamped: str) -> bool: ...
    def modified(self, path: str, /) -> float: ...
    def list_names(self, folder: str) -> list[str]: ...
    def list_sizes(self, folder: str) -> dict[str, int]: ...
    def last_changed(self, folder: str, names: Iterable[str]) -> float | None: ...
    def list_entries(self, folder: str) -> list[Entry]: ...
    def entry(self, folder: str, name: str) -> Entry: ...
    def read(self, path: str, /) -> bytes: ...
    def read_entries(self, folder: str, entries: Iterable[Entry]) -> Iterator[bytes]: ...
    def open_read(self, path: str, until: int | None = None, /) -> BinaryIO: ...
    def remove(self, path: str, /) -> None: ...
    def writing(self, path: str, /, *, replace: bool = True) -> AbstractContextManager[BinaryIO]: ...


def is_remote(url: str) -> bool:
    """Tell whether a URL names something in a store of objects."""
    return url.partition("://")[0] in PROTOCOLS


def _of(url: str) -> _Place:
    return objects if is_remote(url) else files


def absolute(url: str) -> str:
    """Give the one name of a path or URL: for local files the absolute path.

    Raises
    ------
    Refusal
        Where the protocol is not one that is read, or there is no such bucket's name.
    """
    if not url:
        raise Refusal("an empty path names nothing: name a file or a folder")
    protocol, mark, _ = url.partition("://")
    if "::" in url or (mark and protocol not in (*_LOCAL, *PROTOCOLS)):
        raise Refusal(f"{_bare(url)}: is not read: name a local path, file://, s3:// or gs://")
    return _of(url).absolute(url)


def told(url: str) -> str:
    """Write a path or URL for a message, and of one that is refused no more than the protocol."""
    try:
        absolute(url)
    except Refusal:
        return _bare(url)
    return url


def _bare(url: str) -> str:
    """Leave out what follows the protocol: it may hold a secret."""
    protocol, mark, _ = url.partition("://")
    return f"{protocol}://..." if mark else url


def printable(name: str) -> str:
    r"""Write a name as valid UTF-8, as the members of archives are: bytes that are not become ``\xNN``."""
    return name.encode(errors="surrogateescape").decode(errors="backslashreplace")


def join(folder: str, name: str) -> str:
    """Name a file in a folder."""
    return f"{folder.rstrip('/')}/{name}"


def lies_in(url: str, places: Iterable[str]) -> str | None:
    """Name the first of some places that a file is or lies in, by whatever links; None where none is."""
    inner = absolute(url)
    alike = (place for place in places if is_remote(place) == is_remote(inner))
    return next((place for place in alike if _of(inner).lies_in(inner, absolute(place))), None)


def parent(url: str) -> str:
    """Name the folder a file is in."""
    return absolute(url).rpartition("/")[0] or "/"


def expand(sources: Iterable[str]) -> list[str]:
    """List the archives and folders that sources name, each once, sorted.

    A source is a path, a URL or a glob of them; a path that exists is never taken for a glob.

    Raises
    ------
    Refusal
        Where a source does not exist, cannot be looked for, or a glob matches nothing.
    """
    found: set[str] = set()
    for source in sources:
        matches = named(source)
        if not matches:
            what = "matches nothing" if WILDCARDS.intersection(source) else "no such file or folder"
            raise Refusal(f"{source}: {what}: name an archive, a folder or a glob of them")
        found.update(matches)
    return sorted(found)


def named(source: str) -> list[str]:
    """List what a path, a URL or a glob of them names; nothing where there is nothing.

    Raises
    ------
    Refusal
        Where it cannot be looked for.
    """
    path = absolute(source)
    try:
        return _of(path).named(path)
    except OSError as error:
        raise Refusal(f"{source}: {error.strerror or error}: name what can be read") from error


def exists(url: str) -> bool:
    """Tell whether there is a file or a folder."""
    return _of(url).exists(absolute(url))


def is_file(url: str) -> bool:
    """Tell whether there is a regular file; pipes and devices are none."""
    return _of(url).is_file(absolute(url))


def is_folder(url: str) -> bool:
    """Tell whether there is a folder; in a store, whether objects lie below a prefix."""
    return _of(url).is_folder(absolute(url))


def takes_files(folder: str) -> bool:
    """Tell whether a folder is there to write to; in a store it is with its first object."""
    return is_remote(folder) or is_folder(folder)


def check_parent(url: str, given: str) -> None:
    """Refuse a file to write whose folder is not there, before there is work to lose.

    Parameters
    ----------
    given
        How the file was named, its option before it.

    Raises
    ------
    Refusal
        Where the folder is not there.
    """
    if not takes_files(parent(url)):
        raise Refusal(f"{given}: its folder does not exist: make it, or name another file")


def stamp(url: str) -> str:
    """Give what becomes another whenever a file is written to: its size, and its time or version.

    It names no content: a copy elsewhere may have another, and only one of the same file tells something.
    Of a source that was listed just now in a store, it is what was told then.
    """
    return _of(url).stamp(absolute(url))


def is_unchanged(url: str, stamped: str) -> bool:
    """Tell whether a file has a stamp still; asked anew, wherever it is."""
    return _of(url).is_unchanged(absolute(url), stamped)


def modified(url: str) -> float:
    """Give the time a file or folder was last written to, in seconds since the epoch; 0 for a prefix."""
    return _of(url).modified(absolute(url))


def list_names(folder: str) -> list[str]:
    """List the names directly in a folder, sorted; none where it does not exist.

    Names that begin with a dot are left out: unfinished writes, and what file browsers leave.
    """
    return _of(folder).list_names(absolute(folder))


def list_sizes(folder: str) -> dict[str, int]:
    """List the files directly in a folder with their sizes in bytes; names as `list_names` gives them."""
    return _of(folder).list_sizes(absolute(folder))


def last_changed(folder: str, names: Iterable[str]) -> float | None:
    """Tell when the newest of some files in a folder was written, seconds since 1970; None where none is."""
    return _of(folder).last_changed(absolute(folder), names)


def list_unfinished(folder: str) -> Iterator[tuple[str, str]]:
    """List what killed writers left in a folder: the temporary name, and the name it was to have.

    In a store there is nothing: what was sent in part is no object.
    """
    return iter(()) if is_remote(folder) else files.list_unfinished(absolute(folder))


def list_entries(folder: str) -> list[Entry]:
    """List all files below a folder, sorted by their relative names; links to folders are not entered.

    They stand in the list instead, as entries that are not regular, so that nothing is passed over.
    """
    return _of(folder).list_entries(absolute(folder))


def entry(folder: str, name: str) -> Entry:
    """Describe one file below a folder, as `list_entries` does."""
    return _of(folder).entry(absolute(folder), name)


def read_entries(folder: str, entries: Iterable[Entry]) -> Iterator[bytes]:
    """Read files that `list_entries` listed, in order.

    Raises
    ------
    SourceChangedError
        Where one is another by now; in a store it is told of at the end.
    """
    return _of(folder).read_entries(absolute(folder), entries)


def open_read(url: str, until: int | None = None) -> BinaryIO:
    """Open a file for reading and seeking, unbuffered: what reads archives asks for larger pieces.

    Parameters
    ----------
    until
        Where who reads in order will end, for what reads ahead; None where that is not known.
    """
    return _of(url).open_read(absolute(url), until)


def open_append(url: str) -> BinaryIO:
    """Open a file for appending, unbuffered; it is made where it does not exist.

    Raises
    ------
    ValueError
        Where it is in a store, which appends to nothing.
    """
    if is_remote(url):
        raise ValueError(f"{url}: a store appends to nothing")
    return files.open_append(absolute(url))


def read(url: str) -> bytes:
    """Read a whole file."""
    return _of(url).read(absolute(url))


def make_folder(url: str) -> None:
    """Make a folder and those above it; one that exists is left as it is, and a store needs none."""
    if not is_remote(url):
        files.make_folder(absolute(url))


def held(folder: str, *, shared: bool = False) -> AbstractContextManager[None]:
    """Hold a folder against every other process of this machine; it is let go however this one ends.

    Where it is `shared`, others may share it, and none may hold it alone. A store has no such hold; there
    only the parts, of which each is written once, keep two from each other.

    Raises
    ------
    BlockingIOError
        Where another process holds it.
    """
    return nullcontext() if is_remote(folder) else files.held(absolute(folder), shared=shared)


def is_held(folder: str) -> bool:
    """Tell whether another process of this machine holds a folder; those that ask do not see each other."""
    return not is_remote(folder) and files.is_held(absolute(folder))


def remove(url: str) -> None:
    """Remove a file; one that is gone is no error."""
    _of(url).remove(absolute(url))


def writing(url: str, *, replace: bool = True) -> AbstractContextManager[BinaryIO]:
    """Open a file that appears under its name when the block ends well, and not at all otherwise.

    Raises
    ------
    FileExistsError
        Where it is not to replace another, and one has appeared there; the other stays.
    """
    return _of(url).writing(absolute(url), replace=replace)


def write(url: str, data: bytes) -> None:
    """Write a file whole or not at all."""
    with writing(url) as file:
        file.write(data)
