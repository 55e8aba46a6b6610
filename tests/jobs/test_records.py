from pathlib import Path

import pytest

from jobs import records
from jobs.errors import Refusal
from jobs.records import Kind, Record


def test_records_are_listed_by_their_numbers(tmp_path):
    out = str(tmp_path)
    for number in (10, 2, 10_000):
        records.add(out, Kind.DECISION, number, b"{}")
    records.add(out, Kind.REVIEW, 1, b"PAR1")
    for other in ("_decision-1.json", "_decision-0001.parquet", "_decision-0003.json.bak", "notes"):
        (tmp_path / other).touch()
    assert [record.number for record in records.listed(out, Kind.DECISION)] == [2, 10, 10_000]
    assert records.listed(out, Kind.REVIEW) == [Record(1, f"{out}/_review-0001.parquet")]
    assert (
        sum(map(records.is_record, ("_decision-0002.json", "_review-0001.parquet", "_decision-1.json"))) == 2
    )


def test_records_are_carried_to_where_they_are_not_and_over_no_other(tmp_path):
    out, new = (str(tmp_path / name) for name in ("out", "new"))
    for folder in (out, new):
        Path(folder).mkdir()
    for number in (1, 2):
        records.add(out, Kind.DECISION, number, b"{%d}" % number)
    records.add(out, Kind.REVIEW, 1, b"PAR1")
    records.add(new, Kind.DECISION, 1, b"{1}")
    records.add(new, Kind.REVIEW, 2, b"its own")
    for _ in range(2):
        records.carry(out, new)
        assert {path.name: path.read_bytes() for path in (tmp_path / "new").iterdir()} == {
            "_decision-0001.json": b"{1}",
            "_decision-0002.json": b"{2}",
            "_review-0001.parquet": b"PAR1",
            "_review-0002.parquet": b"its own",
        }
    records.add(out, Kind.DECISION, 3, b"{3}")
    records.add(out, Kind.REVIEW, 2, b"another")
    with pytest.raises(Refusal, match=r"new: _review-0002\.parquet is another than that of .*out: name an"):
        records.carry(out, new)
    assert (tmp_path / "new" / "_review-0002.parquet").read_bytes() == b"its own"
    assert not (tmp_path / "new" / "_decision-0003.json").exists()


def test_a_record_is_never_written_twice(tmp_path):
    assert records.add(str(tmp_path), Kind.DECISION, 1, b"first") == "_decision-0001.json"
    with pytest.raises(Refusal, match="written by another: look at it, and try again"):
        records.add(str(tmp_path), Kind.DECISION, 1, b"second")
    assert (tmp_path / "_decision-0001.json").read_bytes() == b"first"
    assert [path.name for path in tmp_path.iterdir()] == ["_decision-0001.json"]
