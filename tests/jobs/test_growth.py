"""A job that grows: sources that come every night, that change, that move, that are caught half-written."""

import json
import os
import shutil
import tarfile
import time
from pathlib import Path

import fake_scorer
import pytest
import samples

from jobs import storage
from jobs.config import ScoreSettings
from jobs.errors import ExitCode, Refusal
from jobs.evaluate import open_rows
from jobs.folder import read_summary
from jobs.score import score
from jobs.verify import verify

NIGHTS, ARCHIVES, IMAGES = 30, 4, 3


@pytest.fixture
def out(tmp_path):
    return str(tmp_path / "out")


def run(sources, model, out, **options):
    options = {"cluster": "serial", "shard_size": 10, "task_images": 20, "max_rejects": "100%"} | options
    settings = ScoreSettings(tuple(map(str, sources)), model, out, **options)
    return score(settings, evaluate=fake_scorer.evaluate, load=fake_scorer.load)


def contents(out):
    """Which images the rows that a reader counts are of, by archive."""
    found = {}
    for row in open_rows(out).to_table(columns=["archive", "content_hash"]).to_pylist():
        found.setdefault(Path(row["archive"]).name, []).append(row["content_hash"])
    return {archive: frozenset(hashes) for archive, hashes in found.items()}


# What changed


@pytest.fixture
def lots(tmp_path):
    """Two archives of five parts each."""
    return [samples.write_tar(tmp_path / f"{name}.tar", samples.images(50, seed=ord(name))) for name in "ab"]


def test_a_source_that_changed_is_replaced_alone(lots, model, out, log):
    run(lots, model, out)
    before, kept = samples.parts(out), contents(out)["a.tar"]
    samples.write_tar(lots[1], samples.images(33, seed=7))
    log.write_text("")
    with pytest.raises(Refusal, match=r"b\.tar: changed .*--replace-changed") as refused:
        run(lots, model, out)
    assert "a.tar" not in str(refused.value)
    assert samples.parts(out) == before
    result = run(lots, model, out, replace_changed=True)
    assert (result.exit_code, result.scored, result.summary["rows"]) == (ExitCode.DONE, 33, 83)
    assert len(log.read_text().splitlines()) == 33
    assert len(before.items() & samples.parts(out).items()) == 5
    assert contents(out)["a.tar"] == kept
    assert (len(contents(out)["b.tar"]), len(samples.parts(out))) == (33, 9)
    assert verify(out) == []
    assert run(lots, model, out).scored == 0


def test_replacing_finds_nothing_to_replace_in_what_was_only_touched(lots, model, out):
    run(lots, model, out)
    before = samples.parts(out)
    os.utime(lots[0], (0, 0))
    assert run(lots, model, out).scored == run(lots, model, out, replace_changed=True).scored == 0
    assert samples.parts(out) == before
    assert verify(out) == []


class Killed(BaseException):
    """The process ends here."""


def killing(monkeypatch, step):
    """End the process before its write or removal of that number, in the job folder; tell of each."""
    steps = []

    def counted(name):
        real = getattr(storage, name)

        def call(*args, **kwargs):
            steps.append(name)
            if len(steps) > step:
                raise Killed
            return real(*args, **kwargs)

        return call

    for name in ("writing", "remove"):
        monkeypatch.setattr(storage, name, counted(name))
    return steps


def test_killed_at_any_step_of_replacing_no_reader_sees_a_mix(lots, model, out, monkeypatch, tmp_path):
    run(lots, model, out)
    committed = tmp_path / "committed"
    shutil.copytree(out, committed)
    kept, old = contents(out)["a.tar"], contents(out)["b.tar"]
    samples.write_tar(lots[1], samples.images(33, seed=7))
    run(lots, model, out, replace_changed=True)
    new, ended = contents(out)["b.tar"], samples.rows(out)
    step, seen = 0, set()
    while True:
        shutil.rmtree(out)
        shutil.copytree(committed, out)
        with monkeypatch.context() as patch:
            killing(patch, step)
            try:
                run(lots, model, out, replace_changed=True)
                break
            except Killed:
                pass
        found = contents(out)
        assert found["a.tar"] == kept
        there = found.get("b.tar", frozenset())
        assert there == old or there <= new
        seen.add("old" if there == old else "none" if not there else "whole" if there == new else "part")
        # Once the plan has the new content, the command ends it without being told to replace again.
        assert run(lots, model, out, replace_changed=there == old).exit_code is ExitCode.DONE
        assert samples.rows(out).equals(ended)
        assert verify(out) == []
        step += 1
    assert seen == {"old", "none", "part", "whole"}


def test_what_is_put_back_while_it_is_replaced_has_its_rows_again(lots, model, out, monkeypatch, tmp_path):
    run(lots, model, out)
    rows = samples.rows(out)
    shutil.copyfile(lots[1], tmp_path / "before.tar")
    samples.write_tar(lots[1], samples.images(33, seed=7))
    with monkeypatch.context() as patch:
        killing(patch, 4)  # summary and plan, and two of five parts
        with pytest.raises(Killed):
            run(lots, model, out, replace_changed=True)
    assert 0 < len(samples.parts(out)) < 10
    shutil.copyfile(tmp_path / "before.tar", lots[1])
    result = run(lots, model, out)
    assert 0 < result.scored < 50
    assert samples.rows(out).equals(rows)
    assert verify(out) == []


# What is still written


def test_what_was_written_to_just_now_is_scored_by_a_later_run(lots, model, out):
    ago = time.time() - 3600
    os.utime(lots[0], (ago, ago))
    result = run(lots, model, out, settle="10m")
    assert (result.exit_code, result.scored, result.unsettled) == (ExitCode.DONE, 50, (lots[1],))
    assert result.summary["unsettled"] == read_summary(out)["unsettled"] == [lots[1]]
    os.utime(lots[1], (ago, ago))
    later = run(lots, model, out, settle="10m")
    assert (later.scored, later.summary["unsettled"]) == (50, [])
    assert verify(out) == []


def test_where_all_is_left_alone_nothing_is_wrong(lots, model, out):
    result = run(lots, model, out, settle="10m")
    assert (result.exit_code, result.scored, len(result.unsettled)) == (ExitCode.DONE, 0, 2)
    assert result.summary["rows"] == 0
    assert run(lots, model, out, settle="10m").unsettled == tuple(lots)
    assert read_summary(out)["unsettled"] == lots
    assert verify(out) == []
    assert run(lots, model, out).scored == 100
    os.utime(lots[0])
    assert run(lots, model, out, settle="10m").scored == 0
    assert read_summary(out)["unsettled"] == lots
    assert verify(out) == []


# Night after night


class Hall:
    """A hall of cameras: archives of every night under a mount, scored by one command."""

    def __init__(self, folder, model, out, log):
        self.folder, self.model, self.out, self.log = folder, model, out, log
        self.mount = folder / "mnt" / "hall"

    @property
    def images_scored(self):
        return len(self.log.read_text().splitlines())

    def bring(self, night):
        """Write the archives of a night, an hour ago."""
        for at in range(ARCHIVES):
            self.write(self.mount / f"{night:02d}" / f"{at}.tar", 1 + night * ARCHIVES + at)

    def write(self, path, seed, size=None):
        path.parent.mkdir(parents=True, exist_ok=True)
        samples.write_tar(path, samples.images(IMAGES, seed))
        ago = time.time() - 3600
        os.utime(path, (ago, ago))
        if size is not None:
            os.truncate(path, size)  # now

    def options(self, **options):
        return {"source_roots": (f"{self.mount}=hall",), **options}

    def score(self, out=None, **options):
        return run([self.mount / "*" / "*.tar"], self.model, out or self.out, **self.options(**options))

    def settles(self, night):
        """One archive is still written when its night is scored, and left alone."""
        late = self.mount / f"{night:02d}" / "1.tar"
        self.write(late, 1 + night * ARCHIVES + 1, size=1000)
        result = self.score(settle="10m")
        assert (result.unsettled, result.scored) == ((str(late),), (ARCHIVES - 1) * IMAGES)
        self.bring(night)
        assert self.score(settle="10m").scored == IMAGES

    def is_caught_half_written(self, night):
        """One is scored half-written; what it is in the end takes the place of that."""
        late = self.mount / f"{night:02d}" / "1.tar"
        with tarfile.open(late) as archive:
            third = archive.getmembers()[2].offset_data
        self.write(late, 1 + night * ARCHIVES + 1, size=third + 10)
        assert self.score().summary["broken_archives"] == [f"hall/{night:02d}/1.tar"]
        self.bring(night)
        with pytest.raises(Refusal, match=rf"hall/{night:02d}/1\.tar: changed"):
            self.score()
        assert self.score(replace_changed=True).scored == IMAGES

    def moves(self, _night):
        """All is copied to another disk, which keeps no times."""
        moved = self.folder / "mnt" / "other" / "hall"
        shutil.copytree(self.mount, moved, copy_function=shutil.copyfile)
        shutil.rmtree(self.mount)
        self.mount = moved
        assert self.score().scored == ARCHIVES * IMAGES

    def is_killed(self, _night):
        """The process ends with every second archive of the night scored, and one that has no part yet."""
        before = samples.parts(self.out)
        options = {"cluster": "serial", "shard_size": 10, "task_images": 20, "max_rejects": "100%"}
        options |= self.options(sources=[f"{self.mount}/*/*.tar"], model=self.model, out=self.out)
        stop = str(self.images_scored + ARCHIVES * IMAGES // 2)
        program = [str(Path(fake_scorer.__file__)), json.dumps(options)]
        environ = {fake_scorer.LOG: str(self.log), fake_scorer.STOP_AFTER: stop}
        with samples.running(program, **environ) as process:
            samples.wait_for(Path(f"{self.log}.reached"), process)
        committed = samples.parts(self.out)
        assert before.items() < committed.items()
        assert self.score().scored == (ARCHIVES - len(committed) + len(before)) * IMAGES
        assert committed.items() < samples.parts(self.out).items()


def test_thirty_nights_with_their_mishaps_are_one_run_over_all(model, out, log, tmp_path):
    hall = Hall(tmp_path, model, out, log)
    mishaps = {5: hall.settles, 9: hall.is_caught_half_written, 14: hall.moves, 20: hall.is_killed}
    for night in range(NIGHTS):
        hall.bring(night)
        if night in mishaps:
            mishaps[night](night)
        else:
            assert hall.score().scored == ARCHIVES * IMAGES
    # Scored besides: the two whole images of the half-written archive, and those whose part the kill cost.
    assert hall.images_scored == NIGHTS * ARCHIVES * IMAGES + 2 + IMAGES
    assert verify(out) == []
    once = str(tmp_path / "once")
    hall.score(out=once)
    assert samples.rows(out).num_rows == NIGHTS * ARCHIVES * IMAGES
    assert samples.rows(out).equals(samples.rows(once))
    assert samples.parts(out).keys() == samples.parts(once).keys()
