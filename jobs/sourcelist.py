"""Lists of sources: what is asked for by a file of names, in their place on the command line."""

import os
from collections.abc import Iterable, Iterator
from io import BytesIO

import pyarrow as pa
import pyarrow.parquet as pq

from jobs import storage
from jobs.errors import Refusal

MARK = "@"
"""Before the name of a list; a file whose own name begins so is given as ``./@name``."""

COLUMN = "source"

_PARQUET = b"PAR1"
_COMMENT = "#"


def named(sources: Iterable[str]) -> tuple[str, ...]:
    """Put the sources of each list in its place; what is no list stays.

    A list is a text file of one source a line, blank lines and those that begin with ``#`` left out, or a
    Parquet file with a column `COLUMN`, or one column alone. Sources in it are taken as those of the command
    line are: relative paths from the present folder, globs, URLs.

    Raises
    ------
    Refusal
        Where a list cannot be read, names nothing, or names another list.
    """
    return tuple(one for source in sources for one in _named(source))


def _named(source: str) -> Iterator[str]:
    if not source.startswith(MARK):
        yield source
        return
    url = source.removeprefix(MARK)
    try:
        content = storage.read(url)
    except OSError as error:
        raise Refusal(f"{source}: {error.strerror or error}: name a list of sources after {MARK}") from error
    listed = list(_of_parquet(source, content) if content.startswith(_PARQUET) else _of_text(source, content))
    if not listed:
        raise Refusal(f"{source}: lists no source: name archives or folders of images in it")
    for one in listed:
        if one.startswith(MARK):
            raise Refusal(f"{source}: names another list, {one}: give each on the command line")
    yield from listed


def _of_text(source: str, content: bytes) -> Iterator[str]:
    if b"\0" in content:
        raise Refusal(f"{source}: neither text nor Parquet: a list of sources is one or the other")
    for line in os.fsdecode(content.removeprefix(b"\xef\xbb\xbf")).split("\n"):
        if (one := line.strip()) and not one.startswith(_COMMENT):
            yield one


def _of_parquet(source: str, content: bytes) -> Iterator[str]:
    try:
        file = pq.ParquetFile(BytesIO(content))
        names = file.schema_arrow.names
        if COLUMN not in names and len(names) != 1:
            raise Refusal(
                f"{source}: has the columns {', '.join(names)}: name that of the sources {COLUMN!r}"
            )
        column = COLUMN if COLUMN in names else names[0]
        listed = file.read([column])[column].cast(pa.string()).to_pylist()
    except (pa.ArrowException, OSError) as error:
        raise Refusal(f"{source}: not readable as Parquet ({error}): write it anew") from error
    yield from filter(None, listed)
