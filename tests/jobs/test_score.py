import itertools
import json
import os
import signal
from pathlib import Path

import fake_scorer
import pyarrow.compute as pc
import pytest
import samples

from dice_core.scale import OnSize
from jobs import backlog, breaker, events, files, kernels, storage
from jobs.config import ScoreSettings
from jobs.deadline import Deadline
from jobs.errors import ExitCode, Refusal
from jobs.events import Committed, Done, Failed, Planned, Rejected, Retried, Scored, Started, WorkerLost
from jobs.parquet import digest
from jobs.reader import Limits
from jobs.rows import COMPARISONS
from jobs.score import score
from jobs.status import State, status
from jobs.tasksize import TaskSize
from jobs.verify import verify

CONTAINER_COLUMNS = ["archive", "lot", "offset"]


@pytest.fixture
def out(tmp_path):
    return str(tmp_path / "out")


@pytest.fixture(scope="module")
def lot(tmp_path_factory):
    """A tar of 600 members of all kinds."""
    return samples.write_tar(tmp_path_factory.mktemp("lot") / "lot.tar", samples.members(600))


def run(sources, model, out, listener=events.ignore, **options):
    sources = (sources,) if isinstance(sources, str) else tuple(sources)
    options = {"cluster": "serial", "shard_size": 100, "task_images": 200, "max_rejects": "100%"} | options
    settings = ScoreSettings(sources, model, out, **options)
    return score(settings, evaluate=fake_scorer.evaluate, listener=listener, load=fake_scorer.load)


class Heard:
    def __init__(self):
        self.events = []

    def __call__(self, event):
        self.events.append(event)

    def of(self, kind):
        return [event for event in self.events if isinstance(event, kind)]


# What the rows are


def test_every_member_is_a_row_in_order(lot, model, out):
    result = run(lot, model, out)
    rows = samples.rows(out)
    assert rows["index"].to_pylist() == list(range(600))
    assert rows["member"].to_pylist() == [name for name, _ in samples.members(600)]
    assert result.exit_code is ExitCode.DONE
    counted = {
        "rows": 600,
        "ok": 540,
        "rejected": 45,
        "ignored": 15,
        "images": 585,
        "archives": 1,
        "complete": True,
    }
    assert {name: result.summary[name] for name in counted} == counted
    assert result.summary["reasons"] == {
        "archive_junk": 15,
        "empty": 15,
        "not_an_image": 15,
        "wrong_size": 15,
    }
    assert result.summary["evaluation"] == {"evaluated": "out", "complete": True, "missing": None}
    assert json.loads((Path(out) / "_summary.json").read_text()) == json.loads(json.dumps(result.summary))
    assert verify(out) == []


@pytest.fixture(scope="module")
def serial_rows(lot, tmp_path_factory):
    folder = tmp_path_factory.mktemp("serial")
    (folder / "m.npz").write_bytes(fake_scorer.MODEL)
    run(lot, str(folder / "m.npz"), str(folder / "out"))
    return samples.rows(folder / "out")


@pytest.mark.parametrize("workers", [1, 2])
def test_local_workers_give_the_rows_of_the_serial_run(lot, model, out, serial_rows, workers):
    assert run(lot, model, out, cluster="local", workers=workers).scored == 600
    assert samples.rows(out).equals(serial_rows)
    assert verify(out) == []


@pytest.mark.parametrize(("cluster", "larger"), [("serial", False), ("local:1", True)])
def test_tasks_grow_with_what_workers_tell_and_only_where_there_are_some(
    lot, model, out, monkeypatch, cluster, larger
):
    tasks = []

    class Told(TaskSize):
        def bundle(self, planned):
            for bundle in super().bundle(planned):
                tasks.append(len(bundle.shards))
                yield bundle

    monkeypatch.setattr("jobs.score.TaskSize", Told)
    run(lot, model, out, cluster=cluster, shard_size=5, task_images=5)
    assert tasks[0] == 1
    assert (max(tasks) > 1) is larger
    assert sum(tasks) == 120


@pytest.mark.parametrize(("cluster", "processes"), [("serial", 1), ("local", 3)])
def test_kernels_are_ready_in_every_process_before_scoring(
    lot, model, out, tmp_path, monkeypatch, cluster, processes
):
    (tmp_path / "ready").mkdir()
    monkeypatch.setattr(kernels, "make_ready", fake_scorer.Kernels(tmp_path / "ready"))
    heard = Heard()
    workers = None if cluster == "serial" else 2
    result = run(lot, model, out, heard, cluster=cluster, workers=workers)
    assert len(samples.names(tmp_path / "ready")) == processes
    assert heard.events[:2] == [Planned(6, 600), Started(0.5)]
    assert result.summary["compile_seconds"] == 0.5


def test_on_a_cluster_that_is_there_only_its_workers_compile(lot, model, out, tmp_path, monkeypatch):
    (tmp_path / "ready").mkdir()
    monkeypatch.setattr(kernels, "make_ready", fake_scorer.Kernels(tmp_path / "ready"))
    with samples.scheduler(tmp_path) as address, samples.worker(address) as process:
        result = run(lot, model, out, cluster=address)
    assert samples.names(tmp_path / "ready") == [str(process.pid)]
    assert result.summary["compile_seconds"] == 0.5


def test_nothing_compiles_where_nothing_is_to_be_scored(lot, model, out, monkeypatch):
    run(lot, model, out)
    monkeypatch.setattr(kernels, "make_ready", None)
    assert run(lot, model, out).exit_code is ExitCode.DONE


def test_a_cluster_that_is_there_gives_the_rows_of_the_serial_run(lot, model, out, serial_rows, tmp_path):
    with samples.scheduler(tmp_path) as address, samples.worker(address):
        result = run(lot, model, out, cluster=address)
    assert (result.exit_code, result.summary["failures"]) == (ExitCode.DONE, [])
    assert samples.rows(out).equals(serial_rows)


@pytest.mark.parametrize("write", [samples.write_targz, samples.write_zip, samples.write_folder])
def test_the_container_changes_no_row(model, out, serial_rows, tmp_path, write):
    run(write(tmp_path / "lot", samples.members(600)), model, out)
    rows = samples.rows(out)
    assert rows.drop_columns(CONTAINER_COLUMNS).equals(serial_rows.drop_columns(CONTAINER_COLUMNS))
    assert verify(out) == []


def test_a_broken_archive_gives_its_rows_up_to_the_break(model, out, tmp_path):
    listed = samples.images(50)
    path = Path(samples.write_tar(tmp_path / "lot.tar", listed))
    path.write_bytes(path.read_bytes()[: 1024 * 30 + 700])
    result = run(str(path), model, out, shard_size=8)
    rows = samples.rows(out).to_pylist()
    assert {row["status"] for row in rows[:-1]} == {"ok"}
    assert (rows[-1]["status"], rows[-1]["reason"]) == ("rejected", "broken_archive")
    assert len(rows) == 31
    assert result.summary["complete"]
    assert verify(out) == []


def test_comparing_with_every_face_adds_lists_and_changes_no_other_column(lot, model, out, serial_rows):
    run(lot, model, out, exhaustive=True)
    rows = samples.rows(out)
    assert rows.drop_columns(COMPARISONS).equals(serial_rows.drop_columns(COMPARISONS))
    assert set(pc.list_value_length(rows["ncc_shifted"]).to_pylist()) == {2, None}
    assert verify(out) == []
    with pytest.raises(Refusal, match="exhaustive was True, is False"):
        run(lot, model, out)


def test_images_of_another_size_are_rows_with_scores_where_they_are_to_be_resized(
    lot, model, out, serial_rows
):
    run(lot, model, out, on_size=OnSize.RESIZE)
    rows = samples.rows(out)
    other = pc.equal(serial_rows["reason"], "wrong_size").fill_null(fill_value=False)
    assert pc.sum(other).as_py() == 15
    assert rows.filter(pc.invert(other)).equals(serial_rows.filter(pc.invert(other)))
    resized = rows.filter(other)
    assert resized.select(["width", "height"]).equals(serial_rows.filter(other).select(["width", "height"]))
    assert resized["reason"].null_count == resized.num_rows
    assert verify(out) == []
    with pytest.raises(Refusal, match="on_size was resize, is reject"):
        run(lot, model, out)


def test_a_source_of_too_many_members_is_scored_up_to_there(lot, model, out, serial_rows):
    run(lot, model, out, limits=Limits(max_members=250))
    rows = samples.rows(out)
    assert rows.slice(0, 250).equals(serial_rows.slice(0, 250))
    last = rows.slice(250).to_pylist()
    assert [(row["index"], row["member"], row["reason"]) for row in last] == [(250, "", "too_large")]
    assert verify(out) == []
    with pytest.raises(Refusal, match="max_members was 250, is 10000000"):
        run(lot, model, out)


def test_a_lost_worker_costs_no_row_and_is_told(lot, model, out, serial_rows, monkeypatch):
    monkeypatch.setenv(fake_scorer.DIE_ONCE, f"{out}-died")
    heard = Heard()
    result = run(lot, model, out, heard, cluster="local", workers=1)
    assert Path(f"{out}-died").exists()
    assert result.exit_code is ExitCode.DONE
    assert samples.rows(out).equals(serial_rows)
    (lost,) = heard.of(WorkerLost)
    assert lost.worker.startswith("tcp://127.0.0.1:")
    retried = heard.of(Retried)
    assert {(event.error, event.attempt) for event in retried} == {("its worker was lost", 2)}
    assert (result.summary["workers_lost"], result.summary["retries"]) == (1, len(retried))


# Starting again


def test_the_same_command_again_has_nothing_to_do(lot, model, out, log):
    run(lot, model, out)
    scored = log.read_text()
    before = samples.written(out)
    again = run(lot, model, out)
    assert (again.exit_code, again.scored, again.summary["rows"]) == (ExitCode.DONE, 0, 600)
    assert log.read_text() == scored
    assert samples.written(out) == before


def test_an_added_source_is_scored_alone(lot, model, out, log, tmp_path):
    other = samples.write_tar(tmp_path / "other.tar", samples.images(150, seed=1))
    run(lot, model, out)
    first, lines = samples.parts(out), len(log.read_text().splitlines())
    heard = Heard()
    added = run([lot, other], model, out, heard)
    assert added.scored == 150
    assert added.summary["rows"] == 750
    assert len(log.read_text().splitlines()) == lines + 150
    assert first.items() < samples.parts(out).items()
    assert heard.events[:2] == [Planned(8, 750, 6, 600), Started(0.0)]
    assert verify(out) == []
    # The parts of a source that is no longer named stay.
    assert run(other, model, out).scored == 0
    assert samples.rows(out).num_rows == 750


def test_a_part_that_was_lost_is_scored_again_alone(lot, model, out, serial_rows):
    run(lot, model, out)
    kept = samples.parts(out)
    lost = sorted(kept)[2]
    (Path(out) / lost).unlink()
    del kept[lost]
    assert run(lot, model, out).scored == 100
    assert kept.items() < samples.parts(out).items()
    assert samples.rows(out).equals(serial_rows)
    assert verify(out) == []


def test_a_job_killed_before_its_summary_ends_without_scoring(lot, model, out, log):
    run(lot, model, out)
    lines = log.read_text()
    (Path(out) / "_summary.json").unlink()
    (Path(out) / "_parts.parquet").unlink()
    again = run(lot, model, out)
    assert (again.scored, again.summary["rows"]) == (0, 600)
    assert log.read_text() == lines
    assert verify(out) == []


def test_overwrite_starts_afresh(lot, model, out):
    run(lot, model, out)
    before = samples.parts(out)
    (Path(out) / "notes.txt").write_text("mine")
    assert run(lot, model, out, shard_size=200, overwrite=True).scored == 600
    assert len(samples.parts(out)) == 3
    assert not before.items() & samples.parts(out).items()
    assert (Path(out) / "notes.txt").read_text() == "mine"


@pytest.fixture
def scoring(lot, model, out, log):
    """Start the command as a process that stops by itself when it has scored so many images."""

    def begin(cluster, stop_after):
        options = {
            "sources": [lot],
            "model": model,
            "out": out,
            "cluster": cluster,
            "workers": 1 if cluster == "local" else None,
            "shard_size": 100,
            "task_images": 200,
            "max_rejects": "100%",
        }
        program = [str(Path(fake_scorer.__file__)), json.dumps(options)]
        environ = {fake_scorer.LOG: str(log), fake_scorer.STOP_AFTER: str(stop_after)}
        process = samples.start(program, **environ)
        samples.wait_for(Path(f"{log}.reached"), process)
        return process

    return begin


@pytest.mark.parametrize("cluster", ["serial", "local"])
def test_killed_and_started_again_gives_the_same_rows(scoring, cluster, lot, model, out, log, serial_rows):
    process = scoring(cluster, 300)
    seen = status(out)
    assert (seen.state, seen.process, seen.shards) == (State.SCORING, process.pid, 6)
    process.kill()
    process.communicate()
    committed = samples.parts(out)
    seen = status(out)
    assert (seen.state, seen.parts) == (State.STOPPED, len(committed))
    assert 1 <= len(committed) <= 3
    assert not (Path(out) / "_summary.json").exists()
    log.write_text("")
    again = run(lot, model, out)
    assert again.scored == 600 - 100 * len(committed)
    assert len(log.read_text().splitlines()) == 540 - 90 * len(committed)
    assert committed.items() < samples.parts(out).items()
    assert samples.rows(out).equals(serial_rows)
    assert verify(out) == []
    assert not [name for name in samples.names(out) if name.endswith(".tmp")]


@pytest.mark.parametrize("cluster", ["serial", "local"])
def test_an_interrupt_leaves_whole_parts(scoring, cluster, lot, model, out, serial_rows):
    process = scoring(cluster, 300)
    process.send_signal(signal.SIGINT)
    stderr = process.communicate(timeout=60)[1]
    assert process.returncode == 130
    assert "Traceback" not in stderr
    assert not [name for name in samples.names(out) if name.endswith(".tmp")]
    assert 1 <= len(samples.parts(out)) <= 3
    run(lot, model, out)
    assert samples.rows(out).equals(serial_rows)


# What is told


def test_every_event_of_a_job_is_told_in_order(lot, model, out):
    heard = Heard()
    result = run(lot, model, out, heard)
    kinds = [type(event) for event in heard.events if not isinstance(event, Rejected)]
    assert kinds == [Planned, Started, *[Committed] * 6, Scored, Done]
    assert [(event.first, event.rows) for event in heard.of(Committed)] == [
        (first, 100) for first in range(0, 600, 100)
    ]
    assert {event.part for event in heard.of(Committed)} == samples.parts(out).keys()
    reasons = {event.reason for event in heard.of(Rejected)}
    assert {
        reason: sum(event.images for event in heard.of(Rejected) if event.reason == reason)
        for reason in reasons
    } == {"empty": 15, "not_an_image": 15, "wrong_size": 15}
    assert sum(event.anomalies for event in heard.of(Committed)) == result.summary["anomaly"]
    assert heard.events[-1] == Done(0, complete=True)


def test_where_there_is_nothing_to_do_only_that_is_told(lot, model, out):
    run(lot, model, out)
    heard = Heard()
    run(lot, model, out, heard)
    assert heard.events == [Done(0, complete=True)]


def test_the_log_has_every_event_of_every_start(lot, model, out, tmp_path):
    log = tmp_path / "events.jsonl"
    heard = Heard()
    assert run(lot, model, out, heard, log_json=str(log)).log_error is None
    run(lot, model, out, heard, log_json=str(log))
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert [{"event": events.name(event), **events.told(event)} for event in heard.events] == [
        {key: value for key, value in line.items() if key != "time"} for line in lines
    ]
    assert [line["time"] for line in lines] == sorted(line["time"] for line in lines)


@pytest.mark.parametrize("where", ["out", "source", "link", "model"])
def test_a_log_in_what_the_job_uses_is_refused(model, out, tmp_path, where):
    source = tmp_path / "photographs"
    source.mkdir()
    samples.write_folder(source, samples.images(3))
    (tmp_path / "link").symlink_to(source)
    log = {"out": f"{out}/log", "source": f"{source}/log", "link": f"{tmp_path}/link/log", "model": model}
    with pytest.raises(Refusal, match=f"--log-json {log[where]}: is or lies in "):
        run(str(source), model, out, log_json=log[where])
    assert not Path(out).exists()
    assert not (source / "log").exists()


# What goes wrong


def test_a_write_that_fails_leaves_nothing_and_is_told(lot, model, out, monkeypatch):
    write = files.os.fsync

    def failing(descriptor):
        if "-0000000200.parquet" in str(Path(f"/proc/self/fd/{descriptor}").readlink()):
            raise OSError(5, "Input/output error")
        return write(descriptor)

    monkeypatch.setattr(files.os, "fsync", failing)
    monkeypatch.setattr(backlog, "DELAYS", (0.01, 0.01))
    result = run(lot, model, out, task_images=100)
    assert result.exit_code is ExitCode.SHARDS_FAILED
    assert [failure["first"] for failure in result.summary["failures"]] == [200]
    assert "Input/output error" in result.summary["failures"][0]["error"]
    assert len(samples.parts(out)) == 5
    assert not [name for name in samples.names(out) if name.endswith(".tmp")]


@pytest.mark.parametrize("part", [None, "1/1"])
def test_storage_that_is_down_goes_before_a_deadline_that_is_met(lot, model, out, part, monkeypatch):
    write, ticks = files.os.fsync, itertools.count()

    def failing(descriptor):
        if "part-" in Path(f"/proc/self/fd/{descriptor}").readlink().name:
            raise OSError(5, "Input/output error")
        return write(descriptor)

    monkeypatch.setattr(files.os, "fsync", failing)
    monkeypatch.setattr(breaker, "PATIENCE", 0.05)
    monkeypatch.setattr(breaker, "LONGEST_WAIT", 0.05)
    monkeypatch.setattr(backlog, "DELAYS", (0.1,))
    monkeypatch.setattr("jobs.score.Deadline", lambda seconds: Deadline(seconds, lambda: next(ticks)))
    result = run(lot, model, out, task_images=100, deadline="4s", part=part)
    assert result.exit_code is ExitCode.SHARDS_FAILED
    assert "storage is down" in result.summary["failures"][-1]["error"]


def test_a_shard_that_failed_with_others_is_tried_again_alone(lot, model, out, serial_rows, monkeypatch):
    score = fake_scorer.BrightnessScorer.score
    calls = itertools.count()

    def failing(self, images):
        if next(calls) == 2:
            raise ValueError("not this time")
        return score(self, images)

    monkeypatch.setattr(fake_scorer.BrightnessScorer, "score", failing)
    heard = Heard()
    result = run(lot, model, out, heard)
    assert (result.exit_code, result.summary["retries"]) == (ExitCode.DONE, 2)
    assert [(event.first, event.attempt) for event in heard.of(Retried)] == [(0, 2), (100, 2)]
    assert samples.rows(out).equals(serial_rows)


def test_a_failing_shard_is_told_and_retried_by_the_same_command(lot, model, out, serial_rows, monkeypatch):
    score = fake_scorer.BrightnessScorer.score
    calls = itertools.count()

    def failing(self, images):
        if next(calls) == 4:
            raise ValueError("no such face")
        return score(self, images)

    monkeypatch.setattr(fake_scorer.BrightnessScorer, "score", failing)
    heard = Heard()
    result = run(lot, model, out, heard, task_images=100)
    assert result.exit_code is ExitCode.SHARDS_FAILED
    assert not result.summary["complete"]
    assert result.summary["failed_shards"] == len(result.summary["failures"]) == 1
    failure = result.summary["failures"][0]
    assert failure["archive"] == lot
    assert f"{lot} [{failure['first']}:{failure['stop']}] at member" in failure["error"]
    assert "ValueError: no such face" in failure["error"]
    assert [event.error for event in heard.of(Failed)] == [failure["error"]]
    assert any("are missing" in line for line in verify(out))
    monkeypatch.undo()
    again = run(lot, model, out)
    assert (again.exit_code, again.scored) == (ExitCode.DONE, 100)
    assert samples.rows(out).equals(serial_rows)
    assert verify(out) == []


def test_a_job_that_lacks_rows_of_a_source_not_named_again_does_not_end_well(lot, model, out, tmp_path):
    other = samples.write_tar(tmp_path / "other.tar", samples.images(150, seed=1))
    assert run([lot, other], model, out, deadline="0s").exit_code is ExitCode.DEADLINE
    for scored in (150, 0):
        partly = run(other, model, out)
        assert (partly.exit_code, partly.scored) == (ExitCode.SHARDS_FAILED, scored)
        assert partly.summary["complete"] is False
        assert partly.summary["missing"]["missing_shards"] == 6
    assert run(lot, model, out).exit_code is ExitCode.DONE
    assert run(other, model, out).exit_code is ExitCode.DONE
    assert verify(out) == []


def test_a_source_that_changes_under_the_job_fails_loudly(lot, model, out, tmp_path):
    source = tmp_path / "lot.tar"
    source.write_bytes(Path(lot).read_bytes())

    def touch(event):
        if isinstance(event, Started):
            os.utime(source, ns=(0, 0))

    result = run(str(source), model, out, touch)
    assert result.exit_code is ExitCode.SHARDS_FAILED
    assert result.summary["failed_shards"] == 6
    assert "changed since the job was planned" in result.summary["failures"][0]["error"]
    assert samples.parts(out) == {}


def test_too_many_rejects(lot, model, out):
    assert run(lot, model, out, max_rejects="7%").exit_code is ExitCode.TOO_MANY_REJECTS
    # 45 of 585 are 7.7 %; a limit decides no row, so the same job ends well under another.
    assert run(lot, model, out, max_rejects="8%").exit_code is ExitCode.DONE
    assert run(lot, model, out, max_rejects="44").exit_code is ExitCode.TOO_MANY_REJECTS


def test_unknown_parts(model, out, tmp_path, monkeypatch):
    score = fake_scorer.BrightnessScorer.score

    def lost(self, images):
        return {**score(self, images), "verdict": ["unknown_part"] * len(images)}

    monkeypatch.setattr(fake_scorer.BrightnessScorer, "score", lost)
    lot = samples.write_tar(tmp_path / "lot.tar", samples.images(20))
    assert run(lot, model, out).exit_code is ExitCode.UNKNOWN_PARTS


def no_model(tmp_path, **_):
    (tmp_path / "model.npz").write_bytes(b"no model")
    return {}, "model.npz: no model of this version"


def missing_model(tmp_path, **_):
    return {"model": str(tmp_path / "none.npz")}, "none.npz: No such file"


def missing_source(tmp_path, **_):
    return {"sources": str(tmp_path / "none.tar")}, "none.tar: no such file"


def empty_glob(tmp_path, **_):
    return {"sources": str(tmp_path / "none*.tar")}, "none*.tar: matches nothing"


def foreign_folder(tmp_path, out, **_):
    Path(out).mkdir()
    (tmp_path / "out" / "notes.txt").touch()
    return {}, "out: not empty and not a job folder"


def foreign_job_file(out, **_):
    Path(out).mkdir()
    (Path(out) / "_job.json").write_text("{}")
    return {}, "_job.json: not a job file"


def out_is_a_file(out, **_):
    Path(out).touch()
    return {}, "out: is a file"


def out_below_the_source(tmp_path, **_):
    return {"sources": str(tmp_path)}, "lies in the source"


def other_setting(lot, model, out, **_):
    run(lot, model, out)
    return {"shard_size": 50}, "shard_size was 100, is 50"


def other_model(lot, model, out, **_):
    run(lot, model, out)
    job = Path(out) / "_job.json"
    job.write_text(job.read_text().replace(digest(fake_scorer.MODEL), "0" * 32))
    return {}, f"model was {'0' * 32}, is {digest(fake_scorer.MODEL)}"


def changed_source(tmp_path, model, out, **_):
    source = samples.write_tar(tmp_path / "a.tar", samples.images(10))
    run(source, model, out)
    samples.write_tar(source, samples.images(10, seed=1))
    return {"sources": source}, "a.tar: changed since the rows"


def printed_as_another_source(model, out, tmp_path, **_):
    odd, other = (
        samples.write_tar(tmp_path / name, samples.images(10)) for name in ("\udcff.tar", r"\xff.tar")
    )
    run(odd, model, out)
    return {"sources": other}, r"/\xff.tar: so the names of two sources are printed"


def a_job_as_source(lot, model, tmp_path, **_):
    run(lot, model, str(tmp_path / "first"))
    return {"sources": str(tmp_path / "first")}, "first: a job folder is no source"


def broken_part(lot, model, out, **_):
    run(lot, model, out)
    part = Path(out) / min(samples.parts(out))
    part.write_bytes(part.read_bytes()[:100])
    (Path(out) / "_parts.parquet").unlink()
    return {}, f"{part.name}: not a whole part"


@pytest.mark.parametrize(
    "case",
    [
        no_model,
        missing_model,
        missing_source,
        empty_glob,
        foreign_folder,
        foreign_job_file,
        out_is_a_file,
        out_below_the_source,
        other_setting,
        other_model,
        changed_source,
        printed_as_another_source,
        a_job_as_source,
        broken_part,
    ],
)
def test_refuses_in_one_line_and_leaves_the_rows(case, lot, model, out, tmp_path):
    changes, told = case(lot=lot, model=model, out=out, tmp_path=tmp_path)
    before = samples.parts(out)
    with pytest.raises(Refusal) as refused:
        run(**({"sources": lot, "model": model, "out": out} | changes))
    assert told in str(refused.value)
    assert "\n" not in str(refused.value)
    assert samples.parts(out) == before


def test_refuses_a_folder_in_which_another_score_is_at_work(lot, model, out):
    Path(out).mkdir()
    with storage.held(out), pytest.raises(Refusal, match="another score is at work in it"):
        run(lot, model, out)
    assert samples.names(out) == []
    assert run(lot, model, out).exit_code is ExitCode.DONE


def test_a_damaged_summary_or_list_is_written_anew(lot, model, out):
    first = run(lot, model, out)
    for name in ("_summary.json", "_parts.parquet"):
        (Path(out) / name).write_text("nonsense")
        again = run(lot, model, out)
        assert (again.scored, again.summary["rows"]) == (0, first.summary["rows"])
        assert verify(out) == []


def test_a_part_that_was_cut_short_is_named(lot, model, out):
    run(lot, model, out)
    part = min(Path(out).glob("part-*"))
    part.write_bytes(part.read_bytes()[:500])
    with pytest.raises(Refusal, match=f"{part.name}: not a whole part"):
        run(lot, model, out)
