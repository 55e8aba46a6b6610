"""Text as it may be shown: what others wrote, such as names in an archive, and times."""

import json
import re
from datetime import UTC, datetime

_FORMULAS = ("=", "+", "-", "@", "'", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""What formulas begin with, wide forms of East Asian keyboards among them."""
_NOT_ASCII = re.compile(r"[^ -~\n]")
_NUMBER = re.compile(r"\s*\d[\d.,]*(e\d+)?\s*", re.IGNORECASE)


def plain(text: str) -> str:
    r"""Write what does not print, such as the escapes that steer a terminal, as ``\xNN``."""
    return "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape").decode() for letter in text
    )


def in_json(text: str) -> str:
    r"""Write what does not print in JSON, where only strings have it, as ``\uNNNN``; line ends stay."""
    return _NOT_ASCII.sub(_escaped, text)


def _escaped(match: re.Match[str]) -> str:
    letter = match[0]
    return letter if letter.isprintable() else json.dumps(letter, ensure_ascii=True)[1:-1]


def for_csv(text: str) -> str:
    """Write text of a CSV that programs read as well: as it is, but for formulas and what does not print."""
    shown = plain(text)
    return f"'{shown}" if shown.startswith(_FORMULAS) else shown


def for_spreadsheet(text: str) -> str:
    """Write text that a spreadsheet takes for text, rather than for a formula or a number, and shows.

    One that would be taken for more gets an apostrophe before it (OWASP, "CSV Injection").
    """
    shown = plain(text)
    return f"'{shown}" if shown.startswith(_FORMULAS) or _NUMBER.fullmatch(shown) else shown


def size(count: float) -> str:
    """Write bytes in the largest decimal unit that they fill, such as ``16.4 MB``."""
    for name, unit in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= unit:
            return f"{count / unit:,.1f} {name}"
    return f"{count:.0f} bytes"


def duration(seconds: float) -> str:
    """Write a time with two figures at least, such as ``4.2 s``, ``12 min 5 s`` or ``3 h 20 min``."""
    if seconds < 59.95:  # noqa: PLR2004 - what is not rounded to a minute
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60:,} h {minutes % 60} min"  # noqa: PLR2004


def utc(seconds: float) -> str:
    """Write seconds since 1970 as ISO 8601 has it, to the millisecond: ``2026-11-26T02:15:40.123Z``."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def minute(iso: str) -> str:
    """Write a time of ISO 8601 in UTC as people do, to the minute: ``2026-11-26 02:15 UTC``."""
    return f"{iso[:16].replace('T', ' ')} UTC"


def ago(seconds: float) -> str:
    """Write a span in the largest unit that it has two of, such as ``12 minutes``; never a negative one."""
    for name, size in (("days", 86400), ("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {name}"
    return f"{max(seconds, 0):.0f} s"


def several(count: int, noun: str) -> str:
    """Count things: ``1 image``, ``2,000 images``."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"
