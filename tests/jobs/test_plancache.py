import json
import os

import pytest
import samples

from dice_core.member import Cut
from jobs import plancache
from jobs.plan import ArchiveRecord, Kind
from jobs.plancache import PlanCache, cache_folder

RECORD = ArchiveRecord("/lots/a.tar", Kind.TAR, "ab" * 16, 30, (Cut(0, 0), Cut(20, 5120)), stamp="9-9")


@pytest.fixture
def kept(tmp_path):
    """A cache that holds one record, and its file."""
    cache = PlanCache(str(tmp_path / "cache"), shard_size=20)
    cache.put(RECORD)
    (path,) = (tmp_path / "cache").iterdir()
    return cache, path


def test_a_record_is_given_for_the_same_archive_stamp_and_shards_alone(kept):
    cache, path = kept
    assert cache.get(RECORD.path, "9-9") == RECORD
    assert cache.get(RECORD.path, "9-10") is None
    assert cache.get("/lots/b.tar", "9-9") is None
    assert PlanCache(str(path.parent), shard_size=21).get(RECORD.path, "9-9") is None


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: "",
        lambda text: text[:-9],
        lambda text: "[" * 100_000,
        lambda text: "[]",
        lambda text: "{}",
        lambda text: text.replace("5120", "5121"),
        lambda text: text.replace('"members": 30', '"members": "30"'),
        lambda text: json.dumps({**json.loads(text), "kind": "folder"}),
        lambda text: text.encode().replace(b"tar", b"t\xffr"),
    ],
)
def test_a_damaged_file_is_as_none(kept, damage):
    cache, path = kept
    damaged = damage(path.read_text())
    path.write_bytes(damaged if isinstance(damaged, bytes) else damaged.encode())
    assert cache.get(RECORD.path, "9-9") is None
    cache.put(RECORD)
    assert cache.get(RECORD.path, "9-9") == RECORD


def test_a_file_of_another_archive_under_its_name_is_as_none(kept):
    cache, path = kept
    other = ArchiveRecord("/lots/b.tar", Kind.TAR, "cd" * 16, 30, RECORD.cuts, stamp="9-9")
    cache.put(other)
    (foreign,) = {*path.parent.iterdir()} - {path}
    foreign.replace(path)
    assert cache.get(RECORD.path, "9-9") is None


def test_the_older_half_goes_where_the_cache_is_too_large(tmp_path, monkeypatch):
    cache = PlanCache(str(tmp_path), shard_size=20)
    (tmp_path / "of somebody else").touch()
    for age in range(8):
        cache.put(ArchiveRecord(f"/{age}", Kind.TAR, "ab" * 16, 0, (), stamp="1"))
        (newest,) = (path for path in tmp_path.glob("plan-*") if path.stat().st_mtime > 1000)
        os.utime(newest, (100 - age, 100 - age))
    cache.prune()
    assert len(samples.names(tmp_path)) == 9
    monkeypatch.setattr(plancache, "LARGEST", 8 * 4096)
    cache.prune()
    assert [age for age in range(8) if cache.get(f"/{age}", "1")] == [0, 1, 2, 3]
    assert (tmp_path / "of somebody else").exists()


def test_a_cache_that_cannot_be_written_is_no_concern_of_a_job(tmp_path):
    (tmp_path / "file").touch()
    cache = PlanCache(str(tmp_path / "file"), shard_size=20)
    cache.put(RECORD)
    cache.prune()
    assert cache.get(RECORD.path, "9-9") is None


def test_without_a_folder_nothing_is_kept():
    cache = PlanCache(None, shard_size=20)
    cache.put(RECORD)
    cache.prune()
    assert cache.get(RECORD.path, "9-9") is None


@pytest.mark.parametrize(
    ("environment", "platform", "expected"),
    [
        ({"DICE_INSPECT_CACHE": "/c", "HOME": "/h"}, "linux", "/c"),
        ({"DICE_INSPECT_CACHE": "", "HOME": "/h"}, "linux", None),
        ({"XDG_CACHE_HOME": "/x", "HOME": "/h"}, "linux", "/x/dice-inspect"),
        ({"HOME": "/h"}, "linux", "/h/.cache/dice-inspect"),
        ({"HOME": "/h"}, "darwin", "/h/Library/Caches/dice-inspect"),
        ({}, "linux", None),
    ],
)
def test_the_folder_is_the_one_asked_for_or_the_platforms(environment, platform, expected):
    assert cache_folder(environment, platform) == expected
