from dataclasses import replace
from pathlib import Path

import fake_scorer
import pyarrow.parquet as pq
import pytest
import samples

from dice_core.tally import Tally
from jobs import held, parquet, partcheck, plan
from jobs.held import Held
from jobs.partcheck import check_part, origin
from jobs.shard import ShardSettings, read_report, score_bundle

JOB = {"kind": "dice-inspect job", "fingerprint": "f"}
COMPACTED = {"kind": "dice-inspect compacted job", "fingerprint": "f"}


@pytest.fixture
def out(tmp_path):
    (tmp_path / "out").mkdir()
    return tmp_path / "out"


@pytest.fixture
def reports(out, tar, model):
    settings = ShardSettings(str(out), model, "hash", "f", shard_size=16, load_scorer=fake_scorer.load)
    return score_bundle(settings, plan.Bundle(tuple(plan.shards([plan.survey(tar, 16)]))))


@pytest.fixture(params=[1, 7, 16, 65_536])
def batch(request, monkeypatch):
    monkeypatch.setattr(partcheck, "_BATCH", request.param)


@pytest.fixture
def joined(out, reports):
    """All parts in one file, as compact writes it, or with changes to its rows and metadata."""

    def make(change=lambda rows: rows, **metadata):
        holds = [
            Held(report.name, report.archive, report.identity, report.first, report.rows, 40)
            for report in reports
        ]
        rows = samples.rows(out)
        tally = Tally.of(rows)
        about = {
            "schema_version": "2",
            "fingerprint": "f",
            "tally": tally.to_json(),
            held.HELD: held.to_json(holds),
        }
        pq.write_table(change(rows).replace_schema_metadata(about | metadata), out / "all.parquet")
        written = parquet.hash_file(str(out / "all.parquet"))
        line = replace(reports[0], name="all.parquet", size=written.size, hash=written.hash)
        return holds, replace(line, tally=tally, rows=40)

    return make


@pytest.mark.usefixtures("batch")
def test_a_part_that_is_as_it_was_written_holds_its_shard(out, reports):
    for report in reports:
        checked = check_part(str(out), report, JOB)
        assert checked.lines == []
        assert checked.held == [
            Held(report.name, report.archive, report.identity, report.first, report.rows, 40)
        ]


@pytest.mark.usefixtures("batch")
def test_a_compacted_file_holds_the_parts_it_lists(out, joined):
    holds, listed = joined()
    assert check_part(str(out), listed, COMPACTED) == ([], holds)


@pytest.mark.usefixtures("batch")
def test_the_part_whose_rows_are_out_of_order_is_told_once(out, joined):
    _, listed = joined(lambda rows: rows.take([*range(17), 20, 19, 18, 17, *range(21, 40)]))
    assert check_part(str(out), listed, COMPACTED).lines == [
        "all.parquet: its rows are not 16 to 31 in order"
    ]


def test_rows_more_or_fewer_than_it_lists_are_told(out, joined):
    _, listed = joined(lambda rows: rows.slice(0, 39))
    lines = check_part(str(out), listed, COMPACTED).lines
    assert lines == [
        "all.parquet: has 39 rows, listed with 40",
        "all.parquet: its tally is not that of its rows",
    ]


def test_a_list_of_parts_that_is_none_is_told(out, joined):
    _, listed = joined(**{held.HELD: "[3]"})
    (line,) = check_part(str(out), listed, COMPACTED).lines
    assert line.startswith("all.parquet: not a part: ")


@pytest.mark.parametrize("change", [{"first": 3}, {"identity": "9"}, {"archive": "/other.tar"}])
def test_a_line_that_tells_of_another_shard_is_told(out, reports, change):
    lines = check_part(str(out), replace(reports[0], **change), JOB).lines
    assert any("part-" in line and ": begins with" in line for line in lines)


def test_a_listed_hash_of_what_is_no_parquet_is_told(out, reports):
    (Path(out) / reports[0].name).write_bytes(b"nonsense")
    listed = replace(reports[0], size=8, hash=parquet.digest(b"nonsense"))
    (line,) = check_part(str(out), listed, JOB).lines
    assert line.startswith(f"{reports[0].name}: not a part: ")


def test_where_a_file_comes_from_is_told_where_its_footer_tells(out, reports):
    url = str(out / reports[1].name)
    assert origin(url, reports[1], JOB) == ""
    assert origin(url, None, JOB) == f": it holds rows of {reports[1].archive} from 16"
    assert origin(url, None, JOB | {"fingerprint": "g"}) == ": it is from a job with other settings"
    Path(url).write_bytes(b"nonsense")
    assert origin(url, None, JOB) == ""


def test_the_rows_are_read_in_batches_and_by_the_columns_that_are_checked(out, reports, monkeypatch):
    asked = []
    iterate = pq.ParquetFile.iter_batches

    def listening(self, size, columns):
        asked.append(set(columns))
        return iterate(self, size, columns=columns)

    monkeypatch.setattr(pq.ParquetFile, "iter_batches", listening)
    assert check_part(str(out), read_report(str(out / reports[0].name), "f"), JOB).lines == []
    assert asked == [{"archive", "index", "lot", "label", "face", "status", "reason", "verdict"}]
