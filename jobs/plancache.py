"""The cache of plans: what walking a large archive told, kept for jobs to come over the same archive.

It is a folder of the user's with one small file for each archive. Nothing depends on it: what is missing,
damaged, or of an archive that was written to since is walked once more.
"""

import json
import os
import sys
from collections.abc import Mapping
from typing import Any

from dice_core.member import Cut
from jobs import parquet, storage
from jobs.kinds import Kind
from jobs.plan import ArchiveRecord

FOLDER = "DICE_INSPECT_CACHE"
"""Environment variable that names the folder; empty, nothing is kept."""

WORTH_SECONDS = 0.1
"""What was walked in less is not kept."""

LARGEST = 64 << 20
"""Bytes that the cache may take; from there on the older half goes."""

_VERSION = 1
_BLOCK = 4096
"""Bytes that the smallest file takes on a disk."""


def cache_folder(environment: Mapping[str, str] = os.environ, platform: str = sys.platform) -> str | None:
    """Name the folder of the cache: the one that is asked for, or the platform's for caches."""
    asked = environment.get(FOLDER)
    if asked is not None:
        return asked or None
    home = environment.get("HOME")
    usual = home and storage.join(home, "Library/Caches" if platform == "darwin" else ".cache")
    caches = environment.get("XDG_CACHE_HOME") or usual
    return storage.join(caches, "dice-inspect") if caches else None


class PlanCache:
    """Plans by the path, the stamp and all else they were made for.

    Parameters
    ----------
    folder
        Where they are; None for nowhere.
    asked
        What besides an archive decides its record, such as the size of a shard.
    """

    def __init__(self, folder: str | None, **asked: int) -> None:
        self._folder = folder
        self._asked = {"version": _VERSION, **asked}
        self._added = False

    def get(self, path: str, stamp: str) -> ArchiveRecord | None:
        """Give the record of an archive that still has this stamp; None where it is not there, or damaged."""
        if self._folder is None:
            return None
        try:
            kept = json.loads(storage.read(self._url(path)))
            check = kept.pop("check")
            if check != _check(kept) or kept["for"] != self._for(path, stamp):
                return None
            cuts = tuple(map(Cut, kept["first"], kept["offset"]))
            return ArchiveRecord(
                path, Kind(kept["kind"]), kept["identity"], kept["members"], cuts, stamp=stamp
            )
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
            return None

    def put(self, record: ArchiveRecord) -> None:
        """Keep the record of an archive; a disk that is full or read-only is no concern of a job."""
        if self._folder is None:
            return
        kept = {
            "for": self._for(record.path, record.stamp),
            "kind": record.kind.value,
            "identity": record.identity,
            "members": record.members,
            "first": [cut.index for cut in record.cuts],
            "offset": [cut.offset for cut in record.cuts],
        }
        try:
            storage.make_folder(self._folder)
            storage.write(self._url(record.path), json.dumps({**kept, "check": _check(kept)}).encode())
        except OSError:
            return
        self._added = True

    def prune(self) -> None:
        """Remove the older half where the cache has become too large."""
        if self._folder is None or not self._added:
            return
        try:
            sizes = storage.list_sizes(self._folder)
            if sum(max(size, _BLOCK) for size in sizes.values()) <= LARGEST:
                return
            urls = [storage.join(self._folder, name) for name in sizes if name.startswith("plan-")]
            for url in sorted(urls, key=storage.modified)[: (len(urls) + 1) // 2]:
                storage.remove(url)
        except OSError:  # such as another process that prunes it too
            return

    def _url(self, path: str) -> str:
        key = f"{storage.printable(path)}\0{json.dumps(self._asked, sort_keys=True)}"
        return storage.join(self._folder or "", f"plan-{parquet.digest(key.encode())}.json")

    def _for(self, path: str, stamp: str) -> dict[str, Any]:
        return {**self._asked, "path": storage.printable(path), "stamp": stamp}


def _check(kept: Mapping[str, Any]) -> str:
    return parquet.digest(json.dumps(kept, sort_keys=True).encode())
