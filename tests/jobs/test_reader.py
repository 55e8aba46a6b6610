import os

import pytest
import samples

from dice_core.rows import Reason
from jobs import plan
from jobs.reader import SourceChangedError, members

LISTED = [
    ("bright/1.jpg", b"one"),
    ("bright/2.jpg", b"two" * 50),
    ("dark/.DS_Store", b"junk"),
    ("dark/3.jpg", b"three"),
    ("dark/4.jpg", b""),
]
EXPECTED = [
    ("bright/1.jpg", b"one"),
    ("bright/2.jpg", Reason.TOO_LARGE),
    ("dark/.DS_Store", Reason.ARCHIVE_JUNK),
    ("dark/3.jpg", b"three"),
    ("dark/4.jpg", b""),
]
WRITERS = [samples.write_tar, samples.write_targz, samples.write_zip, samples.write_folder]


def read(source, shard_size=100, max_bytes=100):
    shards = plan.shards([plan.survey(str(source), shard_size)])
    return [pair for shard in shards for pair in members(shard, max_bytes)]


@pytest.mark.parametrize("write", WRITERS)
@pytest.mark.parametrize("shard_size", [1, 2, 3, 100])
def test_every_container_gives_the_same_members_however_it_is_cut(tmp_path, write, shard_size):
    found = read(write(tmp_path / "lot", LISTED), shard_size)
    assert [member.index for member, _ in found] == list(range(5))
    assert [(member.name, content) for member, content in found] == EXPECTED
    assert [member.size for member, _ in found] == [len(data) for _, data in LISTED]


def test_a_folder_passes_nothing_over(tmp_path):
    (tmp_path / "a.jpg").write_bytes(b"1")
    (tmp_path / "b.jpg").symlink_to(tmp_path / "nowhere")
    (tmp_path / os.fsdecode(b"c\xe9.jpg")).write_bytes(b"3")
    (tmp_path / "link.jpg").symlink_to(tmp_path / "a.jpg")
    assert [(member.name, content) for member, content in read(tmp_path)] == [
        ("a.jpg", b"1"),
        ("b.jpg", Reason.NOT_A_FILE),
        ("c\\xe9.jpg", b"3"),
        ("link.jpg", b"1"),
    ]


@pytest.mark.parametrize("write", WRITERS[:3])
def test_an_archive_that_changed_since_the_plan_is_not_read(tmp_path, write):
    path = write(tmp_path / "lot", LISTED)
    (shard,) = plan.shards([plan.survey(path, 100)])
    os.utime(path, ns=(0, 0))
    with pytest.raises(SourceChangedError, match="lot changed"):
        next(members(shard, 100))


def test_an_archive_that_changes_while_it_is_read_is_told_at_the_end(tmp_path):
    path = samples.write_tar(tmp_path / "lot", LISTED)
    (shard,) = plan.shards([plan.survey(path, 100)])
    reading = members(shard, 100)
    next(reading)
    os.utime(path, ns=(0, 0))
    with pytest.raises(SourceChangedError, match="lot changed"):
        list(reading)


def test_a_file_of_a_folder_that_changed_is_named(tmp_path):
    path = samples.write_folder(tmp_path / "lot", LISTED)
    (shard,) = plan.shards([plan.survey(path, 100)])
    os.utime(tmp_path / "lot" / "dark" / "3.jpg", ns=(0, 0))
    reading = members(shard, 100)
    with pytest.raises(SourceChangedError, match=r"dark/3\.jpg changed"):
        list(reading)


def test_an_image_by_itself_is_one_member_named_with_its_folder(tmp_path):
    samples.write_folder(tmp_path, [("bright/1.jpg", samples.jpeg(1)), ("dark/2.jpg", b"")])
    for name, content in (("bright/1.jpg", samples.jpeg(1)), ("dark/2.jpg", b"")):
        ((member, found),) = read(tmp_path / name, max_bytes=5000)
        assert (member.index, member.name, member.offset, member.size) == (0, name, 0, len(content))
        assert found == content
    ((_, found),) = read(tmp_path / "bright" / "1.jpg", max_bytes=10)
    assert found is Reason.TOO_LARGE
