import gzip
import json
import re

import fake_scorer
import pytest
import samples

from jobs import folder
from jobs.config import ScoreSettings
from jobs.errors import Refusal
from jobs.originals import Gone, Originals
from jobs.parquet import digest
from jobs.score import score


@pytest.fixture
def scored(tmp_path, model):
    """Score a source into ``out``; the rows with a hash."""

    def run(*sources):
        settings = ScoreSettings(
            tuple(map(str, sources)), model, str(tmp_path / "out"), "serial", shard_size=7
        )
        score(settings, evaluate=fake_scorer.evaluate, load=fake_scorer.load)
        return [row for row in samples.rows(tmp_path / "out").to_pylist() if row["content_hash"]]

    return run


def write_source(kind, folder):
    listed = samples.images(20)
    if kind == "zip":
        return samples.write_zip(folder / "lot.zip", listed)
    if kind == "folder":
        return samples.write_folder(folder / "lot", listed)
    tar = samples.write_tar(folder / "lot.tar", listed)
    if kind == "tar":
        return tar
    packed = folder / "lot.tar.gz"
    packed.write_bytes(gzip.compress((folder / "lot.tar").read_bytes()))
    return packed


@pytest.mark.parametrize("kind", ["tar", "targz", "zip", "folder"])
def test_every_image_is_found_wherever_it_is_asked_for(scored, tmp_path, kind):
    rows = scored(write_source(kind, tmp_path))
    assert len(rows) == 20
    asked = [rows[at] for at in (13, 2, 19, 2, 0)]
    found = Originals(str(tmp_path / "out")).read(asked)
    assert [digest(content) for content in found] == [row["content_hash"] for row in asked]


def test_what_is_gone_or_another_now_says_so(scored, tmp_path):
    rows = scored(samples.write_tar(tmp_path / "lot.tar", samples.images(4)))
    originals = Originals(str(tmp_path / "out"))
    samples.write_tar(tmp_path / "lot.tar", samples.images(4, seed=1))
    assert {content.why for content in originals.read(rows)} == {
        f"{tmp_path}/lot.tar: its bytes are no longer those that were scored"
    }
    (tmp_path / "lot.tar").unlink()
    assert originals.read(rows) == [Gone(f"{tmp_path}/lot.tar: No such file or directory")] * 4


def test_an_archive_that_is_cut_short_has_its_first_images(scored, tmp_path):
    rows = scored(write_source("targz", tmp_path))
    packed = tmp_path / "lot.tar.gz"
    packed.write_bytes(packed.read_bytes()[: packed.stat().st_size // 2])
    found = Originals(str(tmp_path / "out")).read(rows)
    there = [isinstance(content, bytes) for content in found]
    assert there == sorted(there, reverse=True)
    assert 0 < sum(there) < 20


def test_archives_are_sought_below_the_roots_that_are_given(scored, tmp_path):
    rows = scored(samples.write_tar(tmp_path / "lot.tar", samples.images(4)))
    (tmp_path / "away").mkdir()
    (tmp_path / "lot.tar").rename(tmp_path / "away" / "lot.tar")
    found = Originals(str(tmp_path / "out"), [f"{tmp_path}/away={tmp_path}"]).read(rows)
    assert all(isinstance(content, bytes) for content in found)


def test_without_a_plan_nothing_is_found(scored, tmp_path):
    rows = scored(samples.write_tar(tmp_path / "lot.tar", samples.images(2)))
    (tmp_path / "out" / folder.PLAN).unlink()
    found = Originals(str(tmp_path / "out")).read(rows)
    assert {content.why for content in found} == {
        f"{tmp_path}/lot.tar: the plan of the job does not tell of it"
    }


def test_what_is_no_job_is_refused(tmp_path):
    with pytest.raises(Refusal, match=re.escape(f"{tmp_path}: not a job folder")):
        Originals(str(tmp_path))
    (tmp_path / folder.JOB).write_text(json.dumps([]))
    with pytest.raises(Refusal, match="not a job file"):
        Originals(str(tmp_path))
