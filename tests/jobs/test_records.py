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


def test_a_record_is_never_written_twice(tmp_path):
    assert records.add(str(tmp_path), Kind.DECISION, 1, b"first") == "_decision-0001.json"
    with pytest.raises(Refusal, match="written by another: look at it, and try again"):
        records.add(str(tmp_path), Kind.DECISION, 1, b"second")
    assert (tmp_path / "_decision-0001.json").read_bytes() == b"first"
    assert [path.name for path in tmp_path.iterdir()] == ["_decision-0001.json"]
