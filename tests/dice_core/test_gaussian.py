import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from dice_core.gaussian import half_gaussian, smooth


@pytest.mark.parametrize("sigma", [0.2, 0.375, 1.5, 4])
def test_half_a_gaussian_and_its_mirror_image_sum_to_one(sigma):
    half = half_gaussian(sigma)
    assert half.dtype == np.float32
    assert 2 * half.sum() - half[0] == pytest.approx(1, abs=1e-6)
    assert (np.diff(half) <= 0).all()
    assert half[1] / half[0] == pytest.approx(np.exp(-0.5 / sigma**2), rel=1e-5)
    radius = max(1, round(3 * sigma))
    assert (half[: radius + 1] > 0).all()
    assert not half[radius + 1 :].any()
    assert (len(half) - 1) % 5 == 0


@settings(max_examples=40, deadline=None)
@given(
    st.integers(0, 1000),
    st.tuples(st.integers(0, 3), st.integers(1, 40), st.integers(1, 60)),
    st.floats(0.3, 8),
    st.booleans(),
)
def test_smooths_as_scipy_does(seed, shape, sigma, mirror):
    images = np.random.default_rng(seed).normal(0, 50, shape).astype(np.float32)
    radius = max(1, round(3 * sigma))
    mode = "reflect" if mirror else "constant"
    expected = ndimage.gaussian_filter(images, sigma, mode=mode, radius=radius, axes=(-2, -1))
    found = smooth(images, half_gaussian(sigma), mirror=mirror)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=1e-3)


def test_what_an_image_becomes_does_not_depend_on_those_before_it(rng):
    images = rng.normal(0, 50, (4, 20, 30)).astype(np.float32)
    for mirror in (False, True):
        whole = smooth(images, half_gaussian(2), mirror=mirror)
        np.testing.assert_array_equal(smooth(images[2:3], half_gaussian(2), mirror=mirror)[0], whole[2])
