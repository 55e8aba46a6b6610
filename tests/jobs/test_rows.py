import numpy as np
import pytest
import samples
import simplejpeg
from fake_scorer import SIZE, BrightnessScorer

from dice_core import scale
from dice_core.decode import decode
from dice_core.member import Member
from dice_core.rows import SCHEMA, Reason
from dice_core.scale import OnSize
from jobs.parquet import digest
from jobs.rows import BATCH, COMPARISONS, SCORES, Rows, batch_of


class Counted(BrightnessScorer):
    def __init__(self):
        self.batches = []

    def score(self, images):
        self.batches.append(len(images))
        return super().score(images)


def member(index, name="bright/a.jpg"):
    return Member(index, name, index * 1000, 50)


@pytest.fixture
def scorer():
    return Counted()


@pytest.fixture
def collected(scorer):
    return Rows(scorer, "/lot.tar", 1_000_000)


def test_a_row_tells_all_of_an_image(collected):
    data = samples.jpeg(3)
    collected.add(member(7), data)
    (row,) = collected.table().to_pylist()
    assert list(row) == SCHEMA.names
    described = {name: row[name] for name in SCHEMA.names if name not in {*SCORES, *COMPARISONS}}
    assert described == {
        "archive": "/lot.tar",
        "index": 7,
        "member": "bright/a.jpg",
        "folder": "bright",
        "label": "bright",
        "lot": "/lot.tar",
        "offset": 7000,
        "size": 50,
        "status": "ok",
        "reason": None,
        "width": SIZE,
        "height": SIZE,
        "content_hash": digest(data),
    }
    assert None not in [row[name] for name in SCORES]
    assert {row[name] for name in COMPARISONS} == {None}


@pytest.mark.parametrize(
    ("name", "folder", "label"),
    [
        ("bright/a.jpg", "bright", "bright"),
        ("ano/a.jpg", "ano", "ano"),
        ("lots/dark/a.jpg", "dark", "dark"),
        ("dark/else/a.jpg", "else", None),
        ("a.jpg", "", None),
    ],
)
def test_the_label_is_a_folder_that_the_model_knows(collected, name, folder, label):
    collected.add(member(0, name), samples.jpeg(1))
    row = collected.table().to_pylist()[0]
    assert (row["folder"], row["label"]) == (folder, label)


@pytest.mark.parametrize(
    ("content", "status", "reason", "width", "hashed"),
    [
        (Reason.ARCHIVE_JUNK, "ignored", "archive_junk", None, False),
        (Reason.BROKEN_ARCHIVE, "rejected", "broken_archive", None, False),
        (Reason.TOO_LARGE, "rejected", "too_large", None, False),
        (b"", "rejected", "empty", None, True),
        (b"some text that is no image", "rejected", "not_an_image", None, True),
        (samples.jpeg(1, SIZE * 2), "rejected", "wrong_size", SIZE * 2, True),
    ],
)
def test_what_is_no_image_has_a_reason_and_no_scores(collected, content, status, reason, width, hashed):
    collected.add(member(0), content)
    (row,) = collected.table().to_pylist()
    assert (row["status"], row["reason"], row["width"], row["height"]) == (status, reason, width, width)
    assert {row[name] for name in SCORES} == {None}
    assert row["content_hash"] == (digest(content) if hashed else None)


def test_scores_go_to_their_own_rows(collected):
    images = [samples.jpeg(seed) for seed in range(BATCH + 10)]
    for index in range(3 * len(images)):
        collected.add(member(index), images[index // 3] if index % 3 == 1 else Reason.EMPTY)
    rows = collected.table().to_pylist()
    alone = []
    for data in images:
        single = Rows(BrightnessScorer(), "/lot.tar", 1_000_000)
        single.add(member(0), data)
        alone += single.table().to_pylist()
    assert [[row[name] for name in SCORES] for row in rows[1::3]] == [
        [row[name] for name in SCORES] for row in alone
    ]
    assert {row["ncc"] for row in rows[::3]} == {None}


def test_an_image_of_the_models_aspect_is_resized_where_that_is_asked_for():
    rows = Rows(BrightnessScorer(), "/lot.tar", 1_000_000, exhaustive=True, on_size=OnSize.RESIZE)
    own, double = samples.jpeg(3), samples.jpeg(3, SIZE * 2)
    wide = simplejpeg.encode_jpeg(np.full((SIZE, SIZE * 2, 1), 99, np.uint8), colorspace="GRAY")
    for index, data in enumerate((own, double, wide, own)):
        rows.add(member(index), data)
    first, resized, rejected, last = rows.table().to_pylist()
    assert [row["reason"] for row in (first, resized, rejected, last)] == [None, None, "wrong_size", None]
    assert (resized["width"], resized["height"]) == (SIZE * 2, SIZE * 2)
    assert (rejected["width"], rejected["height"]) == (SIZE * 2, SIZE)
    brought = scale.bring(decode(double, 1 << 20), (SIZE, SIZE))[None]
    expected = BrightnessScorer().score(brought)
    assert resized["ncc"] == pytest.approx(expected["ncc"][0])
    assert resized["defect_peak_x"] == expected["defect_peak_x"][0] * 2 + 1
    assert resized["defect_dark"] == expected["defect_dark"][0] * 4
    assert resized["shift_x"] == (2 * BrightnessScorer().compare(brought)["shift_x"][0]).tolist()
    assert {name: first[name] for name in SCORES} == {name: last[name] for name in SCORES}
    alone = Rows(BrightnessScorer(), "/lot.tar", 1_000_000)
    alone.add(member(0), own)
    assert {name: first[name] for name in SCORES} == {
        name: value for name, value in alone.table().to_pylist()[0].items() if name in SCORES
    }


def test_batches_end_where_they_are_told_to(collected, scorer):
    for index in range(2 * BATCH + 6):
        if index == BATCH + 3:
            collected.flush()
        collected.add(member(index), samples.jpeg(index))
    assert collected.table()["index"].to_pylist() == list(range(2 * BATCH + 6))
    assert scorer.batches == [BATCH, 3, BATCH, 3]


def test_nothing_is_a_table_of_no_rows(collected, scorer):
    table = collected.table()
    assert table.schema == SCHEMA
    assert table.num_rows == 0
    assert scorer.batches == []


def test_wider_scores_are_stored_as_the_schema_says(collected, scorer):
    collected.add(member(0), samples.jpeg(1))
    table = collected.table()
    assert table.schema == SCHEMA
    image = np.full((1, SIZE, SIZE), 200, np.uint8)
    assert scorer.score(image)["ssim"].dtype == np.float64


def test_where_every_face_is_compared_a_row_has_a_value_for_each(scorer):
    rows = Rows(scorer, "/lot.tar", 1_000_000, exhaustive=True)
    rows.add(member(0), samples.jpeg(3))
    rows.add(member(1), Reason.ENCRYPTED)
    rows.flush()
    rows.add(member(2), samples.jpeg(200))
    first, rejected, last = rows.table().to_pylist()
    for name in COMPARISONS:
        assert len(first[name]) == len(last[name]) == 2
        assert rejected[name] is None
    for row in (first, last):
        assert row["ncc_shifted"] == pytest.approx([row["ncc"], 1 - row["ncc"]], abs=1e-6)


@pytest.mark.parametrize(
    ("size", "most"), [((8, 8), BATCH), ((128, 128), BATCH), ((256, 256), BATCH // 4), ((9000, 9000), 1)]
)
def test_larger_images_are_fewer_at_once(size, most):
    assert batch_of(size) == most
