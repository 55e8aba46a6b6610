from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dice_core.bank import Bank
from dice_core.learn import learn
from dice_core.rows import SCHEMA, SCORE_DIRECTIONS
from dice_core.score import NO_RUNNER_UP, Scorer, resize

COLUMNS = SCHEMA.names[SCHEMA.get_field_index("face") :]
BOX = ("defect_x", "defect_y", "defect_width", "defect_height")


@pytest.fixture(scope="module")
def images(draw_faces):
    """Good ones of both faces, defective ones, and pictures of no part at all."""
    stack = np.concatenate(
        [draw_faces(0, 8, seed=7), draw_faces(1, 8, seed=7), np.zeros((5, 32, 32), np.uint8)]
    )
    stack[2:4, 17:21, 9:13] = 5
    stack[16] = np.random.default_rng(0).integers(0, 256, (32, 32))
    stack[17, :, 16:] = 255
    stack[18] = 255
    stack[19, ::2] = 255
    return stack


@pytest.fixture(scope="module")
def scorer(learnt):
    return Scorer(learnt)


def test_the_columns_are_the_rows(scorer, images):
    found = scorer.score(images)
    assert sorted(found) == sorted(COLUMNS)
    for name in COLUMNS:
        kind = SCHEMA.field(name).type
        array = pa.array(found[name])
        assert found[name].shape == (len(images),)
        assert array.cast(kind).null_count == 0
        if not pa.types.is_string(kind):
            assert array.type == kind, name


def test_no_image_gives_columns_without_rows(scorer):
    found = scorer.score(np.empty((0, 32, 32), np.uint8))
    assert sorted(found) == sorted(COLUMNS)
    for name in COLUMNS:
        assert len(pa.array(found[name]).cast(SCHEMA.field(name).type)) == 0


def test_scores_are_finite_and_in_their_range_whatever_the_image(scorer, images):
    found = scorer.score(images)
    for name in SCORE_DIRECTIONS:
        assert np.isfinite(found[name]).all()
    for name in ("ncc", "ssim", "ssim_rebuilt", "ssim_low"):
        assert np.abs(found[name]).max() <= 1
    assert (found["ssim_low"] <= found["ssim_rebuilt"] + 1e-6).all()
    assert (found["defect_score"] >= 0).all()
    assert found["ncc_margin"].min() >= 0


def test_a_box_stays_in_the_photograph_and_holds_its_area(scorer, images):
    x, y, width, height = (scorer.score(images)[name] for name in BOX)
    area = scorer.score(images)["defect_area"]
    assert (np.minimum(x, y) >= 0).all()
    assert (np.maximum(x + width, y + height) <= 32).all()
    assert ((area >= 1) & (area <= width * height)).all()


@settings(max_examples=15, deadline=None)
@given(st.data())
def test_an_images_scores_do_not_depend_on_its_batch(scorer, images, data):
    chosen = data.draw(st.lists(st.integers(0, len(images) - 1), min_size=1, max_size=9))
    whole, some = scorer.score(images), scorer.score(images[chosen])
    for name in COLUMNS:
        if name in SCORE_DIRECTIONS:
            np.testing.assert_allclose(some[name], whole[name][chosen], rtol=1e-4, atol=1e-6)
        else:
            np.testing.assert_array_equal(some[name], whole[name][chosen])


@pytest.mark.parametrize(
    ("floor", "threshold", "verdict"),
    [
        (-1.0, np.inf, "good"),
        (-1.0, 0.0, "anomaly"),
        (2.0, np.inf, "unknown_part"),
        (2.0, 0.0, "unknown_part"),
    ],
)
def test_an_unknown_part_is_unknown_whatever_its_defect_score(learnt, images, floor, threshold, verdict):
    bank = replace(learnt, ncc_floor=floor, thresholds={"defect_score": threshold})
    assert set(Scorer(bank).score(images)["verdict"]) == {verdict}


def test_the_threshold_itself_is_an_anomaly_and_the_floor_itself_is_known(learnt, scorer, images):
    before = scorer.score(images)
    bank = replace(
        learnt,
        ncc_floor=float(before["ncc"][0]),
        thresholds={"defect_score": float(before["defect_score"][0])},
    )
    assert Scorer(bank).score(images)["verdict"][0] == "anomaly"
    above = {"defect_score": float(np.nextafter(before["defect_score"][0], np.float32(np.inf)))}
    assert Scorer(replace(bank, thresholds=above)).score(images)["verdict"][0] == "good"


def test_what_shows_no_part_is_unknown(scorer, images):
    found = scorer.score(images)["verdict"]
    assert set(found[16:]) == {"unknown_part"}
    assert "unknown_part" not in set(found[:16])


def test_the_margin_is_to_the_runner_up(learnt, scorer, images):
    alone = [Scorer(replace(learnt, faces=(face,))).score(images) for face in learnt.faces]
    both = scorer.score(images)
    reached = np.sort([found["ncc"] for found in alone], axis=0)
    np.testing.assert_allclose(both["ncc"], reached[1], atol=1e-6)
    np.testing.assert_allclose(both["ncc_margin"], reached[1] - reached[0], atol=1e-6)
    np.testing.assert_array_equal(alone[0]["ncc_margin"], alone[0]["ncc"] - NO_RUNNER_UP)


def test_a_mean_template_is_its_own_best_match(learnt, scorer):
    means = np.rint([face.mean for face in learnt.faces]).astype(np.uint8)
    found = scorer.score(means)
    assert found["face"].tolist() == ["one", "two"]
    np.testing.assert_allclose(found["ncc"], 1, atol=1e-3)
    np.testing.assert_allclose(found["ssim"], 1, atol=1e-2)


def test_a_scorer_says_what_its_bank_knows(scorer):
    assert (scorer.image_size, scorer.faces, scorer.anomaly_labels) == ((32, 32), ("one", "two"), ("ano",))


@pytest.mark.parametrize("side", [64, 80])
def test_a_smaller_working_size_boxes_in_pixels_of_the_photograph(draw_faces, sample_of, learning, side):
    photographs = draw_faces(0, 24, side=side)
    face = learn({"one": sample_of(photographs)}, learning)[0].face
    bank = Bank((side, side), (32, 32), (face,), (), 0.0, {"defect_score": 5.0}, frozenset())
    bad = photographs[:1].copy()
    top, left, size = int(0.6 * side), int(0.3 * side), int(0.15 * side)
    bad[0, top : top + size, left : left + size] = 5
    found = {
        name: int(values[0])
        for name, values in Scorer(bank).score(bad).items()
        if name in {*BOX, "defect_area"}
    }
    slack = 2.5 * side / 32
    assert found["defect_x"] == pytest.approx(left, abs=slack)
    assert found["defect_y"] == pytest.approx(top, abs=slack)
    assert found["defect_width"] == pytest.approx(size, abs=2 * slack)
    assert found["defect_height"] == pytest.approx(size, abs=2 * slack)
    assert 0.3 * size**2 < found["defect_area"] < 3 * size**2


@settings(max_examples=60)
@given(st.integers(1, 60), st.integers(1, 60), st.data())
def test_a_scaled_box_never_leaves_the_photograph(make_bank, make_face, size, more, data):
    side = size + more
    x = data.draw(st.integers(0, size - 1))
    width = data.draw(st.integers(1, size - x))
    bank = make_bank(image_size=(side, side), faces=(make_face(),))
    scorer = Scorer(bank)
    scorer._bank = replace(bank, size=(size, size))
    at, length = np.array([x, 0]), np.array([width, size])
    left, top, wide, high, area = scorer._in_photograph(at, at, length, length, np.array([1, size * size]))
    assert left.dtype == np.int32
    np.testing.assert_array_equal([left, wide], [top, high])
    assert (left >= 0).all()
    assert (wide >= 1).all()
    assert (left + wide <= side).all()
    assert (left[1], wide[1], area[1]) == (0, side, side * side)


def test_resizing_leaves_what_has_the_size_and_keeps_the_grey_of_the_rest(rng):
    images = rng.integers(0, 256, (2, 40, 60), np.uint8)
    assert resize(images, (40, 60)) is images
    smaller = resize(images, (20, 30))
    assert smaller.shape == (2, 20, 30)
    assert smaller.dtype == np.uint8
    np.testing.assert_allclose(smaller.mean(axis=(1, 2)), images.mean(axis=(1, 2)), atol=2)
    np.testing.assert_array_equal(resize(np.full((1, 40, 60), 137, np.uint8), (15, 22)), 137)
    assert resize(images[:0], (20, 30)).shape == (0, 20, 30)
