from pathlib import Path

import fake_scorer
import pytest
import samples

from jobs import parts, plan
from jobs.errors import Refusal
from jobs.shard import ShardSettings, score_bundle


@pytest.fixture
def out(tmp_path):
    (tmp_path / "out").mkdir()
    return str(tmp_path / "out")


@pytest.fixture
def reports(out, tar, model):
    settings = ShardSettings(out, model, "hash", "f", shard_size=10, load_scorer=fake_scorer.load)
    return score_bundle(settings, plan.Bundle(tuple(plan.shards([plan.survey(tar, 10)]))))


def write(out, listed):
    with parts.listing(out) as add:
        for report in listed:
            add(report)


@pytest.mark.parametrize("row_group", [1, 3, 4, 1000])
def test_lists_every_part(out, reports, monkeypatch, row_group):
    monkeypatch.setattr(parts, "_ROW_GROUP", row_group)
    write(out, reports)
    assert tuple(parts.listed(out)) == reports


def test_an_empty_list_is_a_list(out):
    assert list(parts.listed(out)) == []
    write(out, [])
    assert samples.names(out) == ["_parts.parquet"]
    assert list(parts.listed(out)) == []


def test_parts_that_no_list_tells_of_are_read(out, reports):
    write(out, reports[:2])
    names = [*samples.names(out), "_summary.json"]
    assert tuple(parts.committed(out, names, "f")) == reports[:2] + tuple(
        sorted(reports[2:], key=lambda report: report.name)
    )


def test_listed_parts_that_are_gone_are_not_reported(out, reports):
    write(out, reports)
    names = [name for name in samples.names(out) if name != reports[1].name]
    assert tuple(parts.committed(out, names, "f")) == (reports[0], *reports[2:])


def test_a_list_that_is_not_ended_leaves_the_one_before(out, reports):
    write(out, reports)
    listing = parts.listing(out)
    listing.__enter__()(reports[0])
    with pytest.raises(KeyboardInterrupt):
        listing.gen.throw(KeyboardInterrupt())
    assert tuple(parts.listed(out)) == reports
    assert len(samples.names(out)) == len(reports) + 1


def test_refuses_a_part_that_is_none(out, reports):
    path = Path(out) / reports[0].name
    path.write_bytes(b"x" * 100)
    with pytest.raises(Refusal, match=f"{path}: not a whole part"):
        list(parts.committed(out, samples.names(out), "f"))


def test_a_part_of_another_size_than_listed_is_read(out, reports):
    write(out, reports)
    (Path(out) / reports[0].name).write_bytes(b"x" * 100)
    with pytest.raises(Refusal, match="not a whole part"):
        list(parts.committed(out, samples.names(out), "f"))


@pytest.mark.usefixtures("reports")
def test_refuses_a_part_of_a_job_with_other_settings(out):
    with pytest.raises(Refusal, match="it is from a job with other settings"):
        list(parts.committed(out, samples.names(out), "another"))


def test_a_damaged_list_is_no_loss(out, reports):
    (Path(out) / parts.PARTS).write_bytes(b"nonsense")
    with pytest.raises(ValueError, match="not a list of parts"):
        list(parts.listed(out))
    found = parts.committed(out, samples.names(out), "f")
    assert sorted(report.name for report in found) == sorted(report.name for report in reports)
