"""Where the work on a shard is, and the errors that name the place where it fails."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from dice_core.member import Member
from jobs.plan import Shard
from jobs.watchdog import Beat, watched


class ShardError(Exception):
    """A shard that could not be scored, with the place where it failed; the cause is chained."""


class StorageError(ShardError):
    """A shard that storage failed for: worth trying again.

    Attributes
    ----------
    hopeless
        Whether it will fail for every other shard too, until somebody makes room.
    """

    hopeless = False


_HOPELESS = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)
_OF_THE_FILE = (FileNotFoundError, PermissionError, IsADirectoryError, NotADirectoryError)
"""What the storage tells of a file while it works well."""


@dataclass
class Place:
    """Where the work on a shard is."""

    beat: Beat
    member: Member | None = None
    writing: bool = False


@contextmanager
def placed(shard: Shard, timeout: float | None) -> Iterator[Place]:
    """Name the place where the work on a shard fails, and watch that it goes on."""
    with watched(timeout) as beat:
        place = Place(beat)
        try:
            yield place
        except Exception as error:
            member = place.member
            where = "" if member is None or place.writing else f" at member {member.index} ({member.name})"
            text = f"{shard}{where}: {type(error).__name__}: {error}"
            if not isinstance(error, OSError) or (isinstance(error, _OF_THE_FILE) and not place.writing):
                raise ShardError(text) from error
            failure = StorageError(text)
            failure.hopeless = error.errno in _HOPELESS
            raise failure from error
