import pytest

from dice_core.member import Cut
from jobs import folder, plan
from jobs.errors import Refusal
from jobs.folder import Start
from jobs.plan import ArchiveRecord, Kind
from jobs.reader import Limits
from jobs.resume import decide

DECIDES = folder.deciding("hash", 4, Limits())


def record(archive="/a.tar", identity="1-1"):
    return ArchiveRecord(archive, Kind.TAR, identity, 10, tuple(Cut(first, 0) for first in (0, 4, 8)))


def parts(*records):
    return [shard.part for shard in plan.shards(records)]


def job(**changes):
    return {"kind": "dice-inspect job", "decides": {**DECIDES, **changes}, "sources": ["a.tar"]}


@pytest.mark.parametrize(
    ("names", "found", "overwrite", "expected"),
    [
        ([], None, False, Start.NEW),
        ([], None, True, Start.NEW),
        (["_job.json"], job(), False, Start.RESUME),
        (["_job.json", *parts(record())], job(), False, Start.RESUME),
        (["_job.json", *parts(record("/b.tar", "9-9"))], job(), False, Start.RESUME),
        (["_job.json", "notes.txt"], job(), False, Start.RESUME),
        (["_job.json"], job(), True, Start.AFRESH),
        (["_job.json", *parts(record(identity="2-2"))], job(model="other"), True, Start.AFRESH),
    ],
)
def test_decides_what_a_start_does(names, found, overwrite, expected):
    assert decide("out", names, found, DECIDES, [record()], overwrite=overwrite) is expected


@pytest.mark.parametrize(
    ("names", "found", "overwrite", "told"),
    [
        (["notes.txt"], None, False, ["out", "not a job folder", "--out"]),
        (["notes.txt"], None, True, ["out", "not a job folder", "--out"]),
        (["_job.json"], job(model="older"), False, ["model was older, is hash", "--overwrite"]),
        (
            ["_job.json"],
            job(shard_size=5, max_bytes=1),
            False,
            ["shard_size was 5, is 4", "max_bytes was 1, is 67108864", "--overwrite"],
        ),
        (
            parts(record(identity="2-2")),
            job(),
            False,
            ["/a.tar: changed", "--replace-changed", "--overwrite"],
        ),
        ([*parts(record()), *parts(record(identity="2-2"))], job(), False, ["/a.tar: changed"]),
    ],
)
def test_refuses_rows_that_do_not_go_together(names, found, overwrite, told):
    with pytest.raises(Refusal) as refused:
        decide("out", names, found, DECIDES, [record("/0.tar"), record()], overwrite=overwrite)
    assert all(words in str(refused.value) for words in told)


def test_a_setting_unknown_to_the_older_job_is_a_change():
    older = job()
    del older["decides"]["rows_version"]
    with pytest.raises(Refusal, match="rows_version was None, is 4"):
        decide("out", ["_job.json"], older, DECIDES, [], overwrite=False)
