"""Objects of a real S3 server are listed, read and written as files are."""

import io
import threading
import time

import pytest

from jobs import objects, ranges, storage
from jobs.errors import SourceChangedError


@pytest.fixture
def folder(bucket):
    for name in ("b.tar", "a.tar", ".hidden.tar", "below/c.tar", "below/deep/d.tar"):
        storage.write(f"{bucket}/night/{name}", b"x" * len(name))
    return f"{bucket}/night"


def test_a_write_is_an_object_only_when_it_ended_well(bucket):
    url = f"{bucket}/file"
    with storage.writing(url) as file:
        file.write(b"half")
        assert not storage.exists(url)
        file.write(b" and half")
    assert storage.read(url) == b"half and half"
    with pytest.raises(OSError, match="full"), storage.writing(url) as file:  # noqa: PT012
        file.write(b"other")
        raise OSError("full")
    assert storage.read(url) == b"half and half"
    assert storage.list_names(bucket) == ["file"]


def test_a_write_that_replaces_nothing_leaves_what_is_there(bucket):
    url = f"{bucket}/file"
    with storage.writing(url, replace=False) as file:
        file.write(b"first")
    with pytest.raises(FileExistsError), storage.writing(url, replace=False) as file:
        file.write(b"second")
    assert storage.read(url) == b"first"
    storage.write(url, b"third")
    assert storage.read(url) == b"third"


def test_of_two_that_write_at_once_one_is_told_of_the_other(bucket):
    url, ended, start = f"{bucket}/file", [], threading.Barrier(4)

    def write(number):
        start.wait()
        try:
            with storage.writing(url, replace=False) as file:
                file.write(b"%d" % number)
        except FileExistsError:
            ended.append(None)
        else:
            ended.append(b"%d" % number)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (winner,) = set(ended) - {None}
    assert len(ended) == 4
    assert storage.read(url) == winner


def test_what_is_large_is_sent_in_pieces(bucket, monkeypatch):
    monkeypatch.setattr(objects, "_IN_MEMORY", 5 << 20)
    data = bytes(range(256)) * (48 << 10)
    storage.write(f"{bucket}/large", data)
    assert storage.read(f"{bucket}/large") == data
    with storage.writing(f"{bucket}/part", replace=False) as file:
        file.write(data)
    assert storage.list_sizes(bucket) == {"large": len(data), "part": len(data)}


def test_a_prefix_is_a_folder(folder):
    assert storage.is_folder(folder)
    assert storage.exists(folder)
    assert not storage.is_file(folder)
    assert storage.is_file(f"{folder}/a.tar")
    assert not storage.is_folder(f"{folder}/a.tar")
    assert not storage.exists(f"{folder}/none")
    assert not storage.exists(f"{folder[:-1]}")
    assert storage.takes_files(f"{folder}/none")


def test_a_folder_lists_what_is_directly_in_it_but_what_is_hidden(folder):
    assert storage.list_names(folder) == ["a.tar", "b.tar", "below"]
    assert storage.list_names(f"{folder}/none") == []
    assert storage.list_sizes(folder) == {"a.tar": 5, "b.tar": 5}
    now = time.time()
    assert abs(storage.last_changed(folder, ["a.tar", "gone"]) - now) < 60
    assert abs(storage.modified(f"{folder}/a.tar") - now) < 60
    assert storage.last_changed(folder, ["gone"]) is None
    assert list(storage.list_unfinished(folder)) == []


def test_all_objects_below_a_folder_are_listed_in_the_order_of_their_names(folder):
    names = [(entry.name, entry.size) for entry in storage.list_entries(folder)]
    assert storage.entry(folder, "below/c.tar") == storage.list_entries(folder)[3]
    assert names == [
        (".hidden.tar", 11),
        ("a.tar", 5),
        ("b.tar", 5),
        ("below/c.tar", 11),
        ("below/deep/d.tar", 16),
    ]


def test_listed_objects_are_read_in_order_and_none_that_changed_passes(folder, monkeypatch):
    monkeypatch.setattr(objects, "_READ_AHEAD", 20)
    entries = storage.list_entries(folder)
    sizes = [len(content) for content in storage.read_entries(folder, entries)]
    assert sizes == [entry.size for entry in entries]
    assert list(storage.read_entries(folder, [])) == []
    storage.write(f"{folder}/below/c.tar", b"another")
    reading = storage.read_entries(folder, entries[2:])
    for _ in entries[2:]:
        next(reading)
    with pytest.raises(SourceChangedError, match=r"below/c\.tar changed"):
        next(reading)


def test_what_is_gone_is_told_by_its_name(bucket):
    for read in (storage.read, storage.open_read, storage.stamp, storage.modified):
        with pytest.raises(FileNotFoundError) as gone:
            read(f"{bucket}/gone")
        assert gone.value.filename == f"{bucket}/gone"
    storage.remove(f"{bucket}/gone")


def test_a_removed_object_is_gone(folder):
    storage.remove(f"{folder}/a.tar")
    assert storage.list_names(folder) == ["b.tar", "below"]


def test_a_stamp_is_the_same_listed_and_asked_for_and_another_after_each_write(bucket):
    url = f"{bucket}/a.tar"
    storage.write(url, b"one")
    asked = storage.stamp(url)
    assert storage.expand([f"{bucket}/*.tar"]) == [url]
    assert storage.stamp(url) == asked
    assert storage.is_unchanged(url, asked)
    storage.write(url, b"two")
    assert not storage.is_unchanged(url, asked)


def test_any_part_is_read_in_few_requests(bucket, proxy, reach_s3, monkeypatch):
    monkeypatch.setattr(ranges, "BLOCK", 1 << 16)
    data = bytes(range(256)) * 1024
    storage.write(f"{bucket}/a.tar", data)
    reach_s3(proxy.urls["counted"])
    before = len(proxy.requests("counted"))
    with storage.open_read(f"{bucket}/a.tar", 140_000) as stream:
        stream.seek(1000)
        assert b"".join(stream.read(500) for _ in range(278)) == data[1000:140_000]
        assert stream.seek(-10, io.SEEK_END) == len(data) - 10
        assert stream.read() == data[-10:]
    told = [line.split()[:2] for line in proxy.requests("counted")[before:]]
    assert told == [["200", "HEAD"], *[["206", "GET"]] * 4]


def test_an_object_that_is_written_while_it_is_read_is_an_error(bucket, monkeypatch):
    monkeypatch.setattr(ranges, "BLOCK", 1 << 10)
    storage.write(f"{bucket}/a.tar", bytes(9000))
    with storage.open_read(f"{bucket}/a.tar") as stream:
        stream.read(10)
        storage.write(f"{bucket}/a.tar", bytes(8999))
        stream.seek(5000)
        with pytest.raises(OSError, match="changed while it was read"):
            stream.read(10)


def test_a_folder_in_a_store_is_held_by_nobody(bucket):
    with storage.held(bucket), storage.held(bucket):
        assert not storage.is_held(bucket)
    storage.make_folder(f"{bucket}/new")
    assert storage.list_names(bucket) == []
