import fake_scorer
import pytest
import samples
from numba import njit

from jobs import cluster, plan
from jobs.errors import Refusal
from jobs.events import Compiling
from jobs.parquet import digest
from jobs.shard import ShardSettings
from jobs.tasksize import TaskSize
from jobs.workers import open_workers


@pytest.fixture
def settings(tmp_path, model):
    (tmp_path / "out").mkdir()
    return ShardSettings(
        str(tmp_path / "out"),
        model,
        digest(fake_scorer.MODEL),
        "f" * 32,
        shard_size=16,
        load_scorer=fake_scorer.load,
    )


def test_serially_there_is_a_worker_as_well(settings, tar):
    bundles = TaskSize(16, 40, lambda: 0).bundle(plan.shards([plan.survey(tar, 16)]))
    with open_workers("serial", None, settings, ()) as workers:
        assert [report.rows for report in workers.score(bundles)] == [16, 16, 8]


def test_compiling_is_told_of_before_the_workers_are_there(settings, monkeypatch):
    told = []
    compile_one = njit(lambda number: number + 1)
    monkeypatch.setattr("jobs.kernels.make_ready", lambda _settings: float(compile_one(1)))
    for _ in range(2):
        with open_workers("serial", None, settings, (), emit=told.append):
            assert told == [Compiling()]


def test_workers_that_are_too_small_are_refused_before_anything_is_submitted(settings, log, monkeypatch):
    monkeypatch.setattr(cluster, "usable_memory", lambda: 100 << 20)
    refused = pytest.raises(Refusal, match=r"a worker needs \d+ MiB of memory, 100 MiB are free here")
    with refused, open_workers("local", None, settings, ()):
        pass
    assert log.read_text() == ""
    assert samples.names(settings.out) == []
