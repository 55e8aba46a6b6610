import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from dice_core.residual import REGION_SHARE, SMOOTHING, gaussian_kernel, locate, peak, rebuild, smooth_squares

SHAPE = (24, 40)


def orthonormal(rng, count, size=SHAPE[0] * SHAPE[1]):
    return np.linalg.qr(rng.normal(size=(size, count)))[0].T.astype(np.float32)


def test_an_image_within_the_span_is_rebuilt_exactly(rng):
    components = orthonormal(rng, 5)
    centre = rng.uniform(50, 200, SHAPE).astype(np.float32)
    images = centre + (rng.normal(0, 300, (7, 5)) @ components).reshape(7, *SHAPE).astype(np.float32)
    rebuilt = rebuild(images, centre, components)
    assert rebuilt.dtype == np.float32
    np.testing.assert_allclose(rebuilt, images, atol=1e-3)


def test_rebuilding_is_a_projection(rng):
    components = orthonormal(rng, 5)
    centre = rng.uniform(50, 200, SHAPE).astype(np.float32)
    images = rng.uniform(0, 255, (3, *SHAPE)).astype(np.float32)
    once = rebuild(images, centre, components)
    np.testing.assert_allclose(rebuild(once, centre, components), once, atol=1e-3)
    np.testing.assert_allclose((images - once).reshape(3, -1) @ components.T, 0, atol=1e-2)


@pytest.mark.parametrize(("count", "variations"), [(3, 0), (0, 4), (0, 0)])
def test_without_variations_the_centre_is_rebuilt_and_without_images_none(rng, count, variations):
    centre = rng.uniform(50, 200, SHAPE).astype(np.float32)
    rebuilt = rebuild(np.zeros((count, *SHAPE), np.float32), centre, orthonormal(rng, variations))
    assert rebuilt.shape == (count, *SHAPE)
    if not variations:
        np.testing.assert_array_equal(rebuilt, np.broadcast_to(centre, rebuilt.shape))


@pytest.mark.parametrize("sigma", [0.2, 0.375, 1.5, 4])
def test_the_kernel_is_a_gaussian_of_sum_one(sigma):
    kernel = gaussian_kernel(sigma)
    assert kernel.dtype == np.float32
    assert kernel.sum() == pytest.approx(1, abs=1e-6)
    np.testing.assert_array_equal(kernel, kernel[::-1])
    assert len(kernel) == 2 * max(1, round(3 * sigma)) + 1
    middle = len(kernel) // 2
    assert kernel[middle + 1] / kernel[middle] == pytest.approx(np.exp(-0.5 / sigma**2), rel=1e-5)


@settings(max_examples=20, deadline=None)
@given(
    st.integers(0, 1000), st.sampled_from([(1, 1), (3, 5), (24, 40), (40, 24), (130, 20)]), st.integers(0, 3)
)
def test_smooths_squares_as_scipy_does(seed, shape, count):
    rng = np.random.default_rng(seed)
    residual = rng.normal(0, 10, (count, *shape)).astype(np.float32)
    dark, bright = rng.uniform(1, 20, (2, *shape)).astype(np.float32)
    squares = np.square(np.where(residual < 0, residual / dark, residual / bright), dtype=np.float64)
    kernel = gaussian_kernel(SMOOTHING * max(shape)).astype(np.float64)
    expected = ndimage.convolve1d(squares, kernel, axis=1, mode="constant")
    expected = ndimage.convolve1d(expected, kernel, axis=2, mode="constant")
    maps = smooth_squares(residual, dark, bright)
    assert maps.dtype == np.float32
    np.testing.assert_allclose(maps, expected, rtol=1e-4, atol=1e-6)


def test_what_is_too_dark_and_what_is_too_bright_have_a_spread_each():
    one, ten = np.ones(SHAPE, np.float32), np.full(SHAPE, 10, np.float32)
    residual = np.zeros((2, *SHAPE), np.float32)
    residual[0, 12, 20], residual[1, 12, 20] = -10, 10
    dark, bright = smooth_squares(residual, one, ten).max(axis=(1, 2))
    assert dark == pytest.approx(100 * bright, rel=1e-5)


def test_an_image_that_explains_itself_has_no_evidence():
    assert not smooth_squares(np.zeros((2, *SHAPE), np.float32), *np.ones((2, *SHAPE), np.float32)).any()


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 1000), st.floats(0.05, 1))
def test_the_box_holds_the_connected_region_of_the_peak(seed, share):
    rng = np.random.default_rng(seed)
    maps = ndimage.gaussian_filter(rng.normal(0, 1, (3, *SHAPE)), (0, 1.5, 1.5)).astype(np.float32) ** 2
    part = rng.random(SHAPE) < share
    part[3, 4] = True
    found = locate(maps, part)
    for n, evidence in enumerate(np.where(part, maps, 0)):
        labels, _ = ndimage.label((evidence >= REGION_SHARE * evidence.max()) & part)
        region = labels == labels[np.unravel_index(evidence.argmax(), SHAPE)]
        rows, columns = ndimage.find_objects(region.astype(int))[0]
        assert (found.x[n], found.y[n]) == (columns.start, rows.start)
        assert (found.width[n], found.height[n]) == (columns.stop - columns.start, rows.stop - rows.start)
        assert found.area[n] == region.sum()
        assert found.score[n] == pytest.approx(np.sqrt(evidence.max()))


def test_evidence_outside_the_part_counts_for_nothing():
    maps = np.full((1, *SHAPE), 4, np.float32)
    maps[0, 0, 0], maps[0, 10, 10] = 1000, 9
    part = np.ones(SHAPE, bool)
    part[:2] = False
    assert peak(maps, part) == 3
    found = locate(maps, part)
    assert (found.x[0], found.y[0], found.area[0]) == (10, 10, 1)


def test_a_larger_peak_elsewhere_is_another_region():
    maps = np.zeros((1, *SHAPE), np.float32)
    maps[0, 2:5, 2:6] = 8
    maps[0, 15:17, 30:37] = 9
    found = locate(maps, np.ones(SHAPE, bool))
    assert [int(values[0]) for values in found[1:]] == [30, 15, 7, 2, 14]


@pytest.mark.parametrize("where", [slice(0), slice(1)])
def test_no_evidence_or_no_part_scores_zero_and_stays_in_the_map(where):
    part = np.zeros(SHAPE, bool)
    part[where] = True
    found = locate(np.zeros((2, *SHAPE), np.float32), part)
    assert found.score.tolist() == [0, 0]
    assert (found.x >= 0).all()
    assert (found.x + found.width <= SHAPE[1]).all()
    assert (found.y + found.height <= SHAPE[0]).all()
    assert (found.area >= 1).all()


def test_without_images_nothing_is_located():
    found = locate(np.empty((0, *SHAPE), np.float32), np.ones(SHAPE, bool))
    assert [len(values) for values in found] == [0] * 6
