import io
import os
import shutil
import tarfile
from pathlib import Path

import pytest
import samples

from jobs import identity, plan

WRITERS = [samples.write_tar, samples.write_targz, samples.write_zip, samples.write_folder]


def identity_of(path):
    return plan.survey(str(path), 10).identity


@pytest.mark.parametrize("write", WRITERS[:3])
def test_a_copy_elsewhere_has_the_same_name_whatever_its_time(tmp_path, write):
    path = write(tmp_path / "lot", samples.images(30))
    copy = shutil.copyfile(path, tmp_path / "copy")
    os.utime(copy, ns=(0, 0))
    assert identity_of(copy) == identity_of(path)


def test_a_copied_folder_keeps_its_name_with_the_seconds_of_its_times(tmp_path):
    folder = samples.write_folder(tmp_path / "lot", samples.images(5))
    copy = shutil.copytree(folder, tmp_path / "copy")
    file = next(path for path in copy.rglob("*") if path.is_file())
    os.utime(file, ns=(0, file.stat().st_mtime_ns // 10**9 * 10**9))
    assert identity_of(copy) == identity_of(folder)
    os.utime(file, (0, 0))
    assert identity_of(copy) != identity_of(folder)


def renamed(listed):
    return [("other/name.jpg", listed[0][1]), *listed[1:]]


def shortened(listed):
    return listed[:-1]


def moved_by_a_byte(listed):
    (first, data), (second, more) = listed[10:12]
    return [*listed[:10], (first, data + b"\0"), (second, more[:-1]), *listed[12:]]


@pytest.mark.parametrize("write", WRITERS)
@pytest.mark.parametrize("change", [renamed, shortened, moved_by_a_byte])
def test_another_content_has_another_name(tmp_path, write, change):
    listed = samples.images(300)
    first, second = write(tmp_path / "a", listed), write(tmp_path / "b", change(listed))
    assert identity_of(first) != identity_of(second)


@pytest.mark.parametrize("write", WRITERS[1:3])
def test_one_byte_of_one_member_is_enough_where_there_are_checksums(tmp_path, write, monkeypatch):
    monkeypatch.setattr(identity, "SAMPLE", 16)
    # As long as before once compressed, too: what is stored does not shrink.
    listed = [(f"{number}.bin", os.urandom(1000)) for number in range(40)]
    changed = [*listed[:3], (listed[3][0], bytes([listed[3][1][0] ^ 1]) + listed[3][1][1:]), *listed[4:]]
    assert identity_of(write(tmp_path / "a", listed)) != identity_of(write(tmp_path / "b", changed))


@pytest.mark.parametrize("at", [0.3, 0.6, 0.9])
def test_a_tar_of_full_length_that_is_not_all_written_has_another_name(tmp_path, at):
    path = tmp_path / "lot.tar"
    samples.write_tar(path, samples.images(300))
    whole = path.read_bytes()
    half = tmp_path / "half.tar"
    cut = int(len(whole) * at)
    half.write_bytes(whole[:cut] + bytes(len(whole) - cut))
    assert identity_of(half) != identity_of(path)


def test_an_archive_is_sampled_in_three_reads(tmp_path):
    class Counted(io.BytesIO):
        reads = ()

        def read(self, size=-1):
            self.reads += (size,)
            return super().read(size)

    path = samples.write_tar(tmp_path / "lot.tar", samples.images(300))
    stream = Counted(Path(path).read_bytes())
    identity.Identity(stream)
    assert stream.reads == (identity.SAMPLE,) * 3
    short = Counted(b"12")
    identity.Identity(short)
    assert len(short.reads) <= 2


def test_names_that_are_not_utf8_have_a_name(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / os.fsdecode(b"c\xe9.jpg")).write_bytes(b"3")
    assert len(identity_of(tmp_path / "in")) == 32
    with tarfile.open(tmp_path / "lot.tar", "w") as archive:
        archive.add(tmp_path / "in")
    assert len(identity_of(tmp_path / "lot.tar")) == 32
