"""The rule that tells which lot an image is of: its archive, its folder, or a part of its name."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import pyarrow as pa
import pyarrow.compute as pc

from jobs.errors import Refusal

ARCHIVE = "archive"
FOLDER = "folder"


@dataclass(frozen=True, slots=True)
class LotRule:
    """Names the lots of images; by a regular expression in RE2's syntax, whose time is linear in the names.

    Attributes
    ----------
    by
        `ARCHIVE`, `FOLDER`, or a regular expression with one group, searched in ``archive/member``.
    """

    by: str = ARCHIVE

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read what ``--lot`` was given.

        Raises
        ------
        Refusal
            Where it is neither of the words, nor a regular expression with exactly one group.
        """
        if text not in (ARCHIVE, FOLDER):
            try:
                pc.match_substring_regex(
                    pa.array([""]), text
                )  # whole by itself, not by what is put around it
                _replace(pa.array([""]), text, 1)
            except pa.ArrowInvalid as error:
                raise Refusal(f"--lot {text}: {_why(error)}") from error
            try:
                _replace(pa.array([""]), text, 2)
            except pa.ArrowInvalid:
                return cls(text)
            raise Refusal(f"--lot {text}: has more than one group: write the others as (?:...)")
        return cls(text)

    def names(self, archive: str, members: Sequence[str], folders: Sequence[str]) -> pa.Array:
        """Name the lot of each of an archive's members, given their names and parent folders.

        Where there is no folder, no match, or nothing in the group, it is the archive.
        """
        count = len(members)
        if self.by == ARCHIVE:
            return pa.repeat(archive, count)
        if self.by == FOLDER:
            found = pa.array(folders, pa.string())
        else:
            places = pa.array([f"{archive}/{member}" for member in members], pa.string())
            matches = pc.match_substring_regex(places, self.by)
            found = pc.if_else(matches, _replace(places, self.by, 1), "")
        return pc.if_else(pc.equal(found, ""), archive, found)


BY_ARCHIVE = LotRule()


def _replace(places: pa.Array, pattern: str, group: int) -> pa.Array:
    """Put what the first match's group holds in the place of each text that matches."""
    whole = f"(?s:^.*?)(?:{pattern})(?s:.*$)"
    return pc.replace_substring_regex(places, whole, f"\\{group}", max_replacements=1)


def _why(error: pa.ArrowInvalid) -> str:
    words, ways = str(error), f"{ARCHIVE}, {FOLDER} or a regular expression with one group, as in day([0-9]+)"
    reason = "has no group" if "parenthesized" in words else words.split(": (", 1)[0].lower()
    return f"{reason}: give {ways}"
