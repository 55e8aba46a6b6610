import os

import pytest
import samples

from dice_core.rows import Reason
from jobs import plan
from jobs.errors import Refusal
from jobs.reader import Limits, SourceChangedError, members

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


def read(source, shard_size=100, **limits):
    limits = Limits(**{"max_bytes": 100, **limits})
    shards = plan.shards([plan.survey(str(source), shard_size, limits.max_members)])
    return [pair for shard in shards for pair in members(shard, limits)]


@pytest.mark.parametrize("write", WRITERS)
@pytest.mark.parametrize("shard_size", [1, 2, 3, 100])
def test_every_container_gives_the_same_members_however_it_is_cut(tmp_path, write, shard_size):
    found = read(write(tmp_path / "lot", LISTED), shard_size)
    assert [member.index for member, _ in found] == list(range(5))
    assert [(member.name, content) for member, content in found] == EXPECTED
    assert [member.size for member, _ in found] == [len(data) for _, data in LISTED]


@pytest.mark.parametrize("write", WRITERS)
@pytest.mark.parametrize("shard_size", [1, 3, 100])
def test_a_source_of_too_many_members_ends_with_a_row_that_says_so(tmp_path, write, shard_size):
    found = read(write(tmp_path / "lot", LISTED), shard_size, max_members=3)
    assert [(member.name, content) for member, content in found] == [*EXPECTED[:3], ("", Reason.TOO_LARGE)]
    assert [member.index for member, _ in found] == [0, 1, 2, 3]
    assert len(read(tmp_path / "lot", shard_size, max_members=5)) == 5


@pytest.mark.parametrize("write", [samples.write_targz, samples.write_zip])
def test_what_expands_too_far_is_too_large(tmp_path, write):
    path = write(tmp_path / "lot", [("zeros", bytes(4 << 20))])
    ((member, content),) = read(path, max_bytes=8 << 20)
    assert (member.name, content) == ("zeros", Reason.TOO_LARGE)
    ((_, content),) = read(path, max_bytes=8 << 20, max_expansion=2000)
    assert content == bytes(4 << 20)


@pytest.mark.parametrize("name", ["max_bytes", "max_pixels", "max_members", "max_expansion"])
def test_a_limit_that_nothing_keeps_is_refused(name):
    with pytest.raises(Refusal, match=f"--{name.replace('_', '-')} 0: give a number from 1 up"):
        Limits(**{name: 0})


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
        next(members(shard, Limits()))


def test_an_archive_that_changes_while_it_is_read_is_told_at_the_end(tmp_path):
    path = samples.write_tar(tmp_path / "lot", LISTED)
    (shard,) = plan.shards([plan.survey(path, 100)])
    reading = members(shard, Limits())
    next(reading)
    os.utime(path, ns=(0, 0))
    with pytest.raises(SourceChangedError, match="lot changed"):
        list(reading)


def test_a_file_of_a_folder_that_changed_is_named(tmp_path):
    path = samples.write_folder(tmp_path / "lot", LISTED)
    (shard,) = plan.shards([plan.survey(path, 100)])
    os.utime(tmp_path / "lot" / "dark" / "3.jpg", ns=(0, 0))
    reading = members(shard, Limits())
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
