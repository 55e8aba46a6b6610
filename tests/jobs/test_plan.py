import gzip
import itertools
import pickle

import pytest
import samples

from dice_core.member import Cut
from dice_core.rows import Reason
from jobs import plan
from jobs.errors import Refusal
from jobs.folder import is_part
from jobs.plan import ArchiveRecord, Bundle, Kind
from jobs.reader import Limits, members


def record(archive="/a.tar", members=10, size=4, identity="1-1", kind=Kind.TAR):
    cuts = tuple(Cut(first, first * 100) for first in range(0, members, size))
    return ArchiveRecord(archive, kind, identity, members, cuts)


@pytest.mark.parametrize(
    ("members", "size", "expected"),
    [
        (0, 4, []),
        (1, 4, [(0, 1, 0)]),
        (4, 4, [(0, 4, 0)]),
        (10, 4, [(0, 4, 0), (4, 8, 400), (8, 10, 800)]),
        (3, 1, [(0, 1, 0), (1, 2, 100), (2, 3, 200)]),
    ],
)
def test_shards_cover_an_archive_without_gap_or_overlap(members, size, expected):
    shards = plan.shards([record(members=members, size=size)])
    assert [(shard.first, shard.stop, shard.offset) for shard in shards] == expected


def test_shards_whose_parts_are_there_are_left_out():
    first, second, third = plan.shards([record()])
    assert list(plan.shards([record()], frozenset({second.part, "other"}))) == [first, third]


def test_a_compressed_tar_is_one_shard_without_end():
    compressed = ArchiveRecord("/a.tgz", Kind.TARGZ, "1-1", None, (Cut(0, 0),))
    (shard,) = plan.shards([compressed])
    assert (shard.first, shard.stop, shard.images, shard.members) == (0, None, None, None)


def test_shards_come_one_at_a_time():
    endless = (record(f"/{number}.tar") for number in itertools.count())
    assert [shard.archive for shard in itertools.islice(plan.shards(endless), 4)] == ["/0.tar"] * 3 + [
        "/1.tar"
    ]


def test_part_names_depend_on_archive_identity_and_first_alone():
    (first, second, third) = plan.shards([record()])
    names = {
        first.part,
        second.part,
        third.part,
        next(plan.shards([record(archive="/b.tar")])).part,
        next(plan.shards([record(identity="2-2")])).part,
    }
    assert len(names) == 5
    assert all(map(is_part, names))
    assert next(plan.shards([record(members=99)])).part == first.part
    assert first.part.startswith(plan.part_prefix(record()))
    assert not first.part.startswith(plan.part_prefix(record(identity="2-2")))
    assert first.part.startswith(plan.archive_prefix("/a.tar"))


def test_a_plan_can_be_sent_and_read():
    bundle = Bundle(tuple(plan.shards([record()])))
    assert pickle.loads(pickle.dumps(bundle)) == bundle  # noqa: S301 - our own
    assert str(bundle.shards[1]) == "/a.tar [4:8]"


@pytest.mark.parametrize(
    ("write", "kind"),
    [
        (samples.write_tar, Kind.TAR),
        (samples.write_targz, Kind.TARGZ),
        (samples.write_zip, Kind.ZIP),
        (samples.write_folder, Kind.FOLDER),
    ],
)
def test_surveys_by_content_not_by_name(tmp_path, write, kind):
    made = plan.survey(write(tmp_path / "anything", samples.members(40)), 16)
    assert made.kind is kind
    if kind is Kind.TARGZ:
        assert (made.members, made.cuts) == (None, (Cut(0, 0),))
    else:
        assert made.members == 40
        assert [cut.index for cut in made.cuts] == [0, 16, 32]


def test_a_folder_that_changes_has_another_identity(tmp_path):
    folder = samples.write_folder(tmp_path / "in", samples.images(4))
    before = plan.survey(folder, 2)
    assert plan.survey(folder, 2) == before
    (tmp_path / "in" / "more.jpg").write_bytes(b"1")
    assert plan.survey(folder, 2).identity != before.identity


NO_ARCHIVES = [
    b"just some text" * 100,
    b"",
    b"\x1f\x8b\x08\x00 broken at once",
    gzip.compress(b"text in gzip" * 100, mtime=0),
]


@pytest.mark.parametrize("content", NO_ARCHIVES)
@pytest.mark.parametrize("name", ["lot.tar", "LOT.TAR", "lot.tar.gz", "lot.tgz", "lot.zip"])
def test_what_is_named_as_an_archive_and_is_none_is_a_broken_one(tmp_path, content, name):
    path = tmp_path / name
    path.write_bytes(content)
    made = plan.survey(str(path), 10)
    assert (made.kind, made.members) == (Kind.ZIP if name == "lot.zip" else Kind.BROKEN, 1)
    (shard,) = plan.shards([made])
    ((member, reason),) = members(shard, Limits())
    assert (member.index, member.name, reason) == (0, "", Reason.BROKEN_ARCHIVE)


def test_a_zip_behind_a_program_is_one_by_its_name(tmp_path):
    path = tmp_path / "lot.zip"
    samples.write_zip(path, samples.members(40))
    path.write_bytes(b"#!/bin/program\n" * 50 + path.read_bytes())
    assert plan.survey(str(path), 16).members == 40


def test_a_zip_whose_members_claim_more_than_there_is_is_broken(tmp_path):
    """The same bytes, over and over."""
    path = tmp_path / "lot.zip"
    samples.write_zip(path, [("a", bytes(range(256)) * 20)])
    data = path.read_bytes()
    at, end = data.index(b"PK\1\2"), data.index(b"PK\5\6")
    length = 60 * (end - at)
    path.write_bytes(
        data[:at] + 60 * data[at:end] + data[end : end + 12] + length.to_bytes(4, "little") + data[end + 16 :]
    )
    made = plan.survey(str(path), 16)
    assert (made.kind, made.members, made.cuts) == (Kind.BROKEN, 1, (Cut(0, 0),))


@pytest.mark.parametrize("write", [samples.write_tar, samples.write_zip, samples.write_folder])
def test_no_more_members_are_planned_than_may_be_and_one(tmp_path, write):
    path = write(tmp_path / "in", samples.members(40))
    assert [plan.survey(path, 16, most).members for most in (1, 39, 40)] == [2, 40, 40]
    assert [cut.index for cut in plan.survey(path, 16, 32).cuts] == [0, 16, 32]


@pytest.mark.parametrize(
    ("content", "way_out"),
    [*((content, "neither tar") for content in NO_ARCHIVES)],
)
def test_refuses_what_is_no_archive(tmp_path, content, way_out):
    path = tmp_path / "lot.dat"
    path.write_bytes(content)
    with pytest.raises(Refusal, match=way_out) as refused:
        plan.survey(str(path), 10)
    assert str(path) in str(refused.value)


@pytest.mark.parametrize(
    ("name", "content"),
    [("1.dat", samples.jpeg(1)), ("1.jpg", samples.jpeg(1)), ("1.PNG", b""), ("1.webp", b"text")],
)
def test_an_image_is_one_by_content_and_what_is_named_as_one_is_to_be_told_of(tmp_path, name, content):
    path = tmp_path / name
    path.write_bytes(content)
    made = plan.survey(str(path), 10)
    assert (made.kind, made.members, made.cuts) == (Kind.IMAGE, 1, (Cut(0, 0),))


def test_refuses_what_cannot_be_opened(tmp_path):
    with pytest.raises(Refusal, match=r"gone\.tar"):
        plan.survey(str(tmp_path / "gone.tar"), 10)
