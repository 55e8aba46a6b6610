import json
import os

import pytest

from jobs import eventlog, storage
from jobs.errors import Refusal
from jobs.events import Done, Failed, WorkerLost

LOST = WorkerLost("tcp://a")


def read(path):
    return [json.loads(line) for line in path.read_bytes().split(b"\n")[:-1]]


def test_every_event_is_a_line_as_soon_as_it_is_told(tmp_path):
    path = tmp_path / "log"
    with eventlog.opened(str(path), ()) as log:
        log(LOST)
        (line,) = read(path)
        assert {"event": "worker_lost", "worker": "tcp://a"}.items() < line.items()
        assert line["time"].endswith("Z")
        log(Done(0, complete=True))
        assert [line["event"] for line in read(path)] == ["worker_lost", "done"]


def test_what_earlier_starts_wrote_stays(tmp_path):
    path = tmp_path / "log"
    for _ in range(3):
        with eventlog.opened(str(path), ()) as log:
            log(LOST)
    assert len(read(path)) == 3


def test_a_line_that_was_torn_spoils_none_that_follow(tmp_path):
    path = tmp_path / "log"
    path.write_text('{"time": "2026-')
    with eventlog.opened(str(path), ()) as log:
        log(LOST)
    torn, whole = path.read_text().splitlines()
    assert torn == '{"time": "2026-'
    assert json.loads(whole)["event"] == "worker_lost"


def test_names_that_are_not_utf8_and_line_breaks_stay_within_their_line(tmp_path):
    path = tmp_path / "log"
    with eventlog.opened(str(path), ()) as log:
        log(Failed(os.fsdecode(b"/caf\xe9\n\xc3\xa9.tar"), 0, 5, "gone"))
    (line,) = read(path)
    assert line["archive"] == "/caf\\xe9\né.tar"


def test_without_a_file_nothing_is_written(tmp_path):
    with eventlog.opened(None, (str(tmp_path),)) as log:
        log(LOST)
    assert log.error is None


def test_a_disk_that_is_full_ends_the_log_alone():
    with eventlog.opened("/dev/full", ()) as log:
        log(LOST)
        log(LOST)
    assert "No space left on device" in log.error


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("job/log", "is or lies in .*job"),
        ("job", "is or lies in .*job"),
        ("link/log", "is or lies in .*job"),
        ("a.tar", "is or lies in .*a.tar"),
        ("hard/../a.tar", "is or lies in .*a.tar"),
        ("notes.txt", "exists and is no log"),
        ("none/log", "No such file or directory: name a file"),
        ("folder", "Is a directory: name a file"),
        ("ftp://host/log", "name a local path"),
    ],
)
def test_refuses_in_one_line_and_writes_nothing(tmp_path, monkeypatch, name, told):
    monkeypatch.chdir(tmp_path)
    for folder in ("job", "folder"):
        (tmp_path / folder).mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "job")
    (tmp_path / "a.tar").write_text("an archive")
    (tmp_path / "notes.txt").write_text("mine")
    before = storage.list_entries(str(tmp_path))
    apart = [str(tmp_path / "job"), str(tmp_path / "a.tar")]
    with pytest.raises(Refusal, match=told) as refused, eventlog.opened(name, apart):
        pass
    assert "\n" not in str(refused.value)
    assert storage.list_entries(str(tmp_path)) == before


def test_a_folder_whose_name_begins_alike_is_another(tmp_path):
    (tmp_path / "job2").mkdir()
    with eventlog.opened(str(tmp_path / "job2" / "log"), [str(tmp_path / "job")]) as log:
        log(LOST)
    assert (tmp_path / "job2" / "log").exists()
