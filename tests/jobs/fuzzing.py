"""What must hold of any archive whatever: read it in every way there is, and compare."""

import io
import warnings
from collections import Counter
from pathlib import Path

from fake_scorer import BrightnessScorer

from dice_core.archive import read_member
from dice_core.rows import Reason
from dice_core.scale import OnSize
from dice_core.tar import read_tar, stream_tar, walk_tar
from dice_core.zip import read_zip, walk_zip
from jobs import plan
from jobs.plan import Kind
from jobs.reader import Limits, members
from jobs.rows import Rows

LIMITS = Limits(max_bytes=1 << 20, max_pixels=1 << 20, max_members=60, max_expansion=200)
SHARD = 3


def examine(path, on_size=OnSize.RESIZE):
    """Plan, read, decode and score an archive; the reasons of its rows, "ok" where there is none.

    Raises
    ------
    AssertionError
        Where two ways of reading disagree, or a row is missing.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow's, of tags that make no sense
        record = plan.survey(str(path), SHARD, LIMITS.max_members)
        rows = Rows(BrightnessScorer(), str(path), LIMITS.max_pixels, on_size=on_size)
        found = []
        for shard in plan.shards([record]):
            for member, content in members(shard, LIMITS):
                rows.add(member, content)
                found.append((member, content))
        table = rows.table()
    assert [member.index for member, _ in found] == list(range(len(found)))
    assert record.members in (None, len(found))
    assert table.num_rows == len(found)
    assert table["index"].to_pylist() == list(range(len(found)))
    reasons = table["reason"].to_pylist()
    verdicts = table["verdict"].to_pylist()
    assert all((verdict is None) is bool(reason) for verdict, reason in zip(verdicts, reasons, strict=True))
    _compare(record.kind, Path(path).read_bytes(), found)
    return Counter(reason or "ok" for reason in reasons)


def _compare(kind, data, found):
    """Hold what shards gave against the other ways to read, all in one piece."""
    if kind is Kind.TAR:
        whole = list(read_tar(io.BytesIO(data), LIMITS.max_bytes))
        assert list(stream_tar(io.BytesIO(data), LIMITS.max_bytes)) == whole
        walk = walk_tar
    elif kind is Kind.ZIP:
        whole = list(read_zip(io.BytesIO(data), LIMITS.max_bytes, max_expansion=LIMITS.max_expansion))
        walk = walk_zip
    else:
        return
    stream = io.BytesIO(data)
    one_by_one = [(member, read_member(stream, member, LIMITS.max_bytes)) for _, member in walk(stream)]
    assert [member for member, _ in one_by_one] == [member for member, _ in whole]
    for (_, read), (_, picked) in zip(whole, one_by_one, strict=True):
        assert read == picked or read is Reason.TOO_LARGE
    for (member, content), (same, read) in zip(found, whole, strict=False):
        if member.index < LIMITS.max_members and content is not Reason.ARCHIVE_JUNK:
            assert (member, content) == (same, read)
    assert len(found) == min(len(whole), LIMITS.max_members + 1)
