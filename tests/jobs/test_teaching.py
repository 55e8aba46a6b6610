import hashlib
import io

import dice
import numpy as np
import pytest
import samples
from PIL import Image

from dice_core.rows import Reason
from jobs import teaching
from jobs.errors import Refusal
from jobs.reader import Limits
from jobs.teaching import Sources, collect, reads_as_defective


def png(seed, width=40, height=30):
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width), np.uint8)
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue()


def images(folder, count, start=0, **size):
    return [(f"{folder}/{number:03d}.png", png(start + number, **size)) for number in range(count)]


@pytest.fixture
def gather(tmp_path):
    """Collect from archives that are written for it; options name what each is given as."""

    def go(labelled=None, good=None, bad=None, limits=None, **options):
        given = {}
        for kind, listed in {"labelled": labelled, "good": good, "bad": bad}.items():
            if listed is not None:
                given[kind] = (samples.write_tar(tmp_path / f"{kind}.tar", listed),)
        return collect(Sources(**given, **options), limits or Limits())

    return go


def test_folders_are_labels(gather):
    found = gather([*images("x/one", 5), *images("two", 3, 10), *images("ano", 2, 20)])
    assert found.taken_good == {"one": 5, "two": 3}
    assert found.taken_bad == {"ano": 2}
    assert found.image_size == (30, 40)
    assert found.left_out == {}
    assert [len(sample) for sample in (*found.good.values(), found.bad)] == [5, 3, 2]
    assert found.good["one"].images.shape == (5, 30, 40)
    hashes = [hashlib.blake2b(data, digest_size=16).hexdigest() for _, data in images("one", 5)]
    assert list(found.good["one"].hashes) == hashes


def test_declared_labels_are_defective(gather):
    found = gather(
        [*images("a", 3), *images("nok", 2, 10), *images("scratch", 1, 20)], anomaly_labels=("nok", "scratch")
    )
    assert (found.taken_good, found.taken_bad) == ({"a": 3}, {"nok": 2, "scratch": 1})
    assert len(found.bad) == 3


def test_good_without_folders_is_one_class(gather):
    found = gather(good=[("a.png", png(1)), ("b.png", png(2))], bad=[("c.png", png(3)), ("x/d.png", png(4))])
    assert (found.taken_good, found.taken_bad) == ({"good": 2}, {"bad": 1, "x": 1})


def test_good_with_folders_is_a_class_each(gather):
    found = gather(good=[*images("left", 2), *images("right", 3, 10)], bad=images("left", 2, 20))
    assert (found.taken_good, found.taken_bad) == ({"left": 2, "right": 3}, {"left": 2})


def test_a_photograph_that_is_there_twice_is_kept_once(gather):
    found = gather([*images("a", 4), ("a/again.png", png(2))])
    assert found.taken_good == {"a": 5}
    assert found.good["a"].repeats.tolist() == [1, 1, 2, 1]


def test_the_sample_is_bounded_and_the_count_is_not(gather, monkeypatch):
    monkeypatch.setattr(teaching, "MOST_PER_FACE", 5)
    monkeypatch.setattr(teaching, "MOST_BAD", 3)
    found = gather([*images("a", 9), *images("ano", 8, 20)])
    assert (found.taken_good, found.taken_bad) == ({"a": 9}, {"ano": 8})
    assert (len(found.good["a"]), len(found.bad)) == (5, 3)


def test_of_mixed_sizes_the_commonest_is_taken_and_the_rest_told(gather):
    listed = [*images("b", 3, width=50), *images("a/b", 7, 10), *images("ano", 2, 30, width=50, height=50)]
    found = gather([*listed, *images("ano", 1, 40)])
    assert found.image_size == (30, 40)
    assert (found.taken_good, found.taken_bad) == ({"b": 7}, {"ano": 1})
    assert found.left_out == {Reason.WRONG_SIZE: 5}


def test_a_size_of_the_defective_alone_is_not_taken(gather):
    found = gather([*images("a", 2), *images("ano", 9, 10, width=50)])
    assert found.image_size == (30, 40)
    assert found.taken_bad == {}
    assert len(found.bad) == 0


def test_what_is_no_image_is_told_by_reason(gather):
    listed = [
        *images("a", 3),
        ("a/empty.png", b""),
        ("a/text.txt", b"some text that is no image"),
        ("a/cut.jpg", samples.jpeg(1, 40)[:200]),
        ("a/large.png", png(9, 400, 300)),
        ("a/.DS_Store", b"junk"),
    ]
    found = gather(listed, limits=Limits(max_pixels=10_000))
    assert found.taken_good == {"a": 3}
    assert found.left_out == dict.fromkeys(
        (Reason.EMPTY, Reason.NOT_AN_IMAGE, Reason.TRUNCATED, Reason.TOO_LARGE), 1
    )


@pytest.mark.parametrize("write", [samples.write_targz, samples.write_zip, samples.write_folder])
def test_the_container_changes_nothing(gather, tmp_path, write):
    listed = sorted([*images("a", 3), *images("ano", 2, 10)])
    found, expected = collect(Sources((write(tmp_path / "other", listed),)), Limits()), gather(listed)
    assert found.good["a"].hashes == expected.good["a"].hashes
    assert found.bad.hashes == expected.bad.hashes
    assert (found.good["a"].images == expected.good["a"].images).all()


@pytest.mark.parametrize(
    "label",
    [
        *("bad", "BAD", "Bad", "nok", "NOK", "08_ko", "NG", "ng", "ko", "Defect", "defects", "DEFECTIVE"),
        *("scratch", "scratches", "deep scratch", "01_scratched", "defect-07", "broken", "cracked", "fail"),
        *(
            "rejects",
            "scrap",
            "anomaly",
            "ano",
            "anomalies",
            "not_ok",
            "not ok",
            "NotOK",
            "outlier",
            "damaged",
        ),
    ],
)
def test_labels_that_read_as_defective(label, gather):
    assert reads_as_defective(label)
    with pytest.raises(Refusal) as refused:
        gather([*images("a", 1), *images(label, 1, 5)], anomaly_labels=("other",))
    assert repr(label) in str(refused.value)
    assert f"--anomaly-label {label}" in str(refused.value)


@pytest.mark.parametrize(
    "label",
    ["00", "good", "ok", "OK", "piano", "badge", "king", "angle", "kong", "failsafe", "nano", "logo 1", "é"],
)
def test_labels_that_do_not(label):
    assert not reads_as_defective(label)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (
            {"labelled": [("a.png", png(1))]},
            "a.png lies in no folder, so it has no label: give the source as",
        ),
        ({"good": images("nok", 2)}, "the label 'nok' under --good reads as defective: give it as --bad"),
        ({"good": images("ano", 2)}, "the label 'ano' under --good reads as defective: give it as --bad"),
        ({"labelled": [("a/b.txt", b"some text")]}, "holds no good image"),
        ({"labelled": images("ano", 3)}, "holds no good image"),
        ({"labelled": []}, "holds no good image"),
        ({"labelled": images("a", 2, width=300, height=9)}, "images of 300x9 pixels show too little"),
    ],
)
def test_refuses_what_it_cannot_learn_from(gather, given, told):
    with pytest.raises(Refusal) as refused:
        gather(**given)
    assert told in str(refused.value)


def test_every_label_of_the_dice_is_taken(tmp_path):
    source = samples.write_tar(tmp_path / "dice.tar", [*dice.good(2), *dice.bad(2)])
    found = collect(Sources((source,)), Limits())
    assert found.taken_good == dict.fromkeys(dice.THREE, 2)
    assert found.taken_bad == {"ano": 2}


def test_refuses_photographs_that_are_good_and_defective_at_once(gather):
    with pytest.raises(Refusal, match="good and defective at once, as are 1 others: sort them"):
        gather([*images("a", 5), *[("ano/" + name[2:], data) for name, data in images("a", 2)]])
