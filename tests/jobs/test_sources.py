import os
import shutil
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest
import samples

from jobs import folder, plan, planlist, sources
from jobs.config import ScoreSettings
from jobs.errors import Refusal
from jobs.events import Streamed
from jobs.folder import Start
from jobs.plan import Kind
from jobs.reader import Limits
from jobs.resume import decide
from jobs.roots import Roots
from jobs.sources import streamed, survey
from jobs.surveying import EndedError, Surveying

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
    samples.note_opened(monkeypatch, opened)
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


def test_a_second_job_over_the_same_archives_plans_without_walking(tmp_path, lots, monkeypatch):
    monkeypatch.setenv("DICE_INSPECT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(sources, "WORTH_SECONDS", 0)
    first = surveyed(settings(tmp_path, lots / "*"))
    assert len(samples.names(tmp_path / "cache")) == 3
    walked, walk = [], plan.survey

    def noting(path, *more):
        walked.append(Path(path).name)
        return walk(path, *more)

    monkeypatch.setattr(plan, "survey", noting)
    assert surveyed(settings(tmp_path, lots / "*")) == first
    assert walked == ["d"]
    named = surveyed(settings(tmp_path, lots / "*", source_roots=(f"{lots}=line3",))).records
    assert [record.archive for record in named] == [f"line3/{name}" for name in samples.names(lots)]
    assert [record.identity for record in named] == [record.identity for record in first.records]
    walked.clear()
    samples.write_tar(lots / "a.tar", samples.images(20))
    os.utime(lots / "c.zip", (0, 0))
    again = surveyed(settings(tmp_path, lots / "*"))
    assert walked == ["a.tar", "c.zip", "d"]
    assert again.records[0].members == 20
    assert again.records[2] != first.records[2]
    assert replace(again.records[2], stamp="") == replace(first.records[2], stamp="")


def test_what_is_walked_in_no_time_is_not_kept(tmp_path, lots, monkeypatch):
    monkeypatch.setenv("DICE_INSPECT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(sources, "WORTH_SECONDS", 60)
    surveyed(settings(tmp_path, lots / "*"))
    assert not (tmp_path / "cache").exists()


def test_sources_that_are_waited_for_are_looked_at_at_once_and_told_in_order():
    together = threading.Barrier(4, timeout=20)
    urls = [f"s3://lots/{number}" for number in range(4)]
    assert sources._each(lambda url: (together.wait(), url)[1], urls) == urls


def test_planning_that_is_refused_ends_the_walks_of_its_threads():
    begun, ended = threading.Event(), threading.Event()

    def look(url):
        if url.endswith("bad"):
            begun.wait(20)
            raise Refusal("no archive")
        begun.set()
        try:
            while True:
                surveying.walked(1)
        except EndedError:
            ended.set()

    with pytest.raises(Refusal, match="no archive"), Surveying(2).following() as surveying:
        sources._each(look, ["s3://lots/bad", "s3://lots/endless"])
    assert ended.wait(20)


def test_a_large_compressed_tar_is_told_of_until_its_part_is_there(tmp_path, lots, monkeypatch):
    records = surveyed(settings(tmp_path, lots / "*")).records
    assert list(streamed(records, ())) == []
    monkeypatch.setattr(sources, "LARGE", 1000)
    size = (lots / "b.tgz").stat().st_size
    assert list(streamed(records, ())) == [Streamed(str(lots / "b.tgz"), size)]
    assert list(streamed(records, {shard.part for shard in plan.shards(records)})) == []


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


def test_refuses_two_archives_whose_parts_would_have_the_same_names(tmp_path, lots, monkeypatch):
    monkeypatch.setattr(sources, "archive_prefix", lambda name: f"part-{len(name)}-")
    other = shutil.copytree(lots, tmp_path / "to")
    with pytest.raises(Refusal, match=r"to/a\.tar: its parts would have the names of those of .*in/a\.tar"):
        surveyed(settings(tmp_path, lots / "a.tar", other / "a.tar"))


def test_refuses_two_archives_whose_names_are_printed_alike(tmp_path, lots):
    for name in ("\udcff.tar", r"\xff.tar"):
        shutil.copy(lots / "a.tar", tmp_path / name)
    with pytest.raises(Refusal, match=r"/\\xff\.tar: so the names of two sources are printed"):
        surveyed(settings(tmp_path, tmp_path / "*.tar"))


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
        decide("out", committed, job, DECIDES, surveyed(named).records, overwrite=False)
