import json
import os
import time
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

import fake_scorer
import pytest
import samples

from jobs import storage
from jobs.compact import compact
from jobs.config import ScoreSettings
from jobs.errors import Refusal
from jobs.events import Committed, Started
from jobs.score import score
from jobs.snapshot import Snapshot
from jobs.status import State, status
from jobs.verify import verify


@pytest.fixture
def out(tmp_path):
    return str(tmp_path / "out")


@pytest.fixture
def run(tar, model, out):
    """Score forty members in four shards."""

    def run(listener=lambda event: None, **options):
        options = {"cluster": "serial", "shard_size": 10, "task_images": 10, "max_rejects": "100%"} | options
        settings = ScoreSettings((tar,), model, out, **options)
        return score(settings, evaluate=fake_scorer.evaluate, listener=listener, load=fake_scorer.load)

    return run


@contextmanager
def uncounted(_rows):
    yield lambda rows: None


def test_a_compacted_job_tells_its_files(run, out, tmp_path):
    run()
    compact(out, str(tmp_path / "new"), uncounted)
    told = status(str(tmp_path / "new"))
    assert (told.state, told.parts, told.shards, told.compacted) == (State.COMPLETE, 1, None, 4)
    assert told.last_commit is not None


class KilledError(Exception):
    """Stands for an end that nothing is written after."""


def kill_after(parts):
    """A listener that ends the job after so many parts."""
    left = iter(range(parts))

    def listener(event):
        if isinstance(event, Committed) and next(left) == parts - 1:
            raise KilledError

    return listener


def test_a_job_that_has_ended_is_complete(run, out):
    summary = run().summary
    told = status(out)
    assert (told.state, told.complete, told.at_work) == (State.COMPLETE, True, False)
    assert (told.parts, told.shards, told.share) == (4, 4, 1.0)
    assert (told.rows, told.rejected, told.failed_shards) == (40, summary["rejected"], 0)
    assert told.anomalies == summary["anomaly"] + summary["unknown_part"]
    assert (told.workers_lost, told.retries) == (0, 0)
    assert told.images_per_second == summary["images_per_second"]
    assert 0 <= told.seconds_since_commit < 60
    assert "_progress.json" not in samples.names(out)


def test_while_it_runs_it_tells_how_far_it_is_and_who_is_at_work(run, out):
    heard = []

    def look(event):
        if isinstance(event, Started | Committed):
            heard.append(status(out))

    run(look)
    assert [told.state for told in heard] == [State.SCORING] * 5
    assert [told.parts for told in heard] == [0, 1, 2, 3, 4]
    assert [told.share for told in heard] == [0, 0.25, 0.5, 0.75, 1]
    assert {(told.rows_planned, told.process, told.at_work) for told in heard} == {(40, os.getpid(), True)}
    assert not any(told.complete for told in heard)


def test_a_job_that_was_killed_is_said_to_have_stopped_and_when(run, out):
    with pytest.raises(KilledError):
        run(kill_after(3))
    told = status(out, now=time.time() + 720)
    assert (told.state, told.at_work, told.complete, told.parts, told.share) == (
        *(State.STOPPED, False, False),
        *(3, 0.75),
    )
    assert told.seconds_since_commit == pytest.approx(720, abs=30)
    assert told.images_per_second is None
    run()
    assert status(out).state is State.COMPLETE
    assert verify(out) == []


def test_rows_of_parts_that_the_last_snapshot_had_not_heard_of_count(run, out):
    with pytest.raises(KilledError):
        run(kill_after(3))
    snapshot(out, scored=10)
    told = status(out)
    assert (told.state, told.parts, told.rows) == (State.STOPPED, 3, 30)
    assert (told.rejected, told.anomalies) == (None, None)
    snapshot(out, scored=30)
    told = status(out)
    assert (told.rows, told.rejected, told.anomalies) == (30, 4, 3)


def test_where_no_plan_tells_of_rows_a_snapshot_counts_if_it_is_newer_than_the_parts(run, out):
    with pytest.raises(KilledError):
        run(kill_after(3))
    (Path(out) / "_plan.parquet").unlink()
    snapshot(out)
    assert status(out).rows == 200
    snapshot(out, written=time.time() - 720)
    assert (status(out).rows, status(out).anomalies) == (None, None)


def test_one_that_goes_on_counts_what_was_committed_before(run, out):
    with pytest.raises(KilledError):
        run(kill_after(3))
    heard = []
    run(lambda event: heard.append(status(out)) if isinstance(event, Started) else None)
    (told,) = heard
    assert (told.parts, told.shards, told.rows, told.rows_planned) == (3, 4, 30, 40)


def test_failed_shards_leave_it_incomplete(run, out, monkeypatch):
    def failing(images):
        if not fake_scorer._warms(images):
            raise ValueError("a bug")

    monkeypatch.setattr(fake_scorer, "told", failing)
    run()
    told = status(out)
    assert (told.state, told.failed_shards, told.share, told.last_commit) == (State.INCOMPLETE, 4, 0, None)


def snapshot(out, **changes):
    (name, host) = (Path(out) / "_progress.json", os.uname().nodename)
    taken = Snapshot(host, 7, "started", 8, 800, 200, 4, 3, 0, 1, 2, 25.0, time.time())
    name.write_text(json.dumps({**asdict(taken), **changes}))


def test_the_speed_tells_what_is_left_until_nothing_was_committed_for_a_minute(run, out):
    with pytest.raises(KilledError):
        run(kill_after(2))
    snapshot(out)
    with storage.held(out):
        told = status(out)
        assert (told.images_per_second, told.seconds_left) == (25.0, 24.0)
        assert (told.parts, told.shards, told.share) == (2, 8, 0.25)
        assert (told.retries, told.workers_lost) == (1, 2)
        told = status(out, now=time.time() + 61)
        assert (told.images_per_second, told.seconds_left) == (0.0, None)


def test_of_another_machine_it_cannot_be_told_who_is_at_work(run, out):
    with pytest.raises(KilledError):
        run(kill_after(2))
    snapshot(out, host="another")
    told = status(out)
    assert (told.state, told.at_work, told.host) == (State.ELSEWHERE, False, "another")


def test_without_a_snapshot_it_tells_what_the_names_tell(run, out):
    with pytest.raises(KilledError):
        run(kill_after(2))
    (Path(out) / "_progress.json").unlink()
    told = status(out)
    assert (told.state, told.parts) == (State.STOPPED, 2)
    assert (told.shards, told.share, told.rows) == (None, None, None)


def test_it_opens_no_part_and_writes_nothing(run, out, monkeypatch):
    run()
    for part in Path(out).glob("part-*"):
        part.write_bytes(b"nothing")
    (Path(out) / "_parts.parquet").write_bytes(b"nothing")
    before = samples.written(out)
    assert status(out).parts == 4
    opened = []
    read = storage.read
    monkeypatch.setattr(storage, "read", lambda url: opened.append(Path(url).name) or read(url))
    monkeypatch.setattr(storage, "open_read", None)
    status(out)
    assert opened == ["_job.json", "_summary.json"]
    assert samples.written(out) == before


def test_it_is_plain_json(run, out):
    run()
    told = json.loads(json.dumps(status(out).told(), allow_nan=False))
    assert told["state"] == "complete"
    assert told["last_commit"].endswith("Z")


def test_refuses_what_is_no_job_folder(tmp_path, out, run):
    with pytest.raises(Refusal, match="not a job folder"):
        status(str(tmp_path))
    run()
    (Path(out) / "_summary.json").write_text("nonsense")
    with pytest.raises(Refusal, match=r"_summary.json: not a summary"):
        status(out)
