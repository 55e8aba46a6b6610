"""Jobs whose sources, model and folder are in a real store that refuses, fails, or is gone for a while."""

import json
import pickle
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from pathlib import Path

import fake_scorer
import pytest
import samples
import servers

from jobs import breaker, execute, plan, storage, store
from jobs.__main__ import main
from jobs.compact import compact
from jobs.config import ScoreSettings
from jobs.errors import ExitCode, Refusal
from jobs.evaluate import evaluate, open_rows
from jobs.events import Committed
from jobs.fit import FitSettings, fit
from jobs.query import query
from jobs.score import score
from jobs.status import State, status
from jobs.tasksize import TaskSize
from jobs.teaching import Sources
from jobs.verify import verify

MEMBERS = samples.members(80)
WRITERS = {
    "lot.tar": samples.write_tar,
    "lot.tar.gz": samples.write_targz,
    "lot.zip": samples.write_zip,
    "lot": samples.write_folder,
}


def upload(path, url):
    """Copy a file, or all files below a folder."""
    if path.is_dir():
        for file in path.rglob("*"):
            if file.is_file():
                upload(file, f"{url}/{file.relative_to(path)}")
    else:
        storage.write(url, path.read_bytes())
    return url


def settings(sources, model, out, **changes):
    own = {"cluster": "serial", "shard_size": 20, "task_images": 20, "max_rejects": "100%"}
    return ScoreSettings(tuple(sources), model, str(out), **{**own, **changes})


def run(*asked, **changes):
    return score(settings(*asked, **changes), evaluate=fake_scorer.evaluate, load=fake_scorer.load)


def rows(out):
    """All rows but for the names of their archives, in order."""
    table = open_rows(str(out)).to_table().sort_by([("archive", "ascending"), ("index", "ascending")])
    return table.drop_columns(["archive", "lot"])


@pytest.fixture
def remote(bucket, tmp_path):
    """One source of each kind and a model, here and there."""
    (tmp_path / "here").mkdir()
    for name, write in WRITERS.items():
        write(tmp_path / "here" / name, MEMBERS)
    upload(tmp_path / "here", f"{bucket}/in")
    storage.write(f"{bucket}/model.npz", fake_scorer.MODEL)
    return bucket


@pytest.fixture
def archive(bucket, tmp_path):
    """One tar and a model."""
    samples.write_tar(tmp_path / "a.tar", MEMBERS)
    storage.write(f"{bucket}/model.npz", fake_scorer.MODEL)
    return upload(tmp_path / "a.tar", f"{bucket}/in/a.tar")


@pytest.fixture
def impatient(monkeypatch):
    """A store is asked twelve times, one after the other."""
    monkeypatch.setattr(store, "_PAUSES", {"s3": (0.0,) * 11})
    monkeypatch.setitem(store.PROTOCOLS["s3"], "config_kwargs", {"retries": {"total_max_attempts": 1}})


def test_a_job_in_a_store_is_the_job_it_would_be_here_and_every_command_reads_it(remote, tmp_path, model):
    out = f"{remote}/out"
    there = run([f"{remote}/in/*"], f"{remote}/model.npz", out)
    here = run([str(tmp_path / "here" / "*")], model, tmp_path / "out")
    assert there.exit_code == here.exit_code == ExitCode.DONE
    assert rows(out).equals(rows(tmp_path / "out"))
    assert rows(out).num_rows == len(WRITERS) * len(MEMBERS)
    assert verify(out) == []
    assert status(out).state is State.COMPLETE
    assert evaluate(out)["images"] == evaluate(str(tmp_path / "out"))["images"]
    counted = query(out, "SELECT count(*) AS n, count(DISTINCT archive) AS archives FROM scores")
    assert counted.to_pylist() == [{"n": len(WRITERS) * len(MEMBERS), "archives": len(WRITERS)}]
    before = storage.list_sizes(out)
    again = run([f"{remote}/in/*"], f"{remote}/model.npz", out)
    assert (again.scored, storage.list_sizes(out)) == (0, before)
    compact(out, f"{remote}/compacted", lambda _: nullcontext(lambda _: None))
    assert verify(f"{remote}/compacted") == []
    assert rows(f"{remote}/compacted").equals(rows(out))


def test_a_source_that_changed_is_refused_by_name_and_replaced_on_demand(archive, bucket, tmp_path):
    asked = ([archive], f"{bucket}/model.npz", f"{bucket}/out")
    run(*asked)
    samples.write_tar(tmp_path / "b.tar", samples.members(30, seed=7))
    upload(tmp_path / "b.tar", archive)
    with pytest.raises(Refusal, match=r"in/a\.tar: changed since"):
        run(*asked)
    assert run(*asked, replace_changed=True).scored == 30
    assert verify(asked[2]) == []
    assert rows(asked[2]).num_rows == 30


def test_a_model_that_is_learnt_and_kept_in_a_store_is_the_same(dice_model, bucket):
    sources = upload(Path(dice_model).with_name("teaching.tar"), f"{bucket}/teaching.tar")
    fit(FitSettings(Sources(labelled=(sources,)), f"{bucket}/models/dice.npz", threads=2))
    assert storage.read(f"{bucket}/models/dice.npz") == Path(dice_model).read_bytes()
    with pytest.raises(Refusal, match="is no model"):
        fit(FitSettings(Sources(labelled=(sources,)), sources))
    with pytest.raises(Refusal, match="is a folder"):
        fit(FitSettings(Sources(labelled=(sources,)), f"{bucket}/models"))


def test_status_tells_whether_the_process_of_a_job_in_a_store_runs(archive, bucket):
    states = []

    def listen(event):
        if isinstance(event, Committed):
            states.append(status(f"{bucket}/out").state)

    own = {"evaluate": fake_scorer.evaluate, "load": fake_scorer.load}
    asked = ([archive], f"{bucket}/model.npz", f"{bucket}/out")
    score(settings(*asked), listener=listen, **own)
    assert set(states) == {State.SCORING}
    assert status(f"{bucket}/out").state is State.COMPLETE


def test_roots_give_the_same_parts_wherever_the_archives_are(archive, bucket, tmp_path):
    model = f"{bucket}/model.npz"
    run([archive], model, f"{bucket}/out", source_roots=(f"{bucket}/in=lots",))
    moved = run([str(tmp_path / "a.tar")], model, f"{bucket}/out", source_roots=(f"{tmp_path}=lots",))
    assert moved.scored == 0
    assert set(open_rows(f"{bucket}/out").to_table()["archive"].to_pylist()) == {"lots/a.tar"}


def test_few_requests_are_made_for_many_images(bucket, proxy, reach_s3, tmp_path):
    samples.write_tar(tmp_path / "a.tar", [(f"{index:05d}.jpg", b"x" * 5000) for index in range(10_000)])
    url = upload(tmp_path / "a.tar", f"{bucket}/a.tar")
    storage.write(f"{bucket}/model.npz", fake_scorer.MODEL)
    reach_s3(proxy.urls["counted"])
    before = len(proxy.requests("counted"))
    done = run([url], f"{bucket}/model.npz", tmp_path / "out", shard_size=2000, task_images=2000)
    assert done.summary["rows"] == 10_000
    assert len(proxy.requests("counted")) - before <= 60


@pytest.mark.usefixtures("impatient")
def test_no_row_is_lost_where_a_third_of_requests_fails(archive, bucket, proxy, reach_s3, tmp_path, model):
    reach_s3(proxy.urls["faulty"])
    before = len(proxy.requests("faulty"))
    done = run([archive], f"{bucket}/model.npz", f"{bucket}/out")
    assert done.exit_code is ExitCode.DONE
    assert sum(line.startswith("503") for line in proxy.requests("faulty")[before:]) > 5
    assert verify(f"{bucket}/out") == []
    run([str(tmp_path / "a.tar")], model, tmp_path / "out")
    assert rows(f"{bucket}/out").equals(rows(tmp_path / "out"))


@pytest.mark.usefixtures("impatient")
def test_a_store_that_is_down_from_the_start_ends_the_command_with_one_line(bucket, proxy, reach_s3, capsys):
    reach_s3(proxy.urls["down"])
    with pytest.raises(SystemExit) as ended:
        main(["score", f"{bucket}/a.tar", "--model", f"{bucket}/model.npz", "--out", f"{bucket}/out"])
    assert ended.value.code == ExitCode.SHARDS_FAILED
    (line,) = capsys.readouterr().err.splitlines()
    assert "model.npz: the store does not answer as it should (SlowDown)" in line


@pytest.mark.usefixtures("impatient")
def test_a_store_that_goes_down_ends_the_job_and_what_was_committed_stays(
    archive, bucket, proxy, reach_s3, tmp_path, monkeypatch
):
    monkeypatch.setattr(breaker, "PATIENCE", 0.5)
    asked = ([archive], f"{bucket}/model.npz", tmp_path / "out")
    committed = execute.Backlog.succeeded

    def succeeded(backlog, bundle):
        committed(backlog, bundle)
        reach_s3(proxy.urls["down"])

    with monkeypatch.context() as patch:
        patch.setattr(execute.Backlog, "succeeded", succeeded)
        done = run(*asked)
    assert done.exit_code is ExitCode.SHARDS_FAILED
    assert "storage is down" in done.summary["failures"][-1]["error"]
    assert len(samples.parts(tmp_path / "out")) == 1
    reach_s3(proxy.urls["counted"])
    assert run(*asked).exit_code is ExitCode.DONE
    assert verify(str(tmp_path / "out")) == []


@pytest.mark.usefixtures("archive")
@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"key": "nobody"}, "access denied"),
        ({"secret": "another-canary-5ecret"}, "access denied"),
        ({"out": "s3://missing-bucket/out"}, "no such object or bucket"),
        ({"model": "none.npz"}, "no such object or bucket"),
        ({"source": "none.tar"}, "no such file or folder"),
        ({"log": "s3://tests/log.json"}, "name a local file"),
    ],
)
def test_what_is_refused_is_one_line(bucket, seaweed, reach_s3, capsys, change, told):
    reach_s3(seaweed.url, **{name: change[name] for name in ("key", "secret") if name in change})
    source = f"{bucket}/in/{change.get('source', 'a.tar')}"
    model, out = f"{bucket}/{change.get('model', 'model.npz')}", change.get("out", f"{bucket}/out")
    log = ["--log-json", change["log"]] if "log" in change else []
    with pytest.raises(SystemExit) as ended:
        main(["score", source, "--model", model, "--out", out, "--cluster", "serial", *log])
    assert ended.value.code == ExitCode.REFUSED
    (line,) = capsys.readouterr().err.splitlines()
    assert told in line
    assert "5ecret" not in line


def test_no_secret_is_written_down_by_a_run_that_ends_well_or_badly(archive, bucket, tmp_path, capfd):
    out, log = f"{bucket}/out", tmp_path / "log.json"
    options = {"sources": [archive], "model": f"{bucket}/model.npz", "out": out}
    more = {"workers": 1, "shard_size": 20, "max_rejects": "100%", "log_json": str(log)}
    well = samples.start([fake_scorer.__file__, json.dumps(options | more)])
    told = well.communicate()
    assert well.returncode == 0, told
    storage.remove(f"{out}/_job.json")
    badly = [archive, "--model", options["model"], "--out", out, "--log-json", str(log)]
    with pytest.raises(SystemExit):  # a folder that is not empty
        main(["score", *badly])
    storage.write(f"{bucket}/other.npz", b"no model")
    with pytest.raises(SystemExit):
        main(["score", archive, "--model", f"{bucket}/other.npz", "--out", out])
    told += capfd.readouterr()
    assert any("not a job folder" in text for text in told)
    assert log.stat().st_size > 0
    names = storage.list_names(out)
    assert len(names) > 8
    shards = plan.shards([plan.survey(archive, 20)])
    graph = execute.graph(TaskSize(20, 80, lambda: 0).bundle(shards), print, "run")
    sent = pickle.dumps((settings(**options), graph))
    everything = b"".join([*(storage.read(f"{out}/{name}") for name in names), log.read_bytes(), sent])
    everything += "".join(told).encode()
    assert archive.encode() in everything
    assert servers.CANARY.encode() not in everything


@pytest.mark.usefixtures("model")
def test_a_server_that_is_killed_and_comes_back_costs_no_row(archive, bucket, seaweed, tmp_path, monkeypatch):
    monkeypatch.setattr(store, "_PAUSES", {"s3": (0.2,) * 5})
    monkeypatch.setitem(store.PROTOCOLS["s3"], "config_kwargs", {"retries": {"total_max_attempts": 1}})
    asked, third = ([archive], f"{bucket}/model.npz", f"{bucket}/out"), threading.Event()
    small = {"shard_size": 10, "task_images": 10}
    committed = []

    def listen(event):
        if isinstance(event, Committed):
            committed.append(event.part)
            if len(committed) == 3:
                third.set()

    def job():
        own = {"evaluate": fake_scorer.evaluate, "load": fake_scorer.load}
        return score(settings(*asked, **small), listener=listen, **own)

    with ThreadPoolExecutor(1) as thread:
        ended = thread.submit(job)
        assert third.wait(60)
        seaweed.kill()
        try:
            time.sleep(1)
        finally:
            seaweed.start()
        done = ended.result()
    assert done.summary["retries"] > 0
    # What answers before it knows its data may have said that there are none.
    assert done.exit_code in (ExitCode.DONE, ExitCode.SHARDS_FAILED)
    again = run(*asked, **small)
    assert again.exit_code is ExitCode.DONE
    assert len(set(committed)) == len(committed)
    assert len(committed) + again.scored / 10 == len(MEMBERS) / 10
    assert verify(asked[2]) == []
    run([str(tmp_path / "a.tar")], str(tmp_path / "model.npz"), tmp_path / "out", **small)
    assert rows(asked[2]).equals(rows(tmp_path / "out"))


def test_two_submitters_at_once_make_one_job(archive, bucket, tmp_path, model, monkeypatch):
    monkeypatch.setenv(fake_scorer.DELAY, "0.05")
    asked = ([archive], f"{bucket}/model.npz", f"{bucket}/out")
    small = {"shard_size": 10, "task_images": 10}
    with ThreadPoolExecutor(2) as threads:
        for one in [threads.submit(run, *asked, **small) for _ in range(2)]:
            assert one.result().exit_code in (ExitCode.DONE, ExitCode.SHARDS_FAILED)
    assert run(*asked, **small).exit_code is ExitCode.DONE
    assert verify(asked[2]) == []
    run([str(tmp_path / "a.tar")], model, tmp_path / "out", **small)
    assert rows(asked[2]).equals(rows(tmp_path / "out"))


def test_the_same_job_runs_in_gcs(gcs, tmp_path, model):
    for name, write in WRITERS.items():
        upload(Path(write(tmp_path / name, MEMBERS)), f"{gcs}/in/{name}")
    storage.write(f"{gcs}/model.npz", fake_scorer.MODEL)
    out = f"{gcs}/out"
    done = run([f"{gcs}/in/*.*", f"{gcs}/in/lot"], f"{gcs}/model.npz", out)
    assert done.exit_code is ExitCode.DONE
    assert verify(out) == []
    assert status(out).state is State.COMPLETE
    run([str(tmp_path / name) for name in WRITERS], model, tmp_path / "out")
    assert rows(out).equals(rows(tmp_path / "out"))
    assert run([f"{gcs}/in/*.*", f"{gcs}/in/lot"], f"{gcs}/model.npz", out).scored == 0
    assert run([f"{gcs}/in/*.*"], f"{gcs}/model.npz", out, overwrite=True).scored == 3 * len(MEMBERS)
    with pytest.raises(FileExistsError), storage.writing(f"{out}/_summary.json", replace=False) as file:
        file.write(b"another")
    with pytest.raises(Refusal, match="no such file or folder"):
        storage.expand([f"{gcs}/none.tar"])
