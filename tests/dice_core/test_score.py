from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from dice_core.bank import Bank
from dice_core.grid import Grid
from dice_core.learn import Learning, learn
from dice_core.region import Defect
from dice_core.rows import SCHEMA, SCORE_DIRECTIONS
from dice_core.score import NO_RUNNER_UP, Scorer, resize

COLUMNS = SCHEMA.names[SCHEMA.get_field_index("face") : SCHEMA.get_field_index("ncc_shifted")]
BOX = ("defect_x", "defect_y", "defect_width", "defect_height")
PLACES = (
    *("defect_peak_x", "defect_peak_y", *BOX),
    *("defect_area", "defect_regions", "defect_dark", "defect_bright"),
)


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
def test_a_peak_and_its_box_are_told_in_pixels_of_the_photograph(draw_faces, sample_of, learning, side):
    photographs = draw_faces(0, 24, side=side)
    face = learn({"one": sample_of(photographs)}, learning)[0].face
    bank = Bank((side, side), (32, 32), (face,), (), 0.0, {"defect_score": 15.0}, frozenset())
    bad = photographs[:1].copy()
    top, left, size = int(0.6 * side), int(0.3 * side), int(0.15 * side)
    bad[0, top : top + size, left : left + size] = 5
    # As on a day when the camera hung a little elsewhere: places are those of this photograph all the same.
    moved = ndimage.shift(bad[0], (0.03 * side, -0.02 * side), order=1, mode="nearest")[None]
    for images, at in ((bad, (top, left)), (moved, (top + 0.03 * side, left - 0.02 * side))):
        found = {name: values[0] for name, values in Scorer(bank).score(images).items()}
        slack = 2.5 * side / 32
        assert found["defect_score"] > 15
        assert at[0] - slack < found["defect_peak_y"] < at[0] + size + slack
        assert at[1] - slack < found["defect_peak_x"] < at[1] + size + slack
        assert found["defect_x"] == pytest.approx(at[1], abs=slack)
        assert found["defect_y"] == pytest.approx(at[0], abs=slack)
        assert found["defect_width"] == pytest.approx(size, abs=2 * slack)
        assert found["defect_height"] == pytest.approx(size, abs=2 * slack)
        assert 0.3 * size**2 < found["defect_area"] < 3 * size**2
        assert found["defect_regions"] >= 1
        assert 0.2 * size**2 < found["defect_dark"] < 6 * size**2
        assert found["defect_bright"] < found["defect_dark"]


@settings(max_examples=60)
@given(st.integers(2, 60) | st.integers(120, 300), st.integers(0, 60), st.integers(0, 10**6))
def test_a_scaled_box_never_leaves_the_photograph(make_bank, make_face, size, more, seed):
    rng = np.random.default_rng(seed)
    side = size + more
    scorer = Scorer(make_bank(image_size=(side, side), faces=(make_face(),)))
    scorer._bank, scorer._grid = replace(scorer._bank, size=(size, size)), Grid.of((size, size))
    places = scorer._grid.shape[0]
    transforms = np.repeat(np.eye(2, 3, dtype=np.float32)[None], 9, axis=0)
    transforms[1:] += rng.normal(0, 0.05, (8, 2, 3)) * [1, 1, places]
    x, y = rng.integers(0, places, (2, 9))
    width, height = rng.integers(1, places - x + 1), rng.integers(1, places - y + 1)
    x[0], y[0], width[0], height[0] = 0, 0, places, places
    x[1], y[1], width[1], height[1] = places - 1, places - 1, 1, 1
    area, one = width * height, np.ones(9, np.int32)
    defect = Defect(np.ones(9, np.float32), x, y, x, y, width, height, area, one, area, one)
    found = dict(zip(PLACES, scorer._in_photograph(defect, transforms), strict=True))
    left, top, wide, high = (found[name] for name in BOX)
    assert {values.dtype for values in found.values()} == {np.dtype(np.int32)}
    for low, length, peak in ((left, wide, found["defect_peak_x"]), (top, high, found["defect_peak_y"])):
        assert (low >= 0).all()
        assert (length >= 1).all()
        assert (low + length <= side).all()
        assert ((peak >= 0) & (peak < side)).all()
    assert ((found["defect_area"] >= 1) & (found["defect_area"] <= wide * high)).all()
    assert (left[0], top[0], wide[0], high[0], found["defect_area"][0]) == (0, 0, side, side, side * side)
    assert found["defect_dark"][0] == side * side


@pytest.mark.parametrize("side", [32, 48])
def test_maps_show_where_a_photograph_is_beyond_the_threshold_and_to_which_side(
    draw_faces, sample_of, learning, side
):
    photographs = draw_faces(0, 24, side=side)
    face = learn({"one": sample_of(photographs)}, learning)[0].face
    bank = Bank((side, side), (32, 32), (face,), (), 0.0, {"defect_score": 4.0}, frozenset())
    bad = photographs[:3].copy()
    size = side // 6
    bad[0, side // 2 + size : side // 2 + 2 * size, side // 3 : side // 3 + size] = 0
    bad[1, side // 2 - size // 4 : side // 2 + size // 4 + 1, side // 2 - 1 : side // 2 + 1] = 180  # a glint
    maps = Scorer(bank).maps(bad)
    found = Scorer(bank).score(bad)
    assert maps.shape == bad.shape
    assert maps.dtype == np.float32
    for at, sign in ((0, -1), (1, 1)):
        y, x = np.unravel_index((sign * maps[at]).argmax(), (side, side))
        assert sign * maps[at, y, x] == np.abs(maps[at]).max() > 1
        top, left = found["defect_y"][at], found["defect_x"][at]
        assert -1 <= y - top <= found["defect_height"][at]
        assert -1 <= x - left <= found["defect_width"][at]
        # Of a level defect two places may have as much.
        peak = sign * maps[at, found["defect_peak_y"][at], found["defect_peak_x"][at]]
        assert peak > 0.8 * sign * maps[at, y, x]
        # Looked up between pixels, twice, a peak is a little lower.
        assert 0.7 < abs(maps[at, y, x]) / (found["defect_score"][at] / 4) < 1.01
    assert np.abs(maps[2]).max() < 0.7 * np.abs(maps[:2]).max(axis=(1, 2)).min()
    corner = side // 16
    assert not maps[:, :corner, :corner].any()
    assert Scorer(bank).maps(bad[:0]).shape == (0, side, side)


def test_an_unsteady_scorer_lays_images_beside_their_place_and_by_the_same_chance_alike(learnt, images):
    steady = Scorer(learnt).score(images[:16])
    first, again = (Scorer(learnt, np.random.default_rng(3)).score(images[:16]) for _ in range(2))
    np.testing.assert_array_equal(first["defect_score"], again["defect_score"])
    assert (first["defect_score"] != steady["defect_score"]).all()
    np.testing.assert_array_equal(first["ncc"], steady["ncc"])


def test_resizing_leaves_what_has_the_size_and_keeps_the_grey_of_the_rest(rng):
    images = rng.integers(0, 256, (2, 40, 60), np.uint8)
    assert resize(images, (40, 60)) is images
    smaller = resize(images, (20, 30))
    assert smaller.shape == (2, 20, 30)
    assert smaller.dtype == np.uint8
    np.testing.assert_allclose(smaller.mean(axis=(1, 2)), images.mean(axis=(1, 2)), atol=2)
    np.testing.assert_array_equal(resize(np.full((1, 40, 60), 137, np.uint8), (15, 22)), 137)
    assert resize(images[:0], (20, 30)).shape == (0, 20, 30)


def test_comparing_with_every_face_gives_the_lists_of_a_row(learnt, images):
    compared = Scorer(learnt).compare(images)
    assert sorted(compared) == sorted(SCHEMA.names[SCHEMA.get_field_index("ncc_shifted") :])
    scored = Scorer(learnt).score(images)
    own = [["one", "two"].index(face) for face in scored["face"]]
    for name, values in compared.items():
        assert values.shape == (len(images), 2)
        assert pa.array(values[:, 0]).type == SCHEMA.field(name).type.value_type
    np.testing.assert_allclose(compared["ssim_faces"][np.arange(len(images)), own], scored["ssim"], atol=1e-6)


def test_translations_are_in_pixels_of_the_photograph(learnt):
    double = replace(learnt, image_size=(64, 64))
    mean = np.kron(learnt.faces[0].mean, np.ones((2, 2)))
    moved = np.roll(np.rint(mean).astype(np.uint8), (2, -2), axis=(0, 1))[None]
    compared = Scorer(double).compare(moved)
    assert (compared["shift_y"][0, 0], compared["shift_x"][0, 0]) == (2, -2)


FORMATS = [
    *[((128, 128), (128, 128)), ((130, 130), (130, 130)), ((150, 129), (150, 129)), ((129, 150), (129, 150))],
    *[
        ((131, 200), (131, 200)),
        ((260, 257), (260, 257)),
        ((391, 300), (391, 300)),
        ((256, 20), (256, 20)),
        ((20, 256), (20, 256)),
    ],
    *[((300, 258), (150, 129)), ((225, 194), (150, 129)), ((259, 259), (130, 130))],
]
"""Heights and widths of photographs, and those they are worked on in: squares cover them or reach beyond."""


@pytest.fixture(scope="module", params=FORMATS, ids=str)
def shaped(request, draw_faces, sample_of):
    """Photographs of a format, the place of a blot on the first, and a scorer that learnt the others."""
    (height, width), size = request.param
    side = max(height, width)
    down, right = (side - height) // 2, (side - width) // 2
    photographs = draw_faces(0, 13, side=side)[:, down : down + height, right : right + width].copy()
    learning = Learning(size, components=4, copies=1, least=0)
    face = learn({"one": sample_of(photographs[1:])}, learning)[0].face
    scorer = Scorer(Bank((height, width), size, (face,), (), 0.0, {"defect_score": 8.0}, frozenset()))
    blot = max(3, min(side // 12, min(height, width) // 3))
    top, left = int(0.55 * height), (width - blot) // 2 + min(width // 8, 10)
    photographs[0, top : top + blot, left : left + blot] = 5
    return photographs, (top, left, blot), scorer


def test_whatever_the_format_a_blot_is_found_and_told_where_it_is(shaped):
    photographs, (top, left, blot), scorer = shaped
    found = {name: values[0] for name, values in scorer.score(photographs[:1]).items()}
    # A pixel of the grid on either side, and what the outline is smoothed by.
    slack = 1.5 + 2.5 * max(photographs.shape[1:]) / 100
    assert found["verdict"] == "anomaly"
    assert top - slack <= found["defect_peak_y"] < top + blot + slack
    assert left - slack <= found["defect_peak_x"] < left + blot + slack
    assert found["defect_x"] == pytest.approx(left, abs=slack)
    assert found["defect_y"] == pytest.approx(top, abs=slack)
    assert found["defect_x"] + found["defect_width"] == pytest.approx(left + blot, abs=slack)
    assert found["defect_y"] + found["defect_height"] == pytest.approx(top + blot, abs=slack)


def test_whatever_the_format_maps_are_of_the_photographs_size_and_point_at_the_blot(shaped):
    photographs, (top, left, blot), scorer = shaped
    stages = scorer.stages(photographs[:2])
    slack = 1.5 + 2.5 * max(photographs.shape[1:]) / 100
    for shown in (stages.rebuilt, stages.difference, stages.evidence):
        assert shown.shape == photographs[:2].shape
        assert np.isfinite(shown).all()
    y, x = np.unravel_index(stages.evidence[0].argmin(), photographs.shape[1:])
    assert stages.evidence[0, y, x] < -1 < stages.evidence[1].min()
    assert top - slack <= y < top + blot + slack
    assert left - slack <= x < left + blot + slack
    away = np.abs(stages.rebuilt[1] - photographs[1])
    assert np.median(away) < 4


def test_whatever_the_format_and_the_picture_places_stay_inside(shaped):
    photographs, _, scorer = shaped
    rng = np.random.default_rng(2)
    height, width = photographs.shape[1:]
    pictures = np.concatenate([photographs[:2], np.zeros((6, height, width), np.uint8)])
    pictures[2] = rng.integers(0, 256, (height, width))
    pictures[3, -2:] = pictures[4, :, -2:] = pictures[5, -3:, -3:] = pictures[6] = 255
    found = scorer.score(pictures)
    x, y, wide, high = (found[name] for name in BOX)
    assert (np.minimum(x, y) >= 0).all()
    assert (np.minimum(wide, high) >= 1).all()
    assert (x + wide <= width).all()
    assert (y + high <= height).all()
    assert ((found["defect_area"] >= 1) & (found["defect_area"] <= wide * high)).all()
    assert ((found["defect_peak_x"] >= 0) & (found["defect_peak_x"] < width)).all()
    assert ((found["defect_peak_y"] >= 0) & (found["defect_peak_y"] < height)).all()
    assert (found["defect_dark"] <= height * width).all()
    assert (found["defect_bright"] <= height * width).all()
