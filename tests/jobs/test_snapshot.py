import json
import os
from dataclasses import replace

import pytest
import samples

from jobs import storage
from jobs.events import Committed, Planned, Rejected, Scored, Started, WorkerLost
from jobs.snapshot import SNAPSHOT_SECONDS, Snapshot, Snapshots

PART = Committed("part", "/a.tar", 0, 100, 3, 1)


class Clock:
    now = 50.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def snapshots(tmp_path, clock):
    return Snapshots(str(tmp_path), clock, wall=lambda: 1e9 + clock.now)


def test_it_tells_how_far_the_job_is(tmp_path, snapshots, clock):
    for event in (Planned(9, 900, 2, 200), Started(), WorkerLost("tcp://a")):
        snapshots(event)
    clock.now += 4
    snapshots(Rejected("part", "/a.tar", "empty", 1))
    clock.now += 4
    snapshots(PART)
    taken = Snapshot.read(str(tmp_path))
    assert (taken.phase, taken.process) == ("started", os.getpid())
    assert (taken.shards, taken.rows, taken.scored) == (9, 900, 300)
    assert (taken.rejected, taken.anomalies, taken.workers_lost) == (1, 3, 1)
    assert taken.images_per_second == 12.5
    assert taken.written == 1e9 + clock.now


def test_it_is_written_every_few_seconds_at_most(snapshots, clock, monkeypatch):
    written = []
    monkeypatch.setattr(storage, "write", lambda url, data: written.append(clock.now))
    snapshots(Planned(1000, None))
    snapshots(Started())
    for _ in range(1000):
        clock.now += 0.01
        snapshots(PART)
    assert 2 <= len(written) - 2 <= 10 / SNAPSHOT_SECONDS
    snapshots(Scored(10.0))
    assert written[-1] == clock.now


def test_one_that_cannot_be_written_harms_nobody(tmp_path, snapshots, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(storage, "write", full)
        snapshots(Planned(9, 900))
    assert samples.names(tmp_path) == []
    snapshots(Started())
    assert Snapshot.read(str(tmp_path)).shards == 9


@pytest.mark.parametrize("content", ["", "nonsense", "[]", "null", json.dumps({"shards": 3}), "[" * 100_000])
def test_what_is_no_snapshot_is_none(tmp_path, content):
    (tmp_path / "_progress.json").write_text(content)
    assert Snapshot.read(str(tmp_path)) is None


def test_where_there_is_none_there_is_none(tmp_path):
    assert Snapshot.read(str(tmp_path)) is None


def test_a_snapshot_knows_whether_its_process_runs(tmp_path):
    Snapshots(str(tmp_path))(Started())
    taken = Snapshot.read(str(tmp_path))
    assert taken.is_running
    assert not replace(taken, process=4194305).is_running  # no Linux gives a process so high a number
    assert not replace(taken, host="elsewhere").is_running
