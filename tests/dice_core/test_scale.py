import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dice_core.scale import bring, has_aspect, to_photographs

sides = st.integers(1, 5000)
PLACES = ("defect_x", "defect_y", "defect_width", "defect_height")


@pytest.mark.parametrize(
    ("photograph", "fits"),
    [
        ((96, 128), True),
        ((192, 256), True),
        ((48, 64), True),
        ((3000, 4000), True),
        ((3000, 4001), True),
        ((3000, 4030), False),
        ((128, 96), False),
        ((97, 128), False),
        ((1, 1), False),
        ((96, 129), False),
    ],
)
def test_a_photograph_fits_where_one_scale_brings_both_sides_to_within_half_a_pixel(photograph, fits):
    assert has_aspect(photograph, (96, 128)) is fits


@given(st.tuples(sides, sides), st.integers(1, 9))
def test_a_multiple_fits_and_so_does_its_converse(size, factor):
    multiple = size[0] * factor, size[1] * factor
    assert has_aspect(multiple, size)
    assert has_aspect(size, multiple)


def test_what_is_brought_to_a_size_keeps_its_light_and_has_no_aliasing():
    y, x = np.mgrid[:256, :256]
    gentle = np.rint(120 + 60 * np.sin(x / 40) * np.cos(y / 30)).astype(np.uint8)
    small = bring(gentle, (64, 64))
    assert small.shape == (64, 64)
    assert small.dtype == np.uint8
    means = gentle.reshape(64, 4, 64, 4).mean(axis=(1, 3))
    assert np.abs(small - means).max() <= 1
    stripes = np.where(x % 2, 255, 0).astype(np.uint8)
    assert np.ptp(bring(stripes, (50, 50))[2:-2, 2:-2]) < 20
    assert np.abs(bring(small, (256, 256)).astype(int) - gentle).max() <= 4


def columns(*rows):
    names = (*PLACES, "defect_peak_x", "defect_peak_y", "defect_area", "defect_dark", "defect_bright", "ncc")
    return dict(zip(names, np.array(rows).T, strict=True))


def test_places_are_those_of_the_photograph():
    found = columns((4, 6, 3, 2, 5, 7, 6, 4, 2, 1), (4, 6, 3, 2, 5, 7, 6, 4, 2, 1))
    moved = to_photographs(found, np.array([2.0, 1.0]), np.array([3.0, 1.0]))
    assert [moved[name].tolist() for name in PLACES] == [[12, 4], [12, 6], [9, 3], [4, 2]]
    assert [moved[name].tolist() for name in ("defect_peak_x", "defect_peak_y")] == [[16, 5], [15, 7]]
    assert [moved[name].tolist() for name in ("defect_area", "defect_dark", "defect_bright")] == [
        [36, 6],
        [24, 4],
        [12, 2],
    ]
    assert moved["ncc"].tolist() == [1, 1]
    assert {moved[name].dtype for name in PLACES} == {np.dtype(np.int32)}


def test_translations_are_those_of_the_photograph():
    found = columns((0, 0, 1, 1, 0, 0, 1, 0, 0, 0)) | {
        "shift_x": np.array([[1, -2]]),
        "shift_y": np.array([[0, 4]]),
    }
    moved = to_photographs(found, np.array([0.5]), np.array([3.0]))
    assert (moved["shift_x"].tolist(), moved["shift_y"].tolist()) == ([[3, -6]], [[0, 2]])


@given(st.data(), st.floats(0.05, 40), st.floats(0.05, 40))
def test_no_box_leaves_the_photograph_and_none_is_empty(data, down, across):
    side = 64
    x, y = data.draw(st.integers(0, side - 1)), data.draw(st.integers(0, side - 1))
    width, height = data.draw(st.integers(1, side - x)), data.draw(st.integers(1, side - y))
    down, across = max(1, round(side * down)) / side, max(1, round(side * across)) / side
    found = columns((x, y, width, height, x, y, width * height, 0, 0, 0))
    moved = {k: v[0] for k, v in to_photographs(found, np.array([down]), np.array([across])).items()}
    assert 0 <= moved["defect_x"] < moved["defect_x"] + moved["defect_width"] <= round(side * across)
    assert 0 <= moved["defect_y"] < moved["defect_y"] + moved["defect_height"] <= round(side * down)
    assert 0 <= moved["defect_peak_x"] < round(side * across)
    assert 1 <= moved["defect_area"] <= moved["defect_width"] * moved["defect_height"]
