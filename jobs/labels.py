"""Labels from a table, ready to be looked up: by where an image is, or by what its bytes are."""

import json
from array import array
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b
from itertools import islice
from typing import Any, NamedTuple, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from jobs import labeltable, parquet, storage
from jobs.errors import Refusal
from jobs.labeltable import Line, normal_member

_KEY_BYTES = 16
_HALF = 8


class LabelFile(NamedTuple):
    """Where a job keeps its labels, and the hash of what they say."""

    url: str
    hash: str


@dataclass(frozen=True)
class Labels:
    """One line for each image that is labelled, known by a 128-bit hash of its name or content.

    An archive is named as in the rows, or by the last components of that: ``lot1.tar``, ``night/lot1.tar``.

    Attributes
    ----------
    first, second
        The halves of each line's key, uint64 (N,), in order.
    label
        Number of its label, (N,).
    number
        Of its line in the table, (N,).
    names
        The labels.
    archives
        The archives as they are written in the table.
    """

    first: npt.NDArray[np.uint64]
    second: npt.NDArray[np.uint64]
    label: npt.NDArray[np.int64]
    number: npt.NDArray[np.int64]
    names: tuple[str, ...]
    archives: frozenset[str]

    @classmethod
    def read(cls, url: str) -> Self:
        """Read a table as a user writes it.

        Raises
        ------
        Refusal
            Where it is none, or gives one image two labels.
        """
        made = cls.of(labeltable.lines(url))
        if not len(made.label):
            raise Refusal(f"--labels {url}: labels no image: give a line for each")
        same = (made.first[1:] == made.first[:-1]) & (made.second[1:] == made.second[:-1])
        differ = np.flatnonzero(same & (made.label[1:] != made.label[:-1]))
        if len(differ):
            one, other = sorted(made.number[differ[0] : differ[0] + 2].tolist())
            said = {line.number: line for line in labeltable.lines(url) if line.number in (one, other)}
            raise Refusal(
                f"--labels {url}: {said[one]} is {said[one].label} in line {one} and {said[other].label} in "
                f"line {other}, the first of {len(differ):,} such: leave one of the lines out"
            )
        kept = np.flatnonzero(~np.append(False, same))
        return made.take(kept)

    @classmethod
    def of(cls, lines: Iterable[Line]) -> Self:
        """Take lines in any order; one image may have several."""
        names: dict[str, int] = {}
        keys, label, number = bytearray(), array("q"), array("q")
        archives = set()
        for line in lines:
            keys += _hash(line.archive, line.image)
            label.append(names.setdefault(line.label, len(names)))
            number.append(line.number)
            if line.archive is not None:
                archives.add(line.archive)
        first, second = np.frombuffer(bytes(keys), "<u8").reshape(-1, 2).T
        made = cls(first, second, np.array(label), np.array(number), tuple(names), frozenset(archives))
        return made.take(np.lexsort((made.number, made.second, made.first)))

    def take(self, lines: npt.NDArray[np.int64]) -> Self:
        """Give some of the lines."""
        own = (self.first[lines], self.second[lines], self.label[lines], self.number[lines])
        return type(self)(*own, self.names, self.archives)

    @property
    def hash(self) -> str:
        """Hash what the lines say, whatever their order and format."""
        said = [self.first.tobytes(), self.second.tobytes()]
        said.append("\0".join(self.names[label] for label in self.label.tolist()).encode())
        return parquet.digest(b"".join(said))

    def write(self, url: str) -> None:
        """Write them for the workers, whole or not at all."""
        columns: dict[str, Any] = {"first": self.first, "second": self.second, "label": self.label}
        told = {"names": json.dumps(self.names), "archives": json.dumps(sorted(self.archives))}
        table = pa.table({**columns, "number": self.number}).replace_schema_metadata(told)
        with storage.writing(url) as file:
            pq.write_table(table, file)

    @classmethod
    def load(cls, url: str) -> Self:
        """Read what `write` wrote."""
        table = parquet.read_columns(url)
        first, second, label, number = (
            table[name].to_numpy() for name in ("first", "second", "label", "number")
        )
        names, archives = (json.loads(table.schema.metadata[name]) for name in (b"names", b"archives"))
        return cls(first, second, label, number, tuple(names), frozenset(archives))

    def places(self, *names: str) -> tuple[str, ...]:
        """List how the table writes an archive that has these names, the longest first."""
        ways = {way for name in names for way in _ways(storage.printable(name))}
        return tuple(sorted(ways & self.archives, key=len, reverse=True))

    def find(self, places: Iterable[str], member: str, content_hash: str | None) -> Iterator[int]:
        """Find the lines of an image, that of its place before that of its content.

        Parameters
        ----------
        places
            Of its archive, as `places` lists them.
        member, content_hash
            As in the row.
        """
        asked: list[tuple[str | None, str]] = [(place, normal_member(member)) for place in places]
        if content_hash is not None:
            asked.append((None, content_hash))
        for archive, image in asked:
            key = _hash(archive, image)
            first, second = (int.from_bytes(key[at : at + _HALF], "little") for at in (0, _HALF))
            at = int(self.first.searchsorted(np.uint64(first)))
            while at < len(self.first) and self.first.item(at) == first:
                if self.second.item(at) == second:
                    yield at
                    break
                at += 1

    def name(self, places: Iterable[str], member: str, content_hash: str | None) -> str | None:
        """Give the label of an image; None where no line is of it."""
        at = next(self.find(places, member, content_hash), None)
        return None if at is None else self.names[self.label[at]]

    def check(self, archives: Collection[str]) -> None:
        """Refuse a table that may mean either of two sources, by the names they have."""
        meant: dict[str, str] = {}
        for archive in archives:
            for place in self.places(archive):
                other = meant.setdefault(place, archive)
                if other != archive:
                    raise Refusal(
                        f"--labels: {place} may be {other} or {archive}: write more of its path in the table"
                    )


@lru_cache(maxsize=1)
def held(file: LabelFile) -> Labels:
    """Load the labels of a job once per process; ValueError where they are others."""
    labels = Labels.load(file.url)
    if labels.hash != file.hash:
        raise ValueError(f"{file.url} is not what the job was labelled by: its hash differs")
    return labels


def first_lines(url: str, numbers: npt.NDArray[np.int64], most: int) -> list[str]:
    """Name the images of the first of some lines of a table."""
    wanted = {*numbers.tolist()}
    named = (f"line {line.number}: {line}" for line in labeltable.lines(url) if line.number in wanted)
    return list(islice(named, most))


def _ways(name: str) -> Iterator[str]:
    yield name
    components = name.split("/")
    for at in range(1, len(components)):
        yield "/".join(components[at:])


def _hash(archive: str | None, image: str) -> bytes:
    text = f"{archive or ''}\0{image}"
    return blake2b(text.encode(errors="surrogateescape"), digest_size=_KEY_BYTES).digest()
