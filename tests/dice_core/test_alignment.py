import numpy as np
import pytest

from dice_core.alignment import AT_ONCE, Alignment, mean_of
from dice_core.augment import augment


@pytest.fixture(scope="module")
def images(draw_faces):
    return draw_faces(1, 20, seed=4, side=64)


def sharpness(image):
    return np.hypot(*np.gradient(image)).max()


def test_what_is_laid_on_each_other_is_sharper_than_its_mean(images):
    moved = augment(images, 2, np.random.default_rng(0))
    alignment = Alignment.of(moved)
    assert sharpness(alignment.target) > sharpness(alignment.mean)
    before = np.abs(moved - moved.mean(axis=0))[:, alignment.part].mean()
    laid = alignment.align(moved)
    after = np.abs(laid - laid.mean(axis=0))[:, alignment.part].mean()
    assert after < 0.6 * before


def test_its_parts_are_of_one_size_and_kind(images):
    alignment = Alignment.of(images)
    for array in (alignment.mean, alignment.target):
        assert array.shape == (64, 64)
        assert array.dtype == np.float32
    assert alignment.part.dtype == np.bool_
    # A disc of radius 13 of 32, and a margin.
    assert 0.4 < alignment.part.mean() < 0.8


def test_one_image_is_its_own_target(images):
    alignment = Alignment.of(images[:1])
    np.testing.assert_array_equal(alignment.mean, images[0])
    np.testing.assert_allclose(alignment.align(images[:1])[0], alignment.target, atol=2)


def test_with_a_source_of_chance_images_lie_beside_and_by_equal_chance_alike(images):
    alignment = Alignment.of(images)
    steady = alignment.align(images)
    first, again = (alignment.align(images, np.random.default_rng(1)) for _ in range(2))
    np.testing.assert_array_equal(first, again)
    beside = np.abs(first - steady)[:, alignment.part].mean()
    assert 0.5 < beside < 10


@pytest.mark.parametrize(("side", "places"), [(128, 64), (130, 65), (199, 67), (261, 66)])
def test_images_are_laid_on_their_grid_and_the_mean_stays_as_it_was_photographed(draw_faces, side, places):
    images = draw_faces(1, 20, seed=4, side=side)
    alignment = Alignment.of(images)
    assert alignment.mean.shape == (side, side)
    assert alignment.part.shape == alignment.target.shape == (places, places)
    laid = alignment.align(images)
    assert laid.shape == (20, places, places)
    np.testing.assert_allclose(laid.mean(axis=0)[alignment.part], alignment.target[alignment.part], atol=3)


def test_images_are_laid_as_if_each_were_alone(draw_faces):
    images = draw_faces(1, 2 * AT_ONCE + 3, seed=4, side=128)
    alignment = Alignment.of(images)
    together = alignment.align(images)
    for at in (0, AT_ONCE - 1, AT_ONCE, 2 * AT_ONCE + 2):
        np.testing.assert_allclose(alignment.align(images[at : at + 1])[0], together[at], atol=1e-2)


def test_no_image_aligns_to_none(images):
    assert Alignment.of(images).align(images[:0]).shape == (0, 64, 64)


def test_a_mean_is_float32_whatever_the_kind(images):
    mean = mean_of(images)
    assert mean.dtype == np.float32
    np.testing.assert_allclose(mean, images.astype(np.float64).mean(axis=0), rtol=1e-6)
