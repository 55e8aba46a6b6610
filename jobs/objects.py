"""Objects of a store: identify, list, open, and write whole or not at all.

Every function takes a URL as `absolute` gives it. A prefix is a folder where objects lie below it.
"""

import errno
import re
import shutil
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from os.path import commonprefix
from tempfile import SpooledTemporaryFile
from typing import Any, BinaryIO, cast

from jobs import listing
from jobs.errors import Refusal, SourceChangedError
from jobs.files import Entry
from jobs.listing import Info, named
from jobs.ranges import BLOCK, Ranges
from jobs.store import ask

__all__ = ["named"]

_LETTERS = frozenset("-._abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789")
"""Of which the names of buckets are."""

_SIGNED = re.compile(r"(?is)\?(.*&)?(X-Amz-|X-Goog-|Signature=|AWSAccessKeyId=|GoogleAccessId=)")
"""What makes a URL one that opens an object for whoever has it; a question mark alone is a wildcard."""

_IN_MEMORY = 64 << 20
"""Bytes that are written by one request; what is more goes through a temporary file, in several."""

_AT_ONCE = 16
"""Objects that are fetched at once."""

_READ_AHEAD = 32 << 20
"""Bytes of objects that wait to be taken."""


def absolute(url: str) -> str:
    """Give the one name of an object or prefix.

    Raises
    ------
    Refusal
        Where it has no bucket, one that cannot be, or a signature; that is not repeated, being a secret.
    """
    protocol, _, path = url.partition("://")
    bucket, _, key = path.partition("/")
    if not bucket or not _LETTERS.issuperset(bucket):
        raise Refusal(
            f"{protocol}://...: no bucket has such a name: give {protocol}://BUCKET/KEY, "
            "and credentials by the environment or a profile"
        )
    if _SIGNED.search(key):
        raise Refusal(
            f"{protocol}://...: is signed: give {protocol}://BUCKET/KEY, "
            "and credentials by the environment or a profile"
        )
    return f"{protocol}://{bucket}/{key}".rstrip("/")


def lies_in(url: str, place: str) -> bool:
    """Tell whether an object is or lies in a place."""
    return f"{url}/".startswith(f"{place}/")


def exists(url: str) -> bool:
    """Tell whether there is an object, or a prefix with one below it."""
    return listing.recent_info(url) is not None


def is_file(url: str) -> bool:
    """Tell whether there is an object."""
    told = listing.recent_info(url)
    return told is not None and not listing.is_folder(told)


def is_folder(url: str) -> bool:
    """Tell whether there are objects below a prefix, and none of its name."""
    told = listing.recent_info(url)
    return told is not None and listing.is_folder(told)


def stamp(url: str) -> str:
    """Give what becomes another whenever an object is written to: its size, and its generation or ETag."""
    return _stamp(listing.found(url, listing.recent_info(url)))


def is_unchanged(url: str, stamped: str) -> bool:
    """Ask whether an object still has a stamp."""
    return _stamp(listing.found(url, listing.info(url))) == stamped


def _stamp(told: Info) -> str:
    version = told.get("generation") or told.get("ETag") or told.get("etag") or listing.modified(told)
    return f"{told['size']}-{version}".replace('"', "")


def modified(url: str) -> float:
    """Give the time an object was last written to, in seconds since the epoch; 0 for a prefix."""
    return listing.modified(listing.found(url, listing.recent_info(url)))


def list_names(folder: str) -> list[str]:
    """List the names directly below a prefix, sorted; none where there is no such bucket."""
    try:
        return sorted({name.partition("/")[0] for name, _ in listing.below(folder) if name[0] != "."})
    except FileNotFoundError:
        return []


def _directly_in(folder: str) -> Iterator[tuple[str, Info]]:
    return ((name, told) for name, told in listing.below(folder) if "/" not in name and name[0] != ".")


def list_sizes(folder: str) -> dict[str, int]:
    """List the objects directly below a prefix with their sizes in bytes."""
    return {name: told["size"] for name, told in _directly_in(folder)}


def last_changed(folder: str, names: Iterable[str]) -> float | None:
    """Tell when the newest of some objects below a prefix was written; None where none is."""
    wanted = frozenset(names)
    times = (listing.modified(told) for name, told in _directly_in(folder) if name in wanted)
    return max(times, default=None)


def list_entries(folder: str, prefix: str = "") -> list[Entry]:
    """List the objects below a prefix whose relative names begin with another, sorted by these names."""
    return sorted(_entry(name, told) for name, told in listing.below(folder, prefix))


def entry(folder: str, name: str) -> Entry:
    """Describe one object below a prefix, as `list_entries` does."""
    url = f"{folder}/{name}"
    return _entry(name, listing.found(url, listing.recent_info(url)))


def _entry(name: str, told: Info) -> Entry:
    return Entry(name, told["size"], int(listing.modified(told) * 1e9), regular=not listing.is_folder(told))


def read_entries(folder: str, entries: Iterable[Entry]) -> Iterator[bytes]:
    """Read objects that were listed, in order, several at once.

    Raises
    ------
    SourceChangedError
        At the end, where one is another by then.
    """
    taken: list[Entry] = []
    waiting: deque[tuple[int, Future[bytes]]] = deque()
    held = 0
    with ThreadPoolExecutor(_AT_ONCE, "objects") as threads:
        for entry in entries:
            taken.append(entry)
            waiting.append((entry.size, threads.submit(read, f"{folder}/{entry.name}")))
            held += entry.size
            while len(waiting) > 2 * _AT_ONCE or held > _READ_AHEAD:
                size, content = waiting.popleft()
                held -= size
                yield content.result()
        yield from (content.result() for _, content in waiting)
    if not taken:
        return
    # One listing of those whose names begin alike, letter by letter, rather than a question for each.
    there = set(list_entries(folder, commonprefix([entry.name for entry in taken])))  # noqa: RUF071
    for entry in taken:
        if entry not in there:
            raise SourceChangedError(f"{entry.name} changed since the job was planned")


def read(url: str) -> bytes:
    """Read a whole object."""
    return bytes(ask(url, lambda store, path: store.cat_file(path)))


def open_read(url: str, until: int | None = None) -> BinaryIO:
    """Open an object for reading and seeking, as `Ranges` does; OSError once it is another than it was."""
    file = ask(url, lambda store, path: store.open(path, "rb", block_size=BLOCK, cache_type="none"))

    def fetch(start: int, stop: int) -> bytes:
        def read_range(_store: Any, _path: str) -> bytes:
            file.seek(start)
            return bytes(file.read(stop - start))

        data = ask(url, read_range)
        if len(data) != stop - start:
            raise OSError(errno.ESTALE, "shorter than it was", url)
        return data

    return cast("BinaryIO", Ranges(fetch, file.size, until))


def remove(url: str) -> None:
    """Remove an object; one that is gone is no error."""
    try:
        ask(url, lambda store, path: store.rm_file(path))
    except FileNotFoundError:
        return


@contextmanager
def writing(url: str, /, *, replace: bool = True) -> Iterator[BinaryIO]:
    """Open a file that becomes an object when the block ends well, and leaves nothing otherwise.

    Raises
    ------
    FileExistsError
        Where it is not to replace another, and there is one.
    """
    mode = "overwrite" if replace else "create"
    with SpooledTemporaryFile(_IN_MEMORY) as file:
        yield cast("BinaryIO", file)
        size = file.seek(0, 2)
        file.seek(0)
        if size <= _IN_MEMORY or not replace:
            data = file.read()
            ask(url, lambda store, path: store.pipe_file(path, data, mode=mode))
        else:
            ask(url, lambda store, path: _send(file, store, path))


def _send(file: Any, store: Any, path: str) -> None:
    """Send a file in pieces, which are an object once the last was sent."""
    file.seek(0)
    sent = store.open(path, "wb", block_size=_IN_MEMORY, autocommit=False)
    try:
        shutil.copyfileobj(file, sent, BLOCK)
        sent.close()
    except BaseException:
        sent.discard()
        sent.closed = True  # or it would be sent when it is collected
        raise
    sent.commit()
