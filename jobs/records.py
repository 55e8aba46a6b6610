"""What people add to a job: numbered files beside its parts, each written once and never changed."""

import re
from collections.abc import Iterable
from enum import StrEnum
from typing import NamedTuple

from jobs import storage
from jobs.errors import Refusal


class Kind(StrEnum):
    """What a record is of."""

    DECISION = "decision"
    REVIEW = "review"


_SUFFIX = {Kind.DECISION: "json", Kind.REVIEW: "parquet"}
_NAME = re.compile(r"_(decision)-([0-9]{4,})\.json|_(review)-([0-9]{4,})\.parquet")


class Record(NamedTuple):
    """One of them."""

    number: int
    url: str


def is_record(name: str) -> bool:
    """Tell whether a name is one that records have."""
    return _NAME.fullmatch(name) is not None


def listed(out: str, kind: Kind, names: Iterable[str] | None = None) -> list[Record]:
    """List the records of a kind in a job folder, the first one first."""
    found = []
    for name in storage.list_names(out) if names is None else names:
        match = _NAME.fullmatch(name)
        if match and kind in (match[1], match[3]):
            found.append(Record(int(match[2] or match[4]), storage.join(out, name)))
    return sorted(found)


def add(out: str, kind: Kind, number: int, content: bytes) -> str:
    """Write a record under a number of its own; give its name.

    Raises
    ------
    Refusal
        Where another has that number by now, or it cannot be written.
    """
    name = f"_{kind.value}-{number:04d}.{_SUFFIX[kind]}"
    try:
        with storage.writing(storage.join(out, name), replace=False) as file:
            file.write(content)
    except FileExistsError as error:
        raise Refusal(f"{out}: {name} was just written by another: look at it, and try again") from error
    except OSError as error:
        raise Refusal(f"{out}: {error.strerror or error}: make it writable") from error
    return name


def carry(out: str, new: str) -> None:
    """Copy the records of a job folder that another lacks, or none.

    Raises
    ------
    Refusal
        Where the other has one of its own under the number of one of these, or it cannot be written.
    """
    there = set(storage.list_names(new))
    lacking: list[tuple[Kind, int, bytes]] = []
    for kind in Kind:
        for number, url in listed(out, kind):
            name, content = url.rsplit("/", 1)[-1], storage.read(url)
            if name not in there:
                lacking.append((kind, number, content))
            elif storage.read(storage.join(new, name)) != content:
                raise Refusal(f"{new}: {name} is another than that of {out}: name another folder with --out")
    for record in lacking:
        add(new, *record)
