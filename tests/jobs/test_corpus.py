"""Every kind of bad archive and image becomes the rows it must, and nothing else becomes of it."""

import json
import os
from pathlib import Path

import fake_scorer
import pytest
import samples
from corpus import MAX_BYTES
from corpus_image import IMAGES
from corpus_tar import GZIPS, TARS
from corpus_zip import ZIPS

from jobs.verify import verify

CASES = TARS | GZIPS | ZIPS | {"images": IMAGES}
NAMES = list(CASES)
MOST_MIB = 8 * MAX_BYTES >> 20
"""What all of it may take of memory beyond what scoring one sound archive does."""


@pytest.fixture(scope="module")
def scored(tmp_path_factory):
    """All cases scored by one job, in a process of its own."""
    place = tmp_path_factory.mktemp("corpus")
    for folder in ("in", "home", "tmp"):
        (place / folder).mkdir()
    for number, made in enumerate(CASES.values()):
        (place / "in" / f"{number:03d}{made.suffix}").write_bytes(made.make())
    samples.write_tar(place / "sound.tar", samples.images(300))
    (place / "m.npz").write_bytes(fake_scorer.MODEL)
    before = _files(place)
    program = Path(__file__).parent / "corpus_job.py"
    environ = {"HOME": str(place / "home"), "TMPDIR": str(place / "tmp")}
    with samples.running([str(program), str(place)], **environ) as process:
        out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    return place, json.loads(out), before


@pytest.fixture(scope="module")
def rows(scored):
    """The rows of each case, by its number."""
    found = {number: [] for number in range(len(CASES))}
    for row in samples.rows(scored[0] / "out").to_pylist():
        found[int(Path(row["archive"]).name[:3])].append(row)
    return found


def _files(place):
    jobs = [place / name for name in ("sound", "out")]
    return {path for path in place.rglob("*") if not any(path.is_relative_to(job) for job in jobs)}


def test_there_are_more_than_two_hundred_kinds():
    assert len(CASES) + len(IMAGES.rows) > 200
    bad = sum(any(row.reason for row in made.rows) for made in CASES.values())
    assert bad + sum(row.reason is not None for row in IMAGES.rows) > 150


@pytest.mark.parametrize("name", NAMES)
def test_each_case_becomes_its_rows(name, rows):
    found = rows[NAMES.index(name)]
    told = [(row["member"], row["reason"]) for row in found]
    expected = [(member, reason and reason.value) for member, reason in CASES[name].rows]
    assert [pair for pair in zip(told, expected, strict=False) if pair[0] != pair[1]] == []
    assert len(told) == len(expected)
    assert [row["index"] for row in found] == list(range(len(found)))
    assert all((row["verdict"] is None) is (row["reason"] is not None) for row in found)


def test_the_job_is_whole_and_counts_what_it_rejects(scored):
    place, told, _ = scored
    assert told["exit_code"] == 3
    assert verify(str(place / "out")) == []
    summary = json.loads((place / "out" / "_summary.json").read_text())
    expected = [row.reason for made in CASES.values() for row in made.rows if row.reason]
    assert summary["reasons"] == {reason.value: expected.count(reason) for reason in sorted(set(expected))}


def test_nothing_is_written_outside_the_job_folder(scored):
    place, _, before = scored
    assert _files(place) == before
    assert not os.path.lexists("/outside")  # where the hostile names point


def test_no_bomb_takes_memory(scored):
    told = scored[1]
    assert told["peak_mib"] - told["peak_of_a_sound_archive_mib"] < MOST_MIB
