import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dice_core.exposure import (
    CONTRAST_KEPT,
    GAIN_LIMIT,
    HEADROOM,
    LEAST_CEILING,
    LEVEL_QUANTILE,
    Evened,
    Exposure,
    even,
)
from dice_core.grid import Grid
from dice_core.reduction import shrink

WHOLE = np.ones((16, 16), bool)


def evened(images, part, exposure):
    """Images that are their own grid, evened, (N, H, W)."""
    squares = even(images, part, exposure).squares
    assert squares.shape == (len(images), 1, *images.shape[1:])
    return squares[:, 0]


def gain_of(image, part, exposure):
    """One from an interpolated quantile of the image's histogram."""
    histogram = np.bincount(image[part], minlength=256)
    reached = np.cumsum(histogram)
    rank = LEVEL_QUANTILE * reached[-1]
    grey = int(np.argmax(reached >= rank))
    own = grey - 0.5 + (rank - (reached[grey] - histogram[grey])) / max(histogram[grey], 1)
    return np.clip(exposure.level / max(own, 1), 1 / GAIN_LIMIT, GAIN_LIMIT)


def reference(images, part, exposure):
    """The gain of the reduced image, the ceiling on every pixel, and then means of squares."""
    _, factor, (rows, columns) = Grid.of(images.shape[1:])
    squares, gains = [], []
    for image in images:
        height, width = image.shape
        filled = np.pad(
            image.astype(float), ((0, factor * rows - height), (0, factor * (columns + 1) - width)), "edge"
        )
        small = filled[:, : factor * columns].reshape(rows, factor, columns, factor).mean(axis=(1, 3))
        gain = gain_of(np.floor(small + 0.5).astype(int), part, exposure)
        lit = np.minimum(filled * gain, exposure.ceiling)
        means = np.lib.stride_tricks.sliding_window_view(lit, (factor, factor)).mean(axis=(2, 3))
        squares.append([means[:, phase::factor][:, :columns] for phase in range(factor)])
        gains.append(gain)
    return Evened(np.array(squares), np.array(gains))


@settings(max_examples=25, deadline=None)
@given(
    st.integers(0, 1000),
    st.sampled_from(
        [
            *((9, 14), (64, 16), (20, 256)),
            *((128, 32), (129, 33), (150, 129)),
            *((192, 48), (50, 193), (197, 49)),
            *((255, 48), (67, 251), (130, 130)),
        ]
    ),
    st.integers(1, 256),
    st.floats(0, 1),
    st.floats(0, 255),
)
def test_evens_as_plain_numpy_does(seed, size, greys, share, level):
    rng = np.random.default_rng(seed)
    images = rng.integers(0, greys, (3, *size), np.uint8)
    part = rng.random(Grid.of(size).shape) < share
    exposure = Exposure(level, 1.1 * level)
    found, expected = even(images, part, exposure), reference(images, part, exposure)
    assert found.squares.dtype == found.gain.dtype == np.float32
    np.testing.assert_allclose(found.gain, expected.gain, rtol=1e-5)
    np.testing.assert_allclose(found.squares, expected.squares, rtol=1e-4, atol=1e-4)
    factor = Grid.of(size).factor
    np.testing.assert_array_equal(found.reduced, found.squares[:, 0, ::factor])
    assert found.reduced.flags.c_contiguous
    again = even(images, part, exposure, shrink(images, factor))
    np.testing.assert_array_equal(again.squares, found.squares)
    np.testing.assert_array_equal(again.gain, found.gain)


@pytest.mark.parametrize("side", [16, 128, 130])
def test_no_image_evens_to_none(side):
    _, factor, shape = Grid.of((side, side))
    none = even(np.empty((0, side, side), np.uint8), np.ones(shape, bool), Exposure(100, 110))
    assert none.squares.shape == (0, factor, factor * (shape[0] - 1) + 1, shape[1])
    assert none.gain.shape == (0,)
    assert none.reduced.shape == (0, *shape)


@pytest.mark.parametrize("shape", [(32, 32), (64, 63), (63, 64), (128, 64), (1, 1)])
def test_a_part_of_another_grid_is_refused(shape):
    with pytest.raises(ValueError, match=r"part of \d+x\d+ places is not of images of 128x130"):
        even(np.zeros((1, 128, 130), np.uint8), np.ones(shape, bool), Exposure(100, 110))


def test_highlights_are_cut_at_the_ceiling_and_what_is_darker_stays(rng):
    image = rng.integers(80, 101, (1, 16, 16), np.uint8)
    lit = image.copy()
    lit[0, 2:5, 2:5] = 255
    exposure = Exposure.of(image[0].astype(np.float32), WHOLE)
    before, after = evened(image, WHOLE, exposure)[0], evened(lit, WHOLE, exposure)[0]
    assert after.max() == np.float32(exposure.ceiling)
    assert after[2:5, 2:5] == pytest.approx(exposure.ceiling)
    np.testing.assert_allclose(after[6:], before[6:], rtol=0.02)


@pytest.mark.parametrize("gain", [0.6, 0.9, 1.2])
def test_a_gain_hardly_changes_the_evened_image(draw_faces, gain):
    images = draw_faces(1, 4)
    mean = images.mean(axis=0, dtype=np.float32)
    part = mean > 60
    exposure = Exposure.of(mean, part)
    dimmed = np.rint(np.minimum(images * gain, 255)).astype(np.uint8)
    assert np.abs(dimmed.astype(float) - images)[:, part].mean() > 8
    difference = evened(dimmed, part, exposure) - evened(images, part, exposure)
    assert np.abs(difference).max() < 4
    assert np.abs(difference).mean() < 1


def test_a_gain_is_limited():
    exposure = Exposure(200, 255)
    dark, black = np.full((1, 16, 16), 10, np.uint8), np.zeros((1, 16, 16), np.uint8)
    np.testing.assert_array_equal(evened(dark, WHOLE, exposure), 20)
    np.testing.assert_array_equal(evened(black, WHOLE, exposure), 0)
    bright = np.full((1, 16, 16), 250, np.uint8)
    np.testing.assert_array_equal(evened(bright, WHOLE, Exposure(10, 255)), 125)


def test_only_the_part_decides_the_gain(rng):
    images = np.repeat(rng.integers(50, 150, (1, 16, 16), np.uint8), 2, axis=0)
    part = WHOLE.copy()
    part[:4] = False
    images[1, :4] = 255
    one, other = evened(images, part, Exposure(100, 140))
    np.testing.assert_array_equal(one[4:], other[4:])


def test_the_ceiling_keeps_a_bright_pattern_that_covers_little_of_the_part():
    mean = np.full((16, 16), 60, np.float32)
    mean[:3, :3] = 220
    exposure = Exposure.of(mean, WHOLE)
    assert exposure.level == 60
    (found,) = evened(mean[None].astype(np.uint8), WHOLE, exposure)
    assert np.minimum(mean, exposure.ceiling).var() >= CONTRAST_KEPT * mean.var()
    assert found[:3, :3].min() - found[3:].max() > 0.95 * 160


def test_the_ceiling_of_a_dark_pattern_is_the_level_of_the_bright_surface():
    mean = np.full((16, 16), 200, np.float32)
    mean[:3, :3] = 20
    assert Exposure.of(mean, WHOLE) == Exposure(200, HEADROOM * 200)


@pytest.mark.parametrize("grey", [0, 128, 255])
def test_a_flat_part_has_its_grey_as_level(grey):
    expected = Exposure(grey, max(HEADROOM * grey, LEAST_CEILING))
    assert Exposure.of(np.full((16, 16), grey, np.float32), WHOLE) == expected


def test_a_bright_spot_on_a_dark_part_is_no_reflection():
    mean = np.full((16, 16), 40, np.float32)
    image = mean.astype(np.uint8)
    image[4:6, 4:6] = 150
    assert evened(image[None], WHOLE, Exposure.of(mean, WHOLE))[0, 4, 4] == pytest.approx(150, rel=0.02)


def test_a_part_of_one_pixel_evens_to_it():
    part = np.zeros((16, 16), bool)
    part[3, 4] = True
    mean = np.arange(256, dtype=np.float32).reshape(16, 16)
    exposure = Exposure.of(mean, part)
    assert exposure.level == 52
    found = evened(mean[None].astype(np.uint8), part, exposure)
    assert found[0, 3, 4] == pytest.approx(52, abs=0.5)


def test_highlights_are_cut_before_squares_are_taken():
    image = np.full((1, 128, 128), 100, np.uint8)
    image[0, 64:68, 60:70:2] = 255
    exposure = Exposure(100, 120)
    found = even(image, np.ones((64, 64), bool), exposure).reduced[0]
    assert found[32:34, 30:35] == pytest.approx((100 + exposure.ceiling) / 2, rel=5e-3)
    np.testing.assert_allclose(found[:32], 100, rtol=5e-3)
