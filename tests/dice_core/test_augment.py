import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from dice_core import affine
from dice_core.augment import GAIN, ROTATION, SCALE, SHIFT, SPOT_GAIN, _shine, _transforms, augment

SHAPE = (20, 28)


def smooth(rng, count=2, shape=SHAPE):
    return (
        ndimage.gaussian_filter(rng.uniform(-700, 950, (count, *shape)), (0, 2, 2))
        .clip(0, 255)
        .astype(np.uint8)
    )


def warp(
    image,
    angle=0.0,
    scale=1.0,
    shift=(0.0, 0.0),
    gain=1.0,
    spot=0.0,
    middle=(0.0, 0.0),
    radius=(5.0, 5.0),
    turn=0.0,
):
    transforms = _transforms(np.array([angle]), np.array([scale]), np.array([shift], float))
    falloff = 0.5 / np.square(radius)
    light = np.array([[gain, spot, *middle, np.cos(turn), np.sin(turn), *falloff]], np.float32)
    drawn = np.empty((1, *image.shape), np.uint8)
    _shine(affine.warp(image[None].astype(np.float32), transforms), light, drawn)
    return drawn[0]


@settings(max_examples=25, deadline=None)
@given(
    st.integers(0, 1000),
    st.floats(-0.3, 0.3),
    st.floats(0.9, 1.1),
    st.tuples(st.floats(-4, 4), st.floats(-4, 4)),
    st.floats(0.8, 1.3),
    st.floats(-0.3, 0.9),
    st.floats(0, np.pi),
)
def test_warps_as_scipy_does(seed, angle, scale, shift, gain, spot, turn):
    rng = np.random.default_rng(seed)
    image = smooth(rng, 1)[0]
    middle, radius = rng.uniform(0, 20, 2), rng.uniform(2, 9, 2)
    centre = (np.array(SHAPE)[:, None, None] - 1) / 2
    grid = np.indices(SHAPE)
    rotation = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]) / scale
    source = np.einsum("ij,jhw->ihw", rotation, grid - centre - np.reshape(shift, (2, 1, 1))) + centre
    bounds = np.reshape(np.array(SHAPE) - 1, (2, 1, 1))
    posed = ndimage.map_coordinates(image.astype(float), np.clip(source, 0, bounds), order=1, mode="nearest")
    y, x = grid - middle[:, None, None]
    along, across = x * np.cos(turn) + y * np.sin(turn), y * np.cos(turn) - x * np.sin(turn)
    fades = np.exp(-0.5 * ((along / radius[0]) ** 2 + (across / radius[1]) ** 2))
    expected = np.clip(posed * gain * (1 + spot * fades), 0, 255)
    drawn = warp(image, angle, scale, shift, gain, spot, middle, radius, turn)
    assert np.abs(drawn - expected).max() < 0.51


def test_no_change_of_pose_and_light_gives_the_image_itself(rng):
    image = rng.integers(0, 256, SHAPE, np.uint8)
    np.testing.assert_array_equal(warp(image), image)


def test_a_shift_by_whole_pixels_moves_and_the_edge_goes_on(rng):
    image = rng.integers(0, 256, SHAPE, np.uint8)
    moved = warp(image, shift=(2, -3))
    np.testing.assert_array_equal(moved[2:, :-3], image[:-2, 3:])
    np.testing.assert_array_equal(moved[0, :-3], image[0, 3:])
    np.testing.assert_array_equal(moved[2:, -1], image[:-2, -1])


def test_a_half_turn_turns_about_the_middle(rng):
    image = rng.integers(0, 256, SHAPE, np.uint8)
    turned = warp(image, angle=np.pi)
    assert np.abs(turned.astype(int) - image[::-1, ::-1]).max() <= 1


def test_a_larger_scale_enlarges():
    image = np.zeros((41, 41), np.uint8)
    image[16:25, 16:25] = 200
    assert (warp(image, scale=1.5) > 100).sum() == pytest.approx(1.5**2 * 81, rel=0.1)


@pytest.mark.parametrize(("gain", "expected"), [(0.0, 0), (0.5, 100), (2.0, 255)])
def test_a_gain_multiplies_and_stays_in_range(gain, expected):
    np.testing.assert_array_equal(warp(np.full(SHAPE, 200, np.uint8), gain=gain), expected)


def test_a_spot_is_brightest_in_its_middle_and_fades():
    lit = warp(np.full(SHAPE, 100, np.uint8), spot=0.5, middle=(8, 12), radius=(3, 6))
    assert lit[8, 12] == 150
    assert lit[8, 15] == lit[14, 12] == round(100 * (1 + 0.5 * np.exp(-0.5)))
    assert lit[-1, -1] == 100


def test_equal_generators_draw_equal_copies_and_others_do_not(rng):
    images = smooth(rng)
    first, again, other = (augment(images, 2, np.random.default_rng(seed)) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


def test_the_copies_of_an_image_are_beside_each_other(rng):
    images = np.stack([np.full(SHAPE, 40, np.uint8), np.full(SHAPE, 180, np.uint8)])
    drawn = augment(images, 3, rng)
    assert drawn.shape == (6, *SHAPE)
    assert drawn.dtype == np.uint8
    assert drawn[:3].max() < 60
    assert drawn[3:].min() > 120
    assert len({copy.tobytes() for copy in drawn}) == 6


@pytest.mark.parametrize("side", [16, 300, 600])
def test_however_many_are_drawn_at_once_each_copy_is_of_its_image(rng, side):
    levels = np.array([40, 180] * max(3, 600 // side), np.uint8)
    images = np.broadcast_to(levels[:, None, None], (len(levels), side, side))
    # No gain or spot makes the dark ones as bright as the bright ones are at their dimmest.
    drawn = augment(images, 2, rng)
    np.testing.assert_array_equal(drawn.mean(axis=(1, 2)) > 100, np.repeat(levels == 180, 2))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("dice_core.augment._PIXELS_AT_ONCE", 1)
        one_by_one = augment(images, 2, np.random.default_rng(6))
    np.testing.assert_array_equal(augment(images, 2, np.random.default_rng(6)), one_by_one)


@pytest.mark.parametrize("count", [0, 2])
def test_no_image_or_no_copy_gives_none(rng, count):
    assert augment(smooth(rng)[:count], 2 - count, rng).shape == (0, *SHAPE)


def test_light_stays_within_what_is_stated(rng):
    drawn = augment(np.full((1, *SHAPE), 100, np.uint8), 300, rng)
    least, most = (1 - GAIN) * (1 + SPOT_GAIN[0]), (1 + GAIN) * (1 + SPOT_GAIN[1])
    assert 100 * least - 1 <= drawn.min() < 100 * (1 - GAIN)
    assert 100 * (1 + GAIN) < drawn.max() <= 100 * most + 1


def test_pose_stays_within_what_is_stated_and_makes_use_of_it(rng):
    side = 128
    image = np.zeros((1, side, side), np.uint8)
    image[0, 60:68, 100:108] = 250
    seen = np.array([ndimage.center_of_mass(copy) for copy in augment(image, 200, rng)])
    away = np.abs(seen - (63.5, 103.5))
    arm = 103.5 - (side - 1) / 2
    turned = np.deg2rad(ROTATION) * arm
    shifted = SHIFT * side
    assert turned < away[:, 0].max() < turned + shifted + 0.2
    assert shifted < away[:, 1].max() < SCALE * arm + shifted + 0.2
    assert np.abs(seen.mean(axis=0) - (63.5, 103.5)).max() < 0.5
