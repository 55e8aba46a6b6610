import os

import pytest

from jobs.errors import Refusal
from jobs.settle import is_settled, parse_duration


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("10m", 600), ("1h", 3600), ("1.5h", 5400), ("2d", 172800), ("0s", 0)]
)
def test_reads_durations(text, seconds):
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "10", "m", "-1m", "10 m", "1h30m", "inf s", "10min"])
def test_refuses_what_is_no_duration(text):
    with pytest.raises(Refusal, match=r"--settle .*: give a duration such as"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("written", "settled"), [(0, True), (399, True), (400, True), (401, False), (1000, False), (2000, False)]
)
def test_a_file_has_settled_when_its_time_is_old_enough(tmp_path, written, settled):
    path = tmp_path / "lot.tar"
    path.touch()
    os.utime(path, (written, written))
    assert is_settled(str(path), 600, now=1000) is settled


def test_a_folder_has_settled_when_all_its_files_have(tmp_path):
    (tmp_path / "in" / "deep").mkdir(parents=True)
    file = tmp_path / "in" / "deep" / "1.jpg"
    file.touch()
    for path in (file, file.parent, tmp_path / "in"):
        os.utime(path, (0, 0))
    assert is_settled(str(tmp_path / "in"), 600, now=1000)
    os.utime(file, (900, 900))
    assert not is_settled(str(tmp_path / "in"), 600, now=1000)
    os.utime(file, (0, 0))
    os.utime(tmp_path / "in", (900, 900))
    assert not is_settled(str(tmp_path / "in"), 600, now=1000)
