import os
import shutil
import time
from pathlib import Path

import pytest
import samples

from jobs import folder, plan, planlist, storage
from jobs.config import ScoreSettings
from jobs.errors import Refusal
from jobs.folder import Start
from jobs.plan import Kind
from jobs.reader import Limits
from jobs.roots import Roots
from jobs.sources import survey

DECIDES = folder.deciding(folder.parquet.digest(b"model"), 10, Limits())


@pytest.fixture
def lots(tmp_path):
    """A folder of a tar, a compressed one, a zip and a folder of images."""
    (tmp_path / "in").mkdir()
    samples.write_tar(tmp_path / "in" / "a.tar", samples.images(30))
    samples.write_targz(tmp_path / "in" / "b.tgz", samples.images(30, seed=1))
    samples.write_zip(tmp_path / "in" / "c.zip", samples.images(30, seed=2))
    samples.write_folder(tmp_path / "in" / "d", samples.images(30, seed=3))
    return tmp_path / "in"


def settings(tmp_path, *sources, **options):
    return ScoreSettings(tuple(map(str, sources)), "model", str(tmp_path / "out"), shard_size=10, **options)


def surveyed(asked, now=None):
    return survey(asked, DECIDES, time.time() if now is None else now)


def begin(asked, found):
    folder.begin(asked.out, Start.NEW, DECIDES, asked.sources, b"model", found.records, found.roots)


def test_what_was_planned_is_planned_again_without_being_opened(tmp_path, lots, monkeypatch):
    asked = settings(tmp_path, lots / "*")
    first = surveyed(asked)
    begin(asked, first)
    opened = []
    open_read = storage.open_read
    monkeypatch.setattr(storage, "open_read", lambda url: opened.append(Path(url).name) or open_read(url))
    assert surveyed(asked) == first
    assert opened == ["_plan.parquet"]
    os.utime(lots / "a.tar", (0, 0))
    again = surveyed(asked)
    assert [record.identity for record in again.records] == [record.identity for record in first.records]
    assert opened[1:] == ["_plan.parquet", "a.tar"]


@pytest.mark.parametrize("damage", [lambda path: path.unlink(), lambda path: path.write_text("nonsense")])
def test_a_plan_that_is_lost_costs_a_look_at_the_sources(tmp_path, lots, damage):
    asked = settings(tmp_path, lots / "*")
    first = surveyed(asked)
    begin(asked, first)
    damage(tmp_path / "out" / planlist.PLAN)
    assert surveyed(asked) == first


def test_the_same_archives_under_another_mount_are_the_same(tmp_path, lots):
    asked = settings(tmp_path, lots / "*", source_roots=(f"{lots}=line3",))
    first = surveyed(asked)
    begin(asked, first)
    assert [record.archive for record in first.records] == [f"line3/{name}" for name in samples.names(lots)]
    moved = shutil.copytree(lots, tmp_path / "mnt" / "b")
    again = surveyed(settings(tmp_path, moved / "*", source_roots=(f"{moved}=line3",)))
    shards, others = list(plan.shards(first.records)), list(plan.shards(again.records))
    assert [shard.part for shard in others] == [shard.part for shard in shards]
    assert {Path(shard.path).parent for shard in others} == {moved}
    # What the job remembers need not be given again.
    assert surveyed(settings(tmp_path, lots / "*")).records == first.records
    begin_again = surveyed(settings(tmp_path, moved / "*", source_roots=(f"{moved}=line3",)))
    folder.begin(asked.out, Start.RESUME, DECIDES, asked.sources, b"model", again.records, begin_again.roots)
    job = folder.read_job(asked.out)
    assert job["roots"] == {str(lots): "line3", str(moved): "line3"}
    assert job["sources"] == ["line3/*"]
    assert str(moved / "a.tar") in Roots(job["roots"]).paths("line3/a.tar")


def test_what_was_written_to_just_now_is_left_alone_and_not_opened(tmp_path, lots):
    (lots / "e.tar").write_bytes(b"the first bytes of an archive")
    now = time.time() + 1000
    os.utime(lots / "e.tar", (now - 100, now - 100))
    found = surveyed(settings(tmp_path, lots / "*", settle="10m"), now)
    assert found.unsettled == (str(lots / "e.tar"),)
    assert [Path(record.path).name for record in found.records] == ["a.tar", "b.tgz", "c.zip", "d"]
    caught = surveyed(settings(tmp_path, lots / "*"), now)
    assert [record.kind for record in caught.records if record.path.endswith("e.tar")] == [Kind.BROKEN]


def test_refuses_two_archives_of_one_name(tmp_path, lots):
    other = shutil.copytree(lots, tmp_path / "other")
    asked = settings(
        tmp_path, lots / "a.tar", other / "a.tar", source_roots=(f"{lots}=line3", f"{other}=line3")
    )
    with pytest.raises(Refusal, match=r"other/a\.tar: would have the name of .*in/a\.tar, line3/a\.tar"):
        surveyed(asked)


def test_refuses_a_root_without_a_source(tmp_path, lots):
    with pytest.raises(Refusal, match="--source-root /mnt/slip: no source lies there"):
        surveyed(settings(tmp_path, lots / "*", source_roots=("/mnt/slip=line3",)))


def test_refuses_to_name_anew_what_has_rows(tmp_path, lots):
    asked = settings(tmp_path, lots / "a.tar")
    named = settings(tmp_path, lots / "a.tar", source_roots=(f"{lots}=line3",))
    committed = [shard.part for shard in plan.shards(surveyed(asked).records)]
    job = {"kind": "dice-inspect job", "decides": DECIDES, "sources": []}
    with pytest.raises(
        Refusal, match=r"a\.tar: has rows in out under that name, so it cannot be line3/a\.tar"
    ):
        folder.decide("out", committed, job, DECIDES, surveyed(named).records, overwrite=False)
