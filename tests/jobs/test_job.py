from dataclasses import replace

import fake_scorer
import pytest
import samples

from jobs import events
from jobs.config import ScoreSettings
from jobs.deadline import Deadline
from jobs.errors import ExitCode, Refusal
from jobs.job import Asked, Job
from jobs.score import score


@pytest.fixture
def settings(model, tmp_path):
    lot = samples.write_tar(tmp_path / "lot.tar", samples.images(23))

    def settings(**options):
        return ScoreSettings(
            (lot,), model, str(tmp_path / "out"), **{"cluster": "serial", "shard_size": 5, **options}
        )

    return settings


def asked(settings):
    return Asked.read(settings, fake_scorer.load, events.ignore)


def opened(settings):
    return Job.open(asked(settings), Deadline(None))


def run(settings):
    return score(settings, evaluate=fake_scorer.evaluate, load=fake_scorer.load)


def test_what_is_asked_for_is_read_without_touching_the_folder(settings, tmp_path):
    found = asked(settings())
    assert not (tmp_path / "out").exists()
    assert found.model == fake_scorer.MODEL
    assert [record.path for record in found.surveyed.records] == [str(tmp_path / "lot.tar")]
    assert found.apart == (str(tmp_path / "out"), found.settings.model, str(tmp_path / "lot.tar"))


def test_a_new_job_has_every_shard_to_score(settings):
    job = opened(settings())
    assert [shard.first for shard in job.pending()] == [0, 5, 10, 15, 20]
    assert not job.is_whole()
    assert job.shard.out == job.out == job.settings.out


def test_a_scored_job_is_whole_until_a_file_of_it_is_gone(settings, tmp_path):
    run(settings())
    job = opened(settings())
    assert list(job.pending()) == []
    assert job.is_whole()
    (tmp_path / "out" / "_summary.json").write_text("{")
    assert not job.is_whole()
    next((tmp_path / "out").glob("part-*.parquet")).unlink()
    again = opened(settings())
    assert len(list(again.pending())) == 1
    assert not again.is_whole()


def test_shares_of_a_job_divide_its_shards(settings):
    of = [{shard.first for shard in opened(settings(part=f"{part}/2")).pending()} for part in (1, 2)]
    assert not of[0] & of[1]
    assert of[0] | of[1] == {0, 5, 10, 15, 20}


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"model": "nowhere.npz"}, "nowhere.npz: .*name the model that fit wrote"),
        ({"labels": "nowhere.csv"}, "nowhere.csv"),
        ({"lot": "nonsense"}, "nonsense"),
    ],
)
def test_what_is_not_taken_is_refused_by_name_before_anything_is_written(settings, tmp_path, options, told):
    with pytest.raises(Refusal, match=told):
        asked(replace(settings(), **options))
    assert not (tmp_path / "out").exists()


def test_interrupted_while_it_looks_at_its_sources_it_ends_as_one_that_is(settings, tmp_path, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("jobs.job.survey", interrupt)
    assert run(settings()).exit_code is ExitCode.INTERRUPTED
    assert not (tmp_path / "out").exists()


def test_another_job_is_not_gone_on_with(settings):
    run(settings())
    with pytest.raises(Refusal, match="shard"):
        opened(settings(shard_size=7))
    afresh = opened(settings(shard_size=7, overwrite=True))
    assert [shard.first for shard in afresh.pending()] == [0, 7, 14, 21]
