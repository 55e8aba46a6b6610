"""A table of labels as a user writes it: CSV or Parquet, checked line by line; or the folder of a job."""

import posixpath
import re
from collections.abc import Iterator
from io import BytesIO
from typing import NamedTuple

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from jobs import folder, joblabels, storage
from jobs.errors import Refusal

_ARCHIVE, _MEMBER, _HASH, _LABEL = "archive", "member", "content_hash", "label"
_PARQUET = b"PAR1"
_SEPARATORS = ",;\t"
_HASH_FORM = re.compile("[0-9a-f]{32}")


class Line(NamedTuple):
    """What one line says: of an image at a place, or, where `archive` is None, of all with a content."""

    number: int
    """Of the line in a text file; in Parquet of the row, from 1."""
    archive: str | None
    image: str
    """Name of the member, or hash of the content."""
    label: str

    def __str__(self) -> str:
        return self.image if self.archive is None else f"{self.archive} {self.image}"


def lines(url: str) -> Iterator[Line]:
    """Read a table; lines without a label say nothing and are passed over.

    A line is of the image that its `archive` and `member` name; where it has none, of every image whose bytes
    have its `content_hash`. Columns besides these are not looked at. Of the folder of a job, the lines are
    its images by content, with their labels as corrected.

    Raises
    ------
    Refusal
        Where it cannot be read, lacks a column, or a line names no image.
    """
    if storage.is_folder(url) and folder.read_job(url) is not None:
        for number, (content, label) in enumerate(joblabels.lines(url), 1):
            yield Line(number, None, content, label)
        return
    table, first = _read(url)
    names = [name for name in (_ARCHIVE, _MEMBER, _HASH, _LABEL) if name in table.column_names]
    if _LABEL not in names or not ({_ARCHIVE, _MEMBER} <= {*names} or _HASH in names):
        raise Refusal(
            f"--labels {url}: has the columns {', '.join(table.column_names)}: give archive and member, or "
            "content_hash, and label"
        )
    if twice := [name for name in names if table.column_names.count(name) > 1]:
        raise Refusal(f"--labels {url}: has the column {twice[0]} more than once: leave one")
    nothing = pa.nulls(table.num_rows, pa.string())
    columns = [table[name] if name in names else nothing for name in (_ARCHIVE, _MEMBER, _HASH, _LABEL)]
    number = first
    for batch in pa.table(columns, [_ARCHIVE, _MEMBER, _HASH, _LABEL]).to_batches():
        for archive, member, content, label in zip(*(column.to_pylist() for column in batch), strict=True):
            if label:
                yield _line(url, number, archive, member, content, label)
            number += 1


def _line(
    url: str, number: int, archive: str | None, member: str | None, content: str | None, label: str
) -> Line:
    if archive and member:
        return Line(number, normal_archive(archive), normal_member(member), label)
    if not content:
        wanted = "archive and member, or content_hash"
        raise Refusal(f"--labels {url}: line {number} names no image: give {wanted}")
    if not _HASH_FORM.fullmatch(content.lower()):
        raise Refusal(f"--labels {url}: line {number}: {content} is no content_hash: 32 hexadecimal digits")
    return Line(number, None, content.lower(), label)


def normal_archive(name: str) -> str:
    """Give the one way to write an archive: absolute where it goes up from the present folder."""
    name = posixpath.normpath(name) if "://" not in name else name
    return storage.absolute(name) if name.startswith("../") else name


def normal_member(name: str) -> str:
    """Give the one way to write a member: what is packed from a folder begins with ``./`` or does not."""
    return name.removeprefix("./")


def _read(url: str) -> tuple[pa.Table, int]:
    """Read all as text, and tell the number of the first line of it."""
    try:
        content = storage.read(url)
    except OSError as error:
        raise Refusal(f"--labels {url}: {error.strerror or error}: name a table of labels") from error
    try:
        if content.startswith(_PARQUET):
            table = pq.read_table(BytesIO(content))
            wanted = [name for name in table.column_names if name in (_ARCHIVE, _MEMBER, _HASH, _LABEL)]
            texts = pa.schema([(name, pa.string()) for name in wanted])
            return (table.select(wanted).cast(texts) if wanted else table), 1
        return _read_text(content), 2
    except (pa.ArrowException, UnicodeDecodeError) as error:
        reason = str(error).splitlines()[0]
        raise Refusal(f"--labels {url}: neither CSV nor Parquet ({reason}): write it anew") from error


def _read_text(content: bytes) -> pa.Table:
    content = content.removeprefix(b"\xef\xbb\xbf")
    head = content.partition(b"\n")[0].decode()
    if not head.strip():
        raise pa.ArrowInvalid("its first line names no columns")
    separator = max(_SEPARATORS, key=head.count)
    names = [name.strip().strip('"').strip().lower() for name in head.split(separator)]
    return pyarrow.csv.read_csv(
        BytesIO(content),
        read_options=pyarrow.csv.ReadOptions(column_names=names, skip_rows=1),
        parse_options=pyarrow.csv.ParseOptions(delimiter=separator, ignore_empty_lines=False),
        # As text, whatever it looks like: a label 00 is no number.
        convert_options=pyarrow.csv.ConvertOptions(
            column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=True, null_values=[""]
        ),
    )
