"""Local files: list, identify, open, and write whole or not at all.

Every function takes an absolute path, but for `absolute`, which gives one.
"""

import errno
import fcntl
import os
import stat
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, NamedTuple

import fsspec
import psutil

from jobs.errors import SourceChangedError

_LOCAL = ("file://", "local://")
_WILDCARDS = frozenset("*?[")
_NO_LINKS = (errno.EPERM, errno.ENOTSUP, errno.EMLINK, errno.ENOSYS)

_HOLD_SECONDS = 0.5
"""How long a folder is asked for: who only looks whether it is held, holds it for a moment."""


class Entry(NamedTuple):
    """One file below a folder."""

    name: str
    """Relative to the folder, with ``/``."""
    size: int
    modified: int
    """Nanoseconds."""
    regular: bool
    """False for what cannot be read as a file: a link to nowhere or to a folder, a pipe, a device."""


def absolute(url: str) -> str:
    """Give the absolute path of a path or ``file://`` URL."""
    protocol = next((each for each in _LOCAL if url.startswith(each)), "")
    # Without the links resolved: the name is the user's.
    return os.path.abspath(url.removeprefix(protocol))  # noqa: PTH100


def lies_in(path: str, place: str) -> bool:
    """Tell whether a file is or lies in a place, by whatever links."""
    return f"{os.path.realpath(path)}/".startswith(f"{os.path.realpath(place).rstrip('/')}/")


def named(path: str) -> list[str]:
    """List what a path or a pattern stands for; what exists is no pattern."""
    if Path(path).exists():
        return [path]
    if _WILDCARDS.isdisjoint(path):
        return []
    matches = [str(match) for match in fsspec.filesystem("file").glob(path)]
    return [match for match in matches if not _hidden(match, path)]


def _hidden(match: str, pattern: str) -> bool:
    """As in a shell, a wildcard does not stand for a leading dot."""
    return Path(match).name.startswith(".") and not Path(pattern).name.startswith(".")


def exists(path: str) -> bool:
    """Tell whether there is a file or a folder."""
    return Path(path).exists()


def is_file(path: str) -> bool:
    """Tell whether there is a regular file; pipes and devices are none."""
    return Path(path).is_file()


def is_folder(path: str) -> bool:
    """Tell whether there is a folder."""
    return Path(path).is_dir()


def stamp(path: str) -> str:
    """Give what becomes another whenever a file is written to: its size and time of modification.

    It names no content: a copy elsewhere may have another, and only one of the same file tells something.
    """
    status = Path(path).stat()
    return f"{status.st_size}-{status.st_mtime_ns}"


def is_unchanged(path: str, stamped: str) -> bool:
    """Tell whether a file still has a stamp."""
    return stamp(path) == stamped


def modified(path: str) -> float:
    """Give the time a file or folder was last written to, in seconds since the epoch."""
    return Path(path).stat().st_mtime


def list_names(folder: str) -> list[str]:
    """List the names directly in a folder, sorted; none where it does not exist.

    Names that begin with a dot are left out: unfinished writes, and what file browsers leave.
    """
    try:
        # As names alone: a million paths would take ten times as long.
        return sorted(name for name in os.listdir(folder) if name[0] != ".")  # noqa: PTH208
    except FileNotFoundError:
        return []


def list_sizes(folder: str) -> dict[str, int]:
    """List the files directly in a folder with their sizes in bytes; names as `list_names` gives them."""
    with os.scandir(folder) as scan:
        return {
            found.name: found.stat().st_size for found in scan if found.name[0] != "." and found.is_file()
        }


def last_changed(folder: str, names: Iterable[str]) -> float | None:
    """Tell when the newest of some files in a folder was written, seconds since 1970; None where none is."""
    wanted = frozenset(names)
    newest = None
    with os.scandir(folder) as scan:
        for found in scan:
            if found.name in wanted:
                try:
                    changed = found.stat().st_mtime
                except FileNotFoundError:  # removed since it was listed
                    continue
                newest = changed if newest is None else max(newest, changed)
    return newest


def list_unfinished(folder: str) -> Iterator[tuple[str, str]]:
    """List what killed writers left in a folder: the temporary name, and the name it was to have."""
    for path in sorted(Path(folder).glob(".*.tmp")):
        yield path.name, path.name[1:].rsplit(".", 2)[0]


def is_being_written(temporary: str) -> bool:
    """Tell whether the process that a temporary name tells of runs on this machine."""
    process = temporary.rsplit(".", 2)[-2].partition("-")[0]
    return process.isdecimal() and psutil.pid_exists(int(process))


def list_entries(folder: str) -> list[Entry]:
    """List all files below a folder, sorted by their relative names; links to folders are not entered.

    They stand in the list instead, as entries that are not regular, so that nothing is passed over.
    """
    entries: list[Entry] = []
    waiting = [""]
    while waiting:
        below = waiting.pop()
        with os.scandir(f"{folder}/{below}") as scan:
            for found in scan:
                name = below + found.name
                if found.is_dir(follow_symlinks=False):
                    waiting.append(f"{name}/")
                else:
                    entries.append(_entry(name, found.stat))
    return sorted(entries)


def entry(folder: str, name: str) -> Entry:
    """Describe one file below a folder, as `list_entries` does."""
    return _entry(name, Path(folder, name).stat)


def _entry(name: str, status_of: Callable[..., os.stat_result]) -> Entry:
    try:
        status = status_of(follow_symlinks=True)
    except OSError:  # a link to nowhere, or in a circle
        status = status_of(follow_symlinks=False)
    return Entry(name, status.st_size, status.st_mtime_ns, stat.S_ISREG(status.st_mode))


def read(path: str) -> bytes:
    """Read a whole file."""
    return Path(path).read_bytes()


def read_entries(folder: str, entries: Iterable[Entry]) -> Iterator[bytes]:
    """Read files that were listed, in order; SourceChangedError where one is another by now."""
    for listed in entries:
        content = read(f"{folder}/{listed.name}")
        if entry(folder, listed.name) != listed:
            raise SourceChangedError(f"{listed.name} changed since the job was planned")
        yield content


def open_read(path: str, _until: int | None = None) -> BinaryIO:
    """Open a file for reading and seeking, unbuffered: what reads archives asks for larger pieces."""
    return Path(path).open("rb", buffering=0)


def open_append(path: str) -> BinaryIO:
    """Open a file for appending, unbuffered; it is made where it does not exist."""
    return Path(path).open("ab", buffering=0)


def make_folder(path: str) -> None:
    """Make a folder and those above it; one that exists is left as it is."""
    Path(path).mkdir(parents=True, exist_ok=True)


@contextmanager
def held(folder: str, *, shared: bool = False) -> Iterator[None]:
    """Hold a folder against every other process of this machine; it is let go however this one ends.

    Where it is `shared`, others may share it, and none may hold it alone.

    Raises
    ------
    BlockingIOError
        Where another process holds it.
    """
    deadline = time.monotonic() + _HOLD_SECONDS
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        while True:
            try:
                fcntl.flock(descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(_HOLD_SECONDS / 10)
        yield
    finally:
        os.close(descriptor)


def is_held(folder: str) -> bool:
    """Tell whether another process of this machine holds a folder; those that ask do not see each other."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def remove(path: str) -> None:
    """Remove a file; one that is gone is no error."""
    Path(path).unlink(missing_ok=True)


@contextmanager
def writing(path: str, *, replace: bool = True) -> Iterator[BinaryIO]:
    """Open a file that appears under its name when the block ends well, and not at all otherwise.

    Raises
    ------
    FileExistsError
        Where it is not to replace another, and one has appeared there; the other stays.
    """
    target = Path(path)
    temporary = target.with_name(f".{target.name}.{os.getpid()}-{uuid.uuid4().hex[:12]}.tmp")
    try:
        with temporary.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        if replace:
            temporary.replace(target)
        else:
            _link(temporary, target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    _sync_folder(target.parent)


def _link(temporary: Path, path: Path) -> None:
    """Give a file its name unless another has it; what knows no hard links has no such rename."""
    try:
        path.hardlink_to(temporary)
    except FileExistsError:
        raise
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        temporary.replace(path)
    else:
        temporary.unlink()


def _sync_folder(folder: Path) -> None:
    """Make a rename last through a power cut; not every file system lets a folder be synced."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError:
        return
    finally:
        os.close(descriptor)
