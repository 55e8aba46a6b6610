import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from dice_core.residual import SMOOTHING, SURROUND, band_pass, evidence, rebuild

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


def test_an_image_is_rebuilt_where_there_is_room_for_it(rng):
    centre = rng.uniform(50, 200, SHAPE).astype(np.float32)
    components, images = orthonormal(rng, 4), rng.uniform(0, 255, (3, *SHAPE)).astype(np.float32)
    room = np.full_like(images, np.nan)
    assert rebuild(images, centre, components, room) is room
    np.testing.assert_array_equal(room, rebuild(images, centre, components))


def filtered(image, sigma):
    """A Gaussian filter out to 3 sigma, zeros beyond the image."""
    radius = max(1, round(3 * sigma))
    return ndimage.gaussian_filter(
        image.astype(np.float64), sigma, mode="constant", radius=radius, axes=(-2, -1)
    )


@settings(max_examples=20, deadline=None)
@given(
    st.integers(0, 1000), st.sampled_from([(1, 1), (3, 5), (24, 40), (40, 24), (130, 20)]), st.integers(0, 3)
)
def test_the_band_is_a_difference_of_gaussians_where_both_have_one_sign(seed, shape, count):
    rng = np.random.default_rng(seed)
    residual = rng.normal(0, 10, (count, *shape)).astype(np.float32)
    narrow, wide = (filtered(residual, sigma * max(shape)) for sigma in (SMOOTHING, SURROUND))
    least, most = np.minimum(narrow, 0), np.maximum(narrow, 0)
    passed = band_pass(residual)
    assert passed.dtype == np.float32
    # In larger images the surroundings are those of a reduced one, which are not quite the same.
    slack = 1e-4 if max(shape) < 64 else 0.4
    np.testing.assert_allclose(passed, np.clip(narrow - wide, least, most), rtol=1e-4, atol=slack)


@pytest.mark.parametrize("shape", [(128, 128), (129, 130), (256, 200)])
def test_reduced_surroundings_are_those_of_the_whole_image(rng, shape):
    side = max(shape)
    residual = ndimage.gaussian_filter(rng.normal(0, 1, (3, *shape)), (0, 3, 3)).astype(np.float32)
    narrow, wide = (filtered(residual, sigma * side) for sigma in (SMOOTHING, SURROUND))
    passed, expected = (
        band_pass(residual),
        np.clip(narrow - wide, np.minimum(narrow, 0), np.maximum(narrow, 0)),
    )
    inside = np.s_[:, 16:-16, 16:-16]
    assert np.abs(passed - expected)[inside].max() < 0.06 * np.abs(wide).max()


def test_surroundings_alone_are_no_evidence():
    residual = np.zeros((1, 64, 64), np.float32)
    residual[0, 20:44, 20:44] = 100
    passed = band_pass(residual)[0]
    assert passed.min() == 0
    assert passed[32, 44:].max() < 60
    assert not passed[32, 50:].any()


def test_what_is_as_wide_as_light_goes_is_nearly_left_out_and_a_spot_is_not():
    y, x = np.mgrid[:128, :128] - 64.0
    light = 50 * np.exp(-(x**2 + y**2) / (2 * 40**2))
    spot = np.where(np.hypot(x, y) < 4, 50, 0)
    of_light, of_spot = (band_pass(image.astype(np.float32)[None]).max() for image in (light, spot))
    assert of_light < 0.1 * 50
    assert of_spot > 0.6 * 50


def test_an_edge_beside_its_place_cancels_and_a_stroke_does_not():
    edge = np.zeros((1, 64, 64), np.float32)
    edge[0, :, 31], edge[0, :, 32] = 80, -80
    stroke = np.zeros((1, 64, 64), np.float32)
    stroke[0, :, 31:33] = -80
    assert np.abs(band_pass(edge)).max() < 0.5 * np.abs(band_pass(stroke)).max()


def test_what_is_too_dark_and_what_is_too_bright_have_a_spread_and_a_sign_each():
    one, ten = np.ones(SHAPE, np.float32), np.full(SHAPE, 10, np.float32)
    residual = np.zeros((2, *SHAPE), np.float32)
    residual[0, 12, 20], residual[1, 12, 20] = -10, 10
    maps = evidence(residual, one, ten)
    assert maps[0].min() == pytest.approx(-10 * maps[1].max(), rel=1e-5)
    assert maps[0].max() == maps[1].min() == 0


def test_an_image_that_explains_itself_has_no_evidence():
    assert not evidence(np.zeros((2, *SHAPE), np.float32), *np.ones((2, 2, *SHAPE), np.float32)[0]).any()
