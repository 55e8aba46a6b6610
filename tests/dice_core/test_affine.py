import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from dice_core import affine
from dice_core.affine import box_in_image, compose, identity, inverse, jitter, lay, warp


def pose(turn=0.0, scale=1.0, shear=0.0, x=0.0, y=0.0):
    """One transform from target to image."""
    angle = np.deg2rad(turn)
    cosine, sine = scale * np.cos(angle), scale * np.sin(angle)
    return np.array([[[cosine, shear - sine, x], [sine, cosine, y]]], np.float32)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6), st.integers(2, 40), st.integers(2, 40))
def test_warps_as_scipy_does(seed, height, width):
    rng = np.random.default_rng(seed)
    image = rng.uniform(0, 255, (1, height, width)).astype(np.float32)
    transform = pose(rng.uniform(-20, 20), rng.uniform(0.8, 1.2), 0.05, *rng.uniform(-5, 5, 2))
    y, x = np.indices((height, width)).astype(float)
    middle_y, middle_x = (height - 1) / 2, (width - 1) / 2
    across = transform[0] @ np.stack([x - middle_x, y - middle_y, np.ones_like(x)]).reshape(3, -1)
    source = np.stack([across[1] + middle_y, across[0] + middle_x]).reshape(2, height, width)
    source = np.clip(source, 0, np.reshape([height - 1, width - 1], (2, 1, 1)))
    expected = ndimage.map_coordinates(image[0].astype(float), source, order=1)
    np.testing.assert_allclose(warp(image, transform)[0], expected, atol=0.05)


def test_the_identity_warps_to_the_image_itself(rng):
    images = rng.uniform(0, 255, (2, 20, 31)).astype(np.float32)
    np.testing.assert_allclose(warp(images, np.repeat(pose(), 2, axis=0)), images, atol=1e-4)


def sliding(image, factor):
    """Means of the squares of a larger image that begin at each of its pixels."""
    windows = np.lib.stride_tricks.sliding_window_view(image.astype(np.float64), (factor, factor))
    return windows.mean(axis=(2, 3))


def squares_of(image, factor, height, width):
    """Its squares as they are laid, (1, F, F * (H - 1) + 1, W); it is larger by the last squares' reach."""
    means = sliding(image, factor)[: factor * (height - 1) + 1]
    phases = [means[:, phase::factor][:, :width] for phase in range(factor)]
    return np.stack(phases)[None].astype(np.float32)


def looked_up(means, transform, factor, height, width):
    """Interpolate bilinearly in the sliding means where each place of the grid is sent."""
    y, x = np.indices((height, width)).reshape(2, -1) - np.reshape(
        [(height - 1) / 2, (width - 1) / 2], (2, 1)
    )
    across, down = transform[:, :2].astype(float) @ np.stack([x, y]) + transform[:, 2:]
    down, across = factor * (down + (height - 1) / 2), factor * (across + (width - 1) / 2)
    down = np.clip(down, 0, factor * (height - 1)).reshape(height, width)
    across = np.clip(across, 0, factor * (width - 1)).reshape(height, width)
    return ndimage.map_coordinates(means, [down, across], order=1)


SHIFTS = st.floats(-1.5, 1.5)


@settings(max_examples=80, deadline=None)
@given(
    st.integers(1, 5),
    st.tuples(st.integers(2, 30), st.integers(2, 30)),
    st.tuples(st.floats(-180, 180) | st.floats(-4, 4), st.floats(0.7, 1.3), st.floats(-0.1, 0.1)),
    st.tuples(SHIFTS, SHIFTS),
    st.integers(0, 1000),
)
def test_squares_are_laid_by_interpolation_between_those_that_begin_at_each_pixel(
    factor, shape, linear, shift, seed
):
    height, width = shape
    rng = np.random.default_rng(seed)
    image = rng.uniform(0, 255, (factor * height + factor, factor * width + factor))
    # Beyond the edge by more than the image is long, on either side.
    transform = pose(*linear, shift[0] * width, shift[1] * height)
    expected = looked_up(sliding(image, factor), transform[0], factor, height, width)
    laid = lay(squares_of(image, factor, height, width), transform)
    assert laid.shape == (1, height, width)
    assert laid.dtype == np.float32
    np.testing.assert_allclose(laid[0], expected, atol=0.05)


@pytest.mark.parametrize("factor", [1, 2, 3, 4])
def test_unmoved_squares_are_laid_as_they_are_and_moved_by_one_pixel_as_those_beside(rng, factor):
    height, width = 9, 12
    image = rng.uniform(0, 255, (factor * height + factor, factor * width + factor))
    squares = np.repeat(squares_of(image, factor, height, width), 3, axis=0)
    moves = np.concatenate([pose(), pose(x=1 / factor), pose(y=-1 / factor)])
    still, right, up = lay(squares, moves)
    means = sliding(image, factor)
    rows, columns = factor * np.arange(height), factor * np.arange(width)
    np.testing.assert_allclose(still, means[np.ix_(rows, columns)], atol=1e-2)
    np.testing.assert_allclose(right[:, :-1], means[np.ix_(rows, columns[:-1] + 1)], atol=1e-2)
    np.testing.assert_allclose(up[1:], means[np.ix_(rows[1:] - 1, columns)], atol=1e-2)


def test_squares_are_laid_where_there_is_room_for_them(rng):
    squares = rng.uniform(0, 255, (2, 2, 9, 6)).astype(np.float32)
    room = np.full((2, 5, 6), np.nan, np.float32)
    assert lay(squares, identity(2), room) is room
    np.testing.assert_array_equal(room, lay(squares, identity(2)))
    assert lay(squares[:0], identity(0)).shape == (0, 5, 6)


def test_there_and_back_again_is_nowhere(rng):
    transforms = np.concatenate([pose(*rng.uniform(-3, 3, 1), 1.04, 0.02, 2, -3), pose(5, 0.96, 0, -1, 1)])
    back = inverse(transforms)
    points = rng.uniform(-20, 20, (2, 9))
    sent = transforms[:, :, :2] @ points + transforms[:, :, 2:]
    np.testing.assert_allclose(back[:, :, :2] @ sent + back[:, :, 2:], [points, points], atol=1e-4)


def test_jitter_spreads_as_is_stated(rng):
    moved = compose(np.repeat(pose(), 4000, axis=0), jitter(4000, 64, rng))
    assert moved.dtype == np.float32
    linear, shift = moved[:, :, :2] - np.eye(2), moved[:, :, 2]
    assert linear.std(axis=0) == pytest.approx(affine.JITTER_LINEAR, rel=0.08)
    assert shift.std(axis=0) == pytest.approx(affine.JITTER_SHIFT * 64, rel=0.08)
    assert np.abs(moved.mean(axis=0) - pose()[0]).max() < 0.05


def test_jitter_is_about_where_an_image_lies():
    own = pose(4, 1.1, 0, 3, -2)
    moved = compose(np.repeat(own, 4000, axis=0), jitter(4000, 64, np.random.default_rng(5)))
    np.testing.assert_allclose(moved.mean(axis=0), own[0], atol=0.05)


@settings(max_examples=40)
@given(st.integers(0, 10**6))
def test_a_box_holds_where_its_pixels_are_sent(seed):
    rng = np.random.default_rng(seed)
    height, width = 40, 56
    transform = pose(rng.uniform(-5, 5), rng.uniform(0.95, 1.05), 0.02, *rng.uniform(-3, 3, 2))
    x, y = rng.integers(8, 30, 2)
    w, h = rng.integers(1, 9, 2)
    left, top, right, bottom = (
        edge[0] for edge in box_in_image(transform, (height, width), *(np.array([v]) for v in (x, y, w, h)))
    )
    v, u = np.mgrid[y : y + h, x : x + w].reshape(2, -1)
    centres = np.stack([u - (width - 1) / 2, v - (height - 1) / 2, np.ones(len(u))])
    sent_x, sent_y = transform[0] @ centres
    sent_x, sent_y = sent_x + width / 2, sent_y + height / 2
    assert (sent_x >= left - 1e-3).all()
    assert (sent_x <= right + 1e-3).all()
    assert (sent_y >= top - 1e-3).all()
    assert (sent_y <= bottom + 1e-3).all()
    assert right - left < 1.3 * (w + h)
    assert bottom - top < 1.3 * (w + h)


def test_a_box_that_does_not_move_is_itself_and_one_beyond_the_edge_is_cut():
    args = (np.array([0, 5]), np.array([0, 30]), np.array([56, 3]), np.array([40, 4]))
    still = box_in_image(np.repeat(pose(), 2, axis=0), (40, 56), *args)
    np.testing.assert_allclose(np.transpose(still), [[0, 0, 56, 40], [5, 30, 8, 34]])
    left, top, right, bottom = box_in_image(np.repeat(pose(x=-70, y=80), 2, axis=0), (40, 56), *args)
    np.testing.assert_array_equal([left, right], [[0, 0], [1, 1]])
    np.testing.assert_array_equal([top, bottom], [[39, 39], [40, 40]])


def test_far_away_there_is_the_outermost_pixel(rng):
    images = rng.uniform(0, 255, (3, 9, 11)).astype(np.float32)
    away = np.concatenate([pose(x=400), pose(y=-400), pose(turn=90, x=-400, y=400)])
    found = warp(images, away)
    np.testing.assert_array_equal(found[0], np.repeat(images[0][:, -1:], 11, axis=1))
    np.testing.assert_array_equal(found[1], np.repeat(images[1][:1], 9, axis=0))
    np.testing.assert_array_equal(found[2], np.full((9, 11), images[2, -1, 0]))


def test_the_identity_is_one_for_each():
    np.testing.assert_array_equal(identity(3), np.repeat(pose(), 3, axis=0))
    assert identity(0).shape == (0, 2, 3)
