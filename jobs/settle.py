"""How long a source must not have been written to before it is taken: who writes it may be at it still."""

import re

from jobs import storage
from jobs.errors import Refusal

_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)([smhd])")


def parse_duration(text: str, option: str = "--settle") -> float:
    """Read a duration such as 90s, 10m or 1h, in seconds; the option is for the message.

    Raises
    ------
    Refusal
        Where it is none.
    """
    found = _DURATION.fullmatch(text)
    if found is None:
        raise Refusal(f"{option} {text}: give a duration such as 90s, 10m or 1h")
    return float(found[1]) * _SECONDS[found[2]]


def is_settled(path: str, seconds: float, now: float) -> bool:
    """Tell whether a file, or a folder with all its files, was last written to that long before `now`.

    A time to come, as the clock of another machine may give, is one that has just been.

    Raises
    ------
    OSError
        Where it cannot be looked at.
    """
    latest = storage.modified(path)
    if now - latest >= seconds and storage.is_folder(path):
        latest = max([latest, *(entry.modified / 1e9 for entry in storage.list_entries(path))])
    return now - latest >= seconds
