import numpy as np
import pytest

from dice_core.reduction import reduce, reduce_image, shrink


def squares(images, factor):
    """Means of squares, beyond the image of its outermost pixels, (N, H, W)."""
    beyond = [(0, -side % factor) for side in images.shape[1:]]
    filled = np.pad(images.astype(np.float64), [(0, 0), *beyond], mode="edge")
    count, height, width = filled.shape
    cut = filled.reshape(count, height // factor, factor, width // factor, factor)
    return cut.mean(axis=(2, 4))


SHAPES = [(7, 9), (8, 12), (1, 5), (5, 1), (12, 7)]


@pytest.mark.parametrize("factor", [2, 3, 4, 5])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("kind", [np.float32, np.uint8])
def test_reducing_takes_means_of_squares_and_the_edge_goes_on(rng, factor, shape, kind):
    images = rng.uniform(0, 255, (2, *shape)).astype(kind)
    reduced = reduce(images, factor)
    assert reduced.dtype == np.float32
    np.testing.assert_allclose(reduced, squares(images, factor), rtol=1e-5)


@pytest.mark.parametrize("factor", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("shape", SHAPES)
def test_shrinking_rounds_the_same_to_whole_grey_levels(rng, factor, shape):
    images = rng.integers(0, 256, (2, *shape), np.uint8)
    small = shrink(images, factor)
    assert small.dtype == np.uint8
    np.testing.assert_array_equal(small, np.floor(squares(images, factor) + 0.5))


@pytest.mark.parametrize("grey", [0, 137, 255])
def test_a_level_image_is_as_level_reduced(grey):
    level = np.full((1, 10, 13), grey, np.uint8)
    for factor in (2, 3, 4):
        np.testing.assert_array_equal(shrink(level, factor), grey)
        np.testing.assert_array_equal(shrink(level[:, ::2, 1:], factor), grey)
        assert shrink(level[:0], factor).shape == (0, *reduce(level, factor).shape[1:])


def test_by_one_an_image_is_reduced_to_itself(rng):
    images = rng.uniform(0, 255, (2, 7, 9)).astype(np.float32)
    np.testing.assert_array_equal(reduce(images, 1), images)


def test_beyond_the_image_there_are_zeros(rng):
    image = rng.uniform(0, 255, (5, 7)).astype(np.float32)
    reduced = np.empty((2, 2), np.float32)
    reduce_image(image, 4, np.float32(0), np.empty(8, np.float32), reduced)
    padded = np.pad(image, ((0, 3), (0, 1))).reshape(2, 4, 2, 4)
    np.testing.assert_allclose(reduced, padded.mean(axis=(1, 3)), rtol=1e-5)
