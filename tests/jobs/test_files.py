import errno
import os
from pathlib import Path

import pytest
import samples

from jobs import files, storage


@pytest.fixture
def folder(tmp_path):
    for name in ("b.tar", "a.tar", "c.zip", ".hidden.tar", "odd[1].tar"):
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "below").mkdir()
    return tmp_path


def test_a_stamp_changes_with_size_and_time(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"one")
    os.utime(path, ns=(0, 1_000_000_007))
    first = storage.stamp(str(path))
    assert first == "3-1000000007"
    os.utime(path, ns=(0, 1_000_000_008))
    second = storage.stamp(str(path))
    path.write_bytes(b"three")
    os.utime(path, ns=(0, 1_000_000_008))
    assert len({first, second, storage.stamp(str(path))}) == 3


def test_lists_names_and_sizes_of_visible_files(folder):
    assert storage.list_names(str(folder)) == ["a.tar", "b.tar", "below", "c.zip", "odd[1].tar"]
    assert storage.list_sizes(str(folder)) == dict.fromkeys(["a.tar", "b.tar", "c.zip", "odd[1].tar"], 1)
    assert storage.list_names(str(folder / "none")) == []


def test_a_write_appears_whole(tmp_path):
    url = str(tmp_path / "file")
    with storage.writing(url) as file:
        file.write(b"half")
        assert storage.list_names(str(tmp_path)) == []
        file.write(b" and half")
    assert storage.read(url) == b"half and half"
    assert samples.names(tmp_path) == ["file"]


def test_a_write_that_fails_leaves_what_was_there(tmp_path):
    url = str(tmp_path / "file")
    storage.write(url, b"before")
    writing = storage.writing(url)
    writing.__enter__().write(b"half")
    with pytest.raises(OSError, match="full"):
        writing.gen.throw(OSError("disk full"))
    assert storage.read(url) == b"before"
    assert samples.names(tmp_path) == ["file"]


@pytest.mark.parametrize("links", [True, False], ids=["hard links", "no hard links"])
def test_a_write_that_replaces_nothing_appears_where_there_is_nothing(tmp_path, monkeypatch, links):
    def refused(*_):
        raise PermissionError(errno.EPERM, "Operation not permitted")

    if not links:
        monkeypatch.setattr(Path, "hardlink_to", refused)
    with storage.writing(str(tmp_path / "file"), replace=False) as file:
        file.write(b"whole")
        assert storage.list_names(str(tmp_path)) == []
    assert samples.names(tmp_path) == ["file"]
    assert (tmp_path / "file").read_bytes() == b"whole"


def test_a_write_that_replaces_nothing_leaves_what_appeared_meanwhile(tmp_path):
    url = str(tmp_path / "file")
    with pytest.raises(FileExistsError), storage.writing(url, replace=False) as file:  # noqa: PT012
        file.write(b"second")
        storage.write(url, b"first")
    assert samples.names(tmp_path) == ["file"]
    assert storage.read(url) == b"first"


def test_a_disk_that_is_full_at_the_last_step_is_no_lack_of_links(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "hardlink_to", full)
    with pytest.raises(OSError, match="No space"), storage.writing(str(tmp_path / "f"), replace=False):
        pass
    assert samples.names(tmp_path) == []


def test_unfinished_writes_are_told_by_the_name_they_were_to_have(tmp_path):
    writing = storage.writing(str(tmp_path / "part-1.parquet"))
    writing.__enter__()
    (left,) = storage.list_unfinished(str(tmp_path))
    assert left[1] == "part-1.parquet"
    assert left[0] in samples.names(tmp_path)
    writing.gen.close()
    assert samples.names(tmp_path) == []


def test_a_folder_lists_every_file_once(tmp_path):
    (tmp_path / "b" / "c").mkdir(parents=True)
    (tmp_path / "b-first").write_bytes(b"12")
    (tmp_path / "b" / "c" / "deep").write_bytes(b"1")
    (tmp_path / "b" / "x").write_bytes(b"123")
    (tmp_path / "link").symlink_to(tmp_path / "b" / "x")
    (tmp_path / "linked_folder").symlink_to(tmp_path / "b")
    (tmp_path / "nowhere").symlink_to(tmp_path / "gone")
    os.mkfifo(tmp_path / "pipe")
    listed = storage.list_entries(str(tmp_path))
    # In the order of the whole names, as a sorted tar has them: "-" comes before "/".
    assert [(entry.name, entry.regular) for entry in listed] == [
        ("b-first", True),
        ("b/c/deep", True),
        ("b/x", True),
        ("link", True),
        ("linked_folder", False),
        ("nowhere", False),
        ("pipe", False),
    ]
    assert [entry.size for entry in listed[:4]] == [2, 1, 3, 3]
    assert all(storage.entry(str(tmp_path), entry.name) == entry for entry in listed)
    files_alone = [entry for entry in listed if entry.regular]
    assert list(map(len, storage.read_entries(str(tmp_path), files_alone))) == [2, 1, 3, 3]


def test_a_place_is_found_by_whatever_links(tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "folder")
    inner, link = str(tmp_path / "folder" / "new"), str(tmp_path / "link")
    assert storage.lies_in(inner, ["/none", link]) == link
    assert storage.lies_in(link, [str(tmp_path / "folder")])
    assert storage.lies_in("/anything", ["/"]) == "/"
    assert storage.lies_in(str(tmp_path / "folder2"), [link]) is None


def test_the_newest_of_some_files_tells_when(folder):
    for seconds, name in enumerate(("a.tar", "b.tar", "c.zip")):
        os.utime(folder / name, (seconds, seconds))
    assert storage.last_changed(str(folder), ["a.tar", "b.tar", "gone"]) == 1
    assert storage.last_changed(str(folder), []) is None


def test_a_folder_that_is_held_is_seen_to_be(tmp_path):
    assert not storage.is_held(str(tmp_path))
    with storage.held(str(tmp_path)):
        assert storage.is_held(str(tmp_path))
        with pytest.raises(BlockingIOError), storage.held(str(tmp_path)):
            pass
    assert not storage.is_held(str(tmp_path))


def test_a_folder_that_is_shared_is_held_by_nobody_alone(tmp_path):
    folder = str(tmp_path)
    with (
        storage.held(folder, shared=True),
        storage.held(folder, shared=True),
        pytest.raises(BlockingIOError),
        storage.held(folder),
    ):
        pass
    with storage.held(str(tmp_path)):
        pass


def test_who_only_looks_keeps_nobody_from_holding(tmp_path, monkeypatch):
    descriptor = os.open(tmp_path, os.O_RDONLY)
    files.fcntl.flock(descriptor, files.fcntl.LOCK_SH)  # as is_held does, for a moment
    monkeypatch.setattr(files.time, "sleep", lambda _: os.close(descriptor))
    with storage.held(str(tmp_path)):
        assert storage.is_held(str(tmp_path))


def test_a_temporary_file_is_being_written_while_its_process_runs():
    assert storage.is_being_written(f"._parts.parquet.{os.getpid()}-0123456789ab.tmp")
    # No Linux gives a process so high a number.
    assert not storage.is_being_written("._parts.parquet.4194305-0123456789ab.tmp")
    assert not storage.is_being_written(".notes.tmp")
