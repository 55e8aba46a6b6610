import json

import pytest
import samples

from dice_core.member import Cut
from jobs import folder, plan, storage
from jobs.errors import Refusal
from jobs.folder import Start
from jobs.plan import ArchiveRecord, Kind
from jobs.reader import Limits
from jobs.resume import decide

DECIDES = folder.deciding("hash", 4, Limits())
PART = next(plan.shards([ArchiveRecord("/a.tar", Kind.TAR, "1-1", 10, (Cut(0, 0),))])).part


@pytest.mark.parametrize(
    ("changes", "same"),
    [
        ({}, True),
        ({"model": "other"}, False),
        ({"shard_size": 5}, False),
        ({"max_pixels": 1}, False),
        ({"rows_version": 0}, False),
        ({"schema_version": 0}, False),
    ],
)
def test_the_fingerprint_tells_whatever_decides_the_rows(changes, same):
    reordered = dict(reversed([*DECIDES.items()])) | changes
    assert (folder.fingerprint(reordered) == folder.fingerprint(DECIDES)) is same


@pytest.mark.parametrize(
    ("digits", "known"),
    [((32, 32), True), ((12, 12), True), ((12, 32), False), ((31, 31), False), ((33, 33), False)],
)
def test_parts_have_hashes_of_128_bits_or_of_48_as_older_jobs_have(digits, known):
    archive, content = ("0" * count for count in digits)
    assert folder.is_part(f"part-{archive}-{content}-0000000000.parquet") is known


def test_a_new_folder_holds_job_and_model(tmp_path):
    out = str(tmp_path / "deep" / "out")
    decides = folder.deciding(folder.parquet.digest(b"model"), 4, Limits())
    folder.begin(out, Start.NEW, decides, ["b.tar", "a.tar"], b"model")
    assert storage.list_names(out) == ["_job.json", "_model.npz", "_plan.parquet"]
    written = folder.read_job(out)
    assert written["sources"] == [storage.absolute(name) for name in ("a.tar", "b.tar")]
    assert written["fingerprint"] == folder.fingerprint(decides)
    assert decide(out, ["_job.json"], written, decides, [], overwrite=False) is Start.RESUME


def test_resuming_adds_sources_and_restores_the_model_alone(tmp_path):
    out = str(tmp_path)
    decides = folder.deciding(folder.parquet.digest(b"model"), 4, Limits())
    folder.begin(out, Start.NEW, decides, ["b.tar"], b"model")
    before = samples.written(tmp_path, "_model.npz")
    folder.begin(out, Start.RESUME, decides, ["a.tar"], b"model")
    assert folder.read_job(out)["sources"] == [storage.absolute(name) for name in ("a.tar", "b.tar")]
    assert samples.written(tmp_path, "_model.npz") == before
    (tmp_path / "_model.npz").unlink()
    job_before = samples.written(tmp_path, "_job.json")
    folder.begin(out, Start.RESUME, decides, ["a.tar"], b"model")
    assert (tmp_path / "_model.npz").read_bytes() == b"model"
    assert samples.written(tmp_path, "_job.json") == job_before


def test_starting_afresh_removes_the_jobs_own_files_alone(tmp_path):
    out = str(tmp_path)
    own = ["_parts.parquet", "_summary.json", PART, f".{PART}.4194305-abc.tmp"]
    others = ["notes.txt", "part-of-a-novel.parquet", "_mine.json", ".notes.txt.4194305-abc.tmp", ".DS_Store"]
    for name in (*own, *others):
        (tmp_path / name).write_bytes(b"x")
    folder.begin(out, Start.NEW, DECIDES, ["a.tar"], b"old model")
    folder.begin(out, Start.AFRESH, DECIDES | {"shard_size": 5}, ["b.tar"], b"new model")
    assert samples.names(tmp_path) == sorted([*others, "_job.json", "_model.npz", "_plan.parquet"])
    assert (tmp_path / "_model.npz").read_bytes() == b"new model"
    assert folder.read_job(out)["sources"] == [storage.absolute("b.tar")]
    assert folder.read_job(out)["decides"]["shard_size"] == 5


@pytest.mark.parametrize(
    "content", ["not json", "[]", "{}", json.dumps({"kind": "another program's", "decides": {}})]
)
def test_refuses_a_job_file_that_is_none_of_ours(tmp_path, content):
    (tmp_path / "_job.json").write_text(content)
    with pytest.raises(Refusal, match=r"_job\.json: not a job file"):
        folder.read_job(str(tmp_path))


def test_what_killed_writers_left_goes_and_nothing_else(tmp_path):
    for name in (
        f".{PART}.4194305-abc.tmp",
        "._summary.json.4194305-abc.tmp",
        ".notes.4194305-abc.tmp",
        PART,
        ".hidden",
    ):
        (tmp_path / name).touch()
    folder.sweep(str(tmp_path))
    assert samples.names(tmp_path) == [".hidden", ".notes.4194305-abc.tmp", PART]
