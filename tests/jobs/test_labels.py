import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs import labels
from jobs.errors import Refusal
from jobs.labels import LabelFile, Labels, first_lines, held
from jobs.labeltable import Line

HASH = "0123456789abcdef" * 2
NAMES = st.text("ab/é", min_size=1, max_size=6)


def read(path, *listed):
    path.write_text("\n".join(["archive,member,content_hash,label", *listed]))
    return Labels.read(str(path))


@given(
    st.dictionaries(st.tuples(st.none() | NAMES, NAMES), st.sampled_from("xyz"), max_size=20), st.randoms()
)
def test_every_line_is_found_and_no_other(said, chance):
    lines = [Line(at, *place, label) for at, (place, label) in enumerate(said.items(), 1)]
    chance.shuffle(lines)
    made = Labels.of(lines)
    for archive, image in said:
        asked = ([], "", image) if archive is None else ([archive], image, None)
        assert made.name(*asked) == said[archive, image]
        (at,) = made.find(*asked)
        assert lines[[line.number for line in lines].index(made.number[at])].image == image
    assert made.name(["other"], "a", None) is None
    shuffled = random.Random(0).sample(lines, len(lines))  # noqa: S311
    assert Labels.of(shuffled).hash == made.hash
    if lines:
        first, *others = lines
        assert Labels.of([first._replace(label="w"), *others]).hash != made.hash


def test_keys_that_share_their_first_half_are_told_apart(monkeypatch):
    keys = {"a": b"\1" * 16, "b": b"\1" * 8 + b"\2" * 8, "c": b"\1" * 8 + b"\3" * 8}
    monkeypatch.setattr(labels, "_hash", lambda archive, image: keys[image])
    made = Labels.of([Line(2, "x", "b", "of b"), Line(3, "x", "a", "of a")])
    assert [made.name(["x"], image, None) for image in "abc"] == ["of a", "of b", None]


def test_an_archive_is_named_by_its_last_components_and_the_longest_counts(tmp_path):
    made = read(
        tmp_path / "t", "lot.tar,1,,short", "night/lot.tar,1,,long", "lot.tar,2,,short", "t.tar,3,,no"
    )
    places = made.places("/data/night/lot.tar")
    assert places == ("night/lot.tar", "lot.tar")
    assert [made.name(places, member, None) for member in ("1", "./2", "3")] == ["long", "short", None]
    assert made.places("line3/a.tar", "/mnt/night/lot.tar") == places


def test_the_line_of_a_place_goes_before_that_of_the_content(tmp_path):
    made = read(tmp_path / "t", f",,{HASH},content", "lot.tar,1,,place")
    assert made.name(["lot.tar"], "1", HASH) == "place"
    assert made.name(["lot.tar"], "2", HASH) == "content"
    assert len(list(made.find(["lot.tar"], "1", HASH))) == 2


def test_lines_that_say_the_same_are_one_and_two_labels_of_an_image_are_refused_by_name(tmp_path):
    made = read(tmp_path / "t", "a,1,,x", "./a,./1,,x", "a,2,,x")
    assert made.number.tolist() != [2, 3, 4]
    assert sorted(made.number.tolist()) == [2, 4]
    with pytest.raises(Refusal, match="a 1 is x in line 2 and y in line 4, the first of 1 such"):
        read(tmp_path / "t", "a,1,,x", "a,2,,x", "a,./1,,y")
    with pytest.raises(Refusal, match=f"{HASH} is x in line 2 and y in line 3"):
        read(tmp_path / "t", f",,{HASH},x", f",,{HASH},y")


def test_a_table_without_lines_is_refused(tmp_path):
    with pytest.raises(Refusal, match="labels no image"):
        read(tmp_path / "t", "a,1,,")


def test_a_name_that_may_be_either_of_two_sources_is_refused(tmp_path):
    made = read(tmp_path / "t", "lot.tar,1,,x", "b/lot.tar,1,,x")
    made.check(["/b/lot.tar", "/b/other.tar"])
    with pytest.raises(Refusal, match=r"lot.tar may be /a/lot.tar or /b/lot.tar"):
        made.check(["/a/lot.tar", "/b/lot.tar"])


def test_what_is_written_for_the_workers_is_read_once_and_only_where_it_is_what_was_written(tmp_path):
    made = read(tmp_path / "t", "a,1,,x", f",,{HASH},é")
    file = LabelFile(str(tmp_path / "kept"), made.hash)
    made.write(file.url)
    again = held(file)
    assert held(file) is again
    assert (again.names, again.archives, again.hash) == (made.names, made.archives, made.hash)
    assert np.array_equal(again.number, made.number)
    with pytest.raises(ValueError, match="its hash differs"):
        held(file._replace(hash="other"))


def test_lines_are_named_by_number_and_image(tmp_path):
    read(tmp_path / "t", "a,1,,x", "b,2,,x", f",,{HASH},x")
    told = first_lines(str(tmp_path / "t"), np.array([4, 3]), 5)
    assert told == ["line 3: b 2", f"line 4: {HASH}"]
    assert len(first_lines(str(tmp_path / "t"), np.array([4, 3]), 1)) == 1
