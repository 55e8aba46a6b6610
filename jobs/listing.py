"""What is in a store of objects: asked for one by one, below a prefix, or by a pattern."""

import errno
import time
from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from typing import Any, cast

from jobs.store import ask

WILDCARDS = frozenset("*?[")

Info = Mapping[str, Any]
"""What fsspec tells of an object or a prefix."""

_REMEMBERED_SECONDS = 300.0
"""How long planning goes by what was told when sources were listed."""

_listed: dict[str, tuple[float, Info]] = {}
"""What was told of sources, and when; nothing that a job writes is among them."""


def info(url: str) -> Info | None:
    """Ask what there is; None for nothing."""
    try:
        return cast("Info", ask(url, lambda store, path: store.info(path)))
    except FileNotFoundError:
        return None


def recent_info(url: str) -> Info | None:
    """Tell what there is, of a source that was named just now as it was then."""
    when, told = _listed.get(url, (0.0, {}))
    return told if told and time.monotonic() - when < _REMEMBERED_SECONDS else info(url)


def found(url: str, told: Info | None) -> Info:
    """Give what is told, where there is anything; FileNotFoundError otherwise."""
    if told is None:
        raise FileNotFoundError(errno.ENOENT, "no such object or bucket", url)
    return told


def is_folder(told: Info) -> bool:
    """Tell whether it is of a prefix."""
    return bool(told["type"] == "directory")


def modified(told: Info) -> float:
    """Give the time an object was last written to, in seconds since the epoch; 0 for a prefix."""
    when = told.get("LastModified") or told.get("mtime")
    return float(when.timestamp()) if when else 0.0


def below(folder: str, prefix: str = "") -> Iterator[tuple[str, Info]]:
    """List all objects below a prefix by their relative names, but for those that stand for folders.

    Parameters
    ----------
    prefix
        How the relative names begin.
    """
    listed = ask(folder, lambda store, path: store.find(path, prefix=prefix, detail=True))
    begin = f"{folder.partition('://')[2]}/"
    for path, told in listed.items():
        if path.startswith(begin) and not path.endswith("/"):
            yield path.removeprefix(begin), told


def named(url: str) -> list[str]:
    """List what a name or a pattern stands for; what exists is no pattern. ``**`` stands for any folders.

    One level after the other is listed, since fsspec's own passes over what it cannot list.
    """
    protocol, _, path = url.partition("://")
    bucket, *names = path.split("/")
    there = info(url)
    told = [(url, there)] if there else []
    if not there and not WILDCARDS.isdisjoint(path):
        told = list(_matching(f"{protocol}://{bucket}", names))
    now = time.monotonic()
    for old in [name for name, (when, _) in _listed.items() if now - when > _REMEMBERED_SECONDS]:
        del _listed[old]
    _listed.update((name, (now, each)) for name, each in told)
    return [name for name, _ in told]


def _matching(folder: str, names: list[str]) -> Iterator[tuple[str, Info]]:
    name, *rest = names
    if WILDCARDS.isdisjoint(name):
        url = f"{folder}/{name}"
        there = None if rest else info(url)
        yield from _matching(url, rest) if rest else [(url, there)] if there else []
        return
    if name == "**":
        yield from _matching(folder, rest or ["*"])
    for own, told in _children(folder):
        if own.startswith(".") and not name.startswith("."):
            continue  # as in a shell, a wildcard does not stand for a leading dot
        url = f"{folder}/{own}"
        if name == "**" and is_folder(told):
            yield from _matching(url, names)
        elif name != "**" and fnmatchcase(own, name):
            yield from [(url, told)] if not rest else _matching(url, rest) if is_folder(told) else []


def _children(folder: str) -> Iterator[tuple[str, Info]]:
    """List what is directly below a prefix."""
    try:
        listed = ask(folder, lambda store, path: store.ls(path, detail=True))
    except FileNotFoundError:
        return
    own = folder.partition("://")[2]
    for told in listed:
        path = told["name"].rstrip("/")
        if path != own:
            yield path.rsplit("/", 1)[-1], told
