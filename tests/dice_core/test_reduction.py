import numpy as np
import pytest

from dice_core.reduction import reduce, reduce_image


@pytest.mark.parametrize("factor", [2, 3])
def test_reducing_takes_means_of_squares(rng, factor):
    images = rng.uniform(0, 255, (2, 7, 9)).astype(np.float32)
    reduced = reduce(images, factor)
    assert reduced.shape == (2, 7 // factor, 9 // factor)
    for y, x in np.ndindex(reduced.shape[1:]):
        square = images[1, factor * y : factor * (y + 1), factor * x : factor * (x + 1)]
        np.testing.assert_allclose(reduced[1, y, x], square.mean(), rtol=1e-5)


def test_by_one_an_image_is_reduced_to_itself(rng):
    images = rng.uniform(0, 255, (2, 7, 9)).astype(np.float32)
    np.testing.assert_array_equal(reduce(images, 1), images)


def test_beyond_the_image_there_are_zeros(rng):
    image = rng.uniform(0, 255, (5, 7)).astype(np.float32)
    reduced = np.empty((2, 2), np.float32)
    reduce_image(image, 4, np.empty(8, np.float32), reduced)
    padded = np.pad(image, ((0, 3), (0, 1))).reshape(2, 4, 2, 4)
    np.testing.assert_allclose(reduced, padded.mean(axis=(1, 3)), rtol=1e-5)
