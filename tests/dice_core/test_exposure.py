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
    Exposure,
    even,
)

WHOLE = np.ones((16, 16), bool)


def reference(images, part, exposure):
    """One gain per image from an interpolated quantile of its histogram, then the ceiling."""
    evened = []
    for image in images:
        histogram = np.bincount(image[part], minlength=256)
        reached = np.cumsum(histogram)
        rank = LEVEL_QUANTILE * reached[-1]
        grey = int(np.argmax(reached >= rank))
        own = grey - 0.5 + (rank - (reached[grey] - histogram[grey])) / max(histogram[grey], 1)
        gain = np.clip(exposure.level / max(own, 1), 1 / GAIN_LIMIT, GAIN_LIMIT)
        evened.append(np.minimum(image * gain, exposure.ceiling))
    return np.array(evened, np.float32)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 1000), st.integers(1, 256), st.floats(0, 1), st.floats(0, 255))
def test_evens_as_plain_numpy_does(seed, greys, share, level):
    rng = np.random.default_rng(seed)
    images = rng.integers(0, greys, (3, 9, 14), np.uint8)
    part = rng.random((9, 14)) < share
    exposure = Exposure(level, 1.1 * level)
    evened = even(images, part, exposure)
    assert evened.dtype == np.float32
    np.testing.assert_allclose(evened, reference(images, part, exposure), rtol=1e-5, atol=1e-5)


def test_no_image_evens_to_none():
    assert even(np.empty((0, 16, 16), np.uint8), WHOLE, Exposure(100, 110)).shape == (0, 16, 16)


def test_highlights_are_cut_at_the_ceiling_and_what_is_darker_stays(rng):
    image = rng.integers(80, 101, (1, 16, 16), np.uint8)
    lit = image.copy()
    lit[0, 2:5, 2:5] = 255
    exposure = Exposure.of(image[0].astype(np.float32), WHOLE)
    before, after = even(image, WHOLE, exposure)[0], even(lit, WHOLE, exposure)[0]
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
    difference = even(dimmed, part, exposure) - even(images, part, exposure)
    assert np.abs(difference).max() < 4
    assert np.abs(difference).mean() < 1


def test_a_gain_is_limited():
    exposure = Exposure(200, 255)
    dark, black = np.full((1, 16, 16), 10, np.uint8), np.zeros((1, 16, 16), np.uint8)
    np.testing.assert_array_equal(even(dark, WHOLE, exposure), 20)
    np.testing.assert_array_equal(even(black, WHOLE, exposure), 0)
    bright = np.full((1, 16, 16), 250, np.uint8)
    np.testing.assert_array_equal(even(bright, WHOLE, Exposure(10, 255)), 125)


def test_only_the_part_decides_the_gain(rng):
    images = np.repeat(rng.integers(50, 150, (1, 16, 16), np.uint8), 2, axis=0)
    part = WHOLE.copy()
    part[:4] = False
    images[1, :4] = 255
    one, other = even(images, part, Exposure(100, 140))
    np.testing.assert_array_equal(one[4:], other[4:])


def test_the_ceiling_keeps_a_bright_pattern_that_covers_little_of_the_part():
    mean = np.full((16, 16), 60, np.float32)
    mean[:3, :3] = 220
    exposure = Exposure.of(mean, WHOLE)
    assert exposure.level == 60
    evened = even(mean[None].astype(np.uint8), WHOLE, exposure)[0]
    assert np.minimum(mean, exposure.ceiling).var() >= CONTRAST_KEPT * mean.var()
    assert evened[:3, :3].min() - evened[3:].max() > 0.95 * 160


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
    assert even(image[None], WHOLE, Exposure.of(mean, WHOLE))[0, 4, 4] == pytest.approx(150, rel=0.02)


def test_a_part_of_one_pixel_evens_to_it():
    part = np.zeros((16, 16), bool)
    part[3, 4] = True
    mean = np.arange(256, dtype=np.float32).reshape(16, 16)
    exposure = Exposure.of(mean, part)
    assert exposure.level == 52
    evened = even(mean[None].astype(np.uint8), part, exposure)
    assert evened[0, 3, 4] == pytest.approx(52, abs=0.5)
