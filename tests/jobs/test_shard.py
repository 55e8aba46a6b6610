import gc
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
from jobs import plan
from jobs.parquet import digest
from jobs.shard import ShardError, ShardSettings, load_scorer, read_report, score_bundle, score_shard


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
    metadata = {key.decode(): value.decode() for key, value in table.schema.metadata.items()}
    assert metadata == {
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
    before = [(Path(settings.out) / report.name).stat() for report in first]
    again = score_bundle(settings, plan.Bundle(tuple(shards)))
    assert again == first
    assert [(Path(settings.out) / report.name).stat() for report in again] == before


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
