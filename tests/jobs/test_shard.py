import errno
import gc
import pickle
import weakref
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from io import BytesIO
from pathlib import Path

import fake_scorer
import numpy as np
import pyarrow.parquet as pq
import pytest
import samples

from dice_core.bank import Bank
from dice_core.rows import SCHEMA
from dice_core.tally import Tally
from jobs import parquet, partfile, plan
from jobs import rows as rows_module
from jobs.parquet import digest
from jobs.place import ShardError, StorageError
from jobs.shard import (
    ShardSettings,
    count_members,
    load_scorer,
    read_report,
    score_bundle,
    score_shard,
    try_range,
)


@pytest.fixture
def settings(tmp_path, model):
    (tmp_path / "out").mkdir()
    return ShardSettings(
        out=str(tmp_path / "out"),
        model=model,
        model_hash=digest(fake_scorer.MODEL),
        fingerprint="f" * 32,
        shard_size=16,
        load_scorer=fake_scorer.load,
    )


@pytest.fixture
def shards(tar):
    return list(plan.shards([plan.survey(tar, 16)]))


def test_a_part_tells_about_itself(settings, shards, tar):
    report = score_shard(shards[1], settings)
    path = Path(settings.out) / report.name
    data = path.read_bytes()
    table = pq.read_table(path)
    assert table.schema.remove_metadata() == SCHEMA
    assert table["index"].to_pylist() == list(range(16, 32))
    assert (report.size, report.hash, report.rows) == (len(data), digest(data), 16)
    assert (report.archive, report.identity, report.first) == (tar, shards[1].identity, 16)
    assert report.tally == Tally.of(table)
    assert parquet.read_footer(str(path)).metadata == {
        "schema_version": "2",
        "fingerprint": "f" * 32,
        "model_hash": settings.model_hash,
        "archive": tar,
        "identity": shards[1].identity,
        "first": "16",
        "stop": "32",
        "members": "40",
        "tally": report.tally.to_json(),
    }
    assert read_report(str(path), "f" * 32) == report
    with pytest.raises(ValueError, match="from a job with other settings"):
        read_report(str(path), "e" * 32)


def test_doing_it_again_leaves_a_whole_part_as_it_is(settings, shards):
    first = score_bundle(settings, plan.Bundle(tuple(shards)))
    before = samples.written(settings.out, "part-*")
    assert len(before) == len(first)
    again = score_bundle(settings, plan.Bundle(tuple(shards)))
    assert again == first
    assert samples.written(settings.out, "part-*") == before


def test_the_same_shard_gives_the_same_bytes(settings, shards):
    first = score_shard(shards[0], settings)
    (Path(settings.out) / first.name).unlink()
    assert score_shard(shards[0], settings).hash == first.hash


def test_a_shard_that_runs_twice_at_once_leaves_the_part_that_was_first(settings, shards, monkeypatch):
    """Another processor may give other last digits; the part that the client has heard of must stay."""
    score, told = fake_scorer.BrightnessScorer.score, []

    def overtaken(self, images):
        if not told:
            told.append(None)
            told[0] = score_shard(shards[0], settings)
            return score(self, images) | {"ncc": np.full(len(images), 0.5)}
        return score(self, images)

    monkeypatch.setattr(fake_scorer.BrightnessScorer, "score", overtaken)
    assert score_shard(shards[0], settings) == told[0]
    assert samples.names(settings.out) == [told[0].name]
    assert digest((Path(settings.out) / told[0].name).read_bytes()) == told[0].hash


def test_an_error_names_archive_and_member_and_keeps_its_cause(settings, shards, tar, monkeypatch):
    monkeypatch.setattr(fake_scorer.BrightnessScorer, "score", lambda *_: np.zeros(3)[7])
    with pytest.raises(ShardError) as failed:
        score_shard(shards[0], settings)
    assert str(failed.value).startswith(f"{tar} [0:16] at member 15 (bright/00015.jpg): IndexError: ")
    assert isinstance(failed.value.__cause__, IndexError)
    assert samples.names(settings.out) == []


def test_a_shard_whose_source_is_gone_fails_before_its_first_member(settings, shards, tar):
    Path(tar).unlink()
    with pytest.raises(ShardError, match=r"lot1\.tar \[0:16\]: FileNotFoundError"):
        score_shard(shards[0], settings)


def test_a_model_that_is_not_the_jobs_is_not_loaded(settings):
    with pytest.raises(ValueError, match="hash differs"):
        load_scorer(settings.model, "0" * 32)


@pytest.fixture
def loads(dice_model, tmp_path):
    """Load the same model from two paths in turn."""
    copy = tmp_path / "copy.npz"
    copy.write_bytes(Path(dice_model).read_bytes())
    model_hash = digest(copy.read_bytes())
    return [partial(load_scorer, path, model_hash) for path in (dice_model, str(copy))]


def test_a_process_holds_a_model_once_by_its_content(loads):
    with ThreadPoolExecutor(4) as threads:
        scorers = list(threads.map(lambda load: load(), loads * 4))
    assert len(set(map(id, scorers))) == 1


def test_a_process_holds_one_model(loads, dice_model, tmp_path):
    first = weakref.ref(loads[0]())
    stream = BytesIO()
    replace(Bank.read(BytesIO(Path(dice_model).read_bytes())), ncc_floor=0.01).write(stream)
    (tmp_path / "other.npz").write_bytes(stream.getvalue())
    load_scorer(str(tmp_path / "other.npz"), digest(stream.getvalue()))
    gc.collect()
    assert first() is None


def test_batches_of_a_stream_end_where_those_of_shards_would(settings, tmp_path, monkeypatch):
    score, batches = fake_scorer.BrightnessScorer.score, []

    def counted(self, images):
        batches.append(len(images))
        return score(self, images)

    monkeypatch.setattr(fake_scorer.BrightnessScorer, "score", counted)
    streamed = samples.write_targz(tmp_path / "lot.tgz", samples.images(40))
    (shard,) = plan.shards([plan.survey(streamed, 16)])
    assert score_shard(shard, settings).rows == 40
    assert batches == [16, 16, 8]


def test_the_rows_of_a_stream_are_written_while_it_is_read(settings, tmp_path, monkeypatch):
    streamed = samples.write_targz(tmp_path / "lot.tgz", samples.images(40))
    (shard,) = plan.shards([plan.survey(streamed, 16)])
    (tmp_path / "whole").mkdir()
    whole = score_shard(shard, replace(settings, out=str(tmp_path / "whole")))
    monkeypatch.setattr(partfile, "ROW_GROUP_BYTES", 1)
    report = score_shard(shard, settings)
    path = Path(settings.out) / report.name
    footer = pq.read_metadata(path)
    assert [footer.row_group(number).num_rows for number in range(footer.num_row_groups)] == [16, 16, 8]
    assert pq.read_table(path).equals(pq.read_table(tmp_path / "whole" / whole.name))
    assert report == replace(whole, size=report.size, hash=report.hash)
    assert report == read_report(str(path), settings.fingerprint)
    assert samples.names(settings.out) == [report.name]


def test_a_stream_that_fails_after_rows_were_written_leaves_nothing(settings, tmp_path, monkeypatch):
    score, batches = fake_scorer.BrightnessScorer.score, []

    def failing(self, images):
        batches.append(len(images))
        if len(batches) == 3:
            assert len(list(Path(settings.out).iterdir())) == 1
            raise OSError(errno.EIO, "Input/output error")
        return score(self, images)

    monkeypatch.setattr(partfile, "ROW_GROUP_BYTES", 1)
    monkeypatch.setattr(fake_scorer.BrightnessScorer, "score", failing)
    streamed = samples.write_targz(tmp_path / "lot.tgz", samples.images(40))
    with pytest.raises(StorageError):
        score_shard(next(plan.shards([plan.survey(streamed, 16)])), settings)
    assert list(Path(settings.out).iterdir()) == []


def test_rows_with_long_names_are_not_held_until_their_shard_ends(settings, shards, monkeypatch):
    held = []
    closed = rows_module.Rows.take

    def take(self):
        taken = closed(self)
        held.extend(table.num_rows for table in taken)
        return taken

    monkeypatch.setattr(rows_module, "NAMES", 30)
    monkeypatch.setattr(rows_module.Rows, "take", take)
    assert score_shard(shards[0], settings).rows == sum(held) == 16
    assert max(held) < 8


def test_an_image_that_kills_is_a_row_and_no_other_changes(settings, shards, tmp_path):
    whole = pq.read_table(tmp_path / "out" / score_shard(shards[0], settings).name)
    (tmp_path / "without").mkdir()
    without = replace(settings, out=str(tmp_path / "without"))
    report = score_shard(shards[0], without, killers={2, 7})
    rows = pq.read_table(tmp_path / "without" / report.name)
    (lost,) = [row for row in rows.to_pylist() if row["reason"] == "killed_worker"]
    assert (lost["index"], lost["status"], lost["defect_score"]) == (2, "rejected", None)
    assert whole["reason"][7].as_py() is not None  # what is no image anyway keeps its own reason
    for table in (whole, rows):
        assert table.num_rows == 16
    others = np.arange(16) != 2
    assert rows.filter(others).equals(whole.filter(others))


def test_a_range_is_scored_and_nothing_written(settings, shards, log):
    assert try_range(shards[1], settings, 18, 22) == 4
    assert len(log.read_text().splitlines()) <= 4
    assert samples.names(settings.out) == []


@pytest.mark.parametrize("write", [samples.write_tar, samples.write_targz, samples.write_zip])
def test_members_are_counted_by_reading(settings, tmp_path, write):
    (shard,) = plan.shards([plan.survey(write(tmp_path / "a", samples.images(7)), 16)])
    assert count_members(shard, settings) == 7


@pytest.mark.parametrize(
    ("error", "again", "hopeless"),
    [
        (OSError(errno.EIO, "Input/output error"), True, False),
        (TimeoutError("no answer"), True, False),
        (OSError(errno.ENOSPC, "No space left on device"), True, True),
        (OSError(errno.EROFS, "Read-only file system"), True, True),
        (FileNotFoundError(errno.ENOENT, "No such file"), False, False),
        (PermissionError(errno.EACCES, "Permission denied"), False, False),
        (ValueError("a bug"), False, False),
    ],
)
def test_what_storage_fails_for_is_told_from_what_fails_for_good(settings, shards, error, again, hopeless):
    class Failing(fake_scorer.BrightnessScorer):
        def score(self, _):
            raise error

    with pytest.raises(ShardError) as told:
        score_shard(shards[0], settings, Failing())
    assert isinstance(told.value, StorageError) is again
    assert getattr(pickle.loads(pickle.dumps(told.value)), "hopeless", False) is hopeless  # noqa: S301


def test_a_job_folder_that_is_gone_is_storage_that_fails(settings, shards, tmp_path):
    (tmp_path / "out").rmdir()
    with pytest.raises(StorageError, match="FileNotFoundError"):
        score_shard(shards[0], settings)
