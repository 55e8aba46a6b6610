import fake_scorer
import pytest
import samples

from jobs import plan
from jobs.config import ScoreSettings
from jobs.errors import Refusal
from jobs.estimate import FIRST, REST, estimate, sample
from jobs.score import score


@pytest.fixture(scope="module")
def lots(tmp_path_factory):
    folder = tmp_path_factory.mktemp("lots")
    return tuple(
        samples.write_tar(folder / f"lot{number}.tar", samples.images(60, number)) for number in range(4)
    )


def test_the_counts_are_those_of_the_job(lots, model, tmp_path, monkeypatch):
    monkeypatch.setenv(fake_scorer.DELAY, "0.02")
    monkeypatch.setattr("jobs.estimate.usable_cores", lambda: 1)
    told = estimate(lots, model, 3, evaluate=fake_scorer.evaluate, load=fake_scorer.load, shard_size=10)
    settings = ScoreSettings(lots, model, str(tmp_path / "out"), cluster="serial", shard_size=10)
    done = score(settings, evaluate=fake_scorer.evaluate, load=fake_scorer.load).summary
    assert (told.images, told.sources, told.shards) == (done["rows"], 4, done["shards"])
    assert told.sampled == (FIRST + REST) * 10
    assert told.scaled
    assert told.workers == 3
    # Ten images in at least 20 ms, by each of three workers.
    assert told.images_per_second < 3 * 10 / 0.02
    assert told.seconds > told.score_seconds == pytest.approx(told.images / told.images_per_second)
    assert told.core_hours == pytest.approx(3 * told.score_seconds / 3600)
    parts = (tmp_path / "out").glob("part-*")
    written = sum(path.stat().st_size for path in (*parts, tmp_path / "out" / "_model.npz"))
    assert told.output == pytest.approx(written, rel=0.1)
    assert (told.reads, told.writes) == (24, 32)


def test_a_sample_is_spread_over_the_plan(lots):
    records = [plan.survey(lot, 10) for lot in lots]
    chosen = sample(records, 1)
    assert len(chosen) == FIRST + REST
    assert {shard.archive for shard in chosen} == set(lots)
    assert len({(shard.archive, shard.first) for shard in sample(records, 9)}) == 24


def test_an_archive_that_does_not_tell_its_members_counts_by_its_bytes(model, tmp_path):
    listed = samples.images(30)
    sources = (
        samples.write_tar(tmp_path / "a.tar", listed),
        samples.write_targz(tmp_path / "b.tar.gz", listed),
    )
    told = estimate(sources, model, 1, evaluate=fake_scorer.evaluate, load=fake_scorer.load)
    assert 30 < told.images < 60


def test_refuses_a_model_that_is_not_there(lots, tmp_path):
    with pytest.raises(Refusal, match=r"gone\.npz: No such file"):
        estimate(lots, str(tmp_path / "gone.npz"), evaluate=fake_scorer.evaluate)
