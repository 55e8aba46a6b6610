import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from dice_core.residual import (
    OUTLINE,
    REGION_SHARE,
    SMOOTHING,
    SURROUND,
    band_pass,
    evidence,
    gaussian_kernel,
    locate,
    rebuild,
)

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


def filtered(image, kernel):
    """Convolved along both axes, zeros beyond the image."""
    weights = kernel.astype(np.float64)
    once = ndimage.convolve1d(image.astype(np.float64), weights, axis=-2, mode="constant")
    return ndimage.convolve1d(once, weights, axis=-1, mode="constant")


@settings(max_examples=20, deadline=None)
@given(
    st.integers(0, 1000), st.sampled_from([(1, 1), (3, 5), (24, 40), (40, 24), (130, 20)]), st.integers(0, 3)
)
def test_the_band_is_a_difference_of_gaussians_where_both_have_one_sign(seed, shape, count):
    rng = np.random.default_rng(seed)
    residual = rng.normal(0, 10, (count, *shape)).astype(np.float32)
    narrow, wide = (
        filtered(residual, gaussian_kernel(sigma * max(shape))) for sigma in (SMOOTHING, SURROUND)
    )
    least, most = np.minimum(narrow, 0), np.maximum(narrow, 0)
    passed = band_pass(residual)
    assert passed.dtype == np.float32
    np.testing.assert_allclose(passed, np.clip(narrow - wide, least, most), rtol=1e-4, atol=1e-4)


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


def smooth_maps(seed, count=3):
    rng = np.random.default_rng(seed)
    residual = ndimage.gaussian_filter(rng.normal(0, 1, (count, *SHAPE)), (0, 1.5, 1.5)).astype(np.float32)
    return rng, residual, band_pass(residual)


def outlined(residual):
    return filtered(residual, gaussian_kernel(OUTLINE * max(SHAPE)))


def followed(outline, part, seed):
    """Pixels connected to a seed by side, of its sign and with the share of what it has."""
    sign = 1 if outline[seed] >= 0 else -1
    labels, _ = ndimage.label((sign * outline >= REGION_SHARE * abs(outline[seed])) & part)
    return labels == labels[seed] if labels[seed] else np.zeros(part.shape, bool)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 1000), st.floats(0.05, 1), st.floats(0.3, 1.2))
def test_regions_are_counted_and_followed_to_their_outline(seed, share, level):
    rng, residual, maps = smooth_maps(seed)
    part = rng.random(SHAPE) < share
    part[3, 4] = True
    limit = float(level * np.abs(maps[:, part]).max(axis=1).min()) + 1e-6
    found = locate(residual, maps, part, limit)
    outlines = outlined(residual)
    for n, (seen, outline) in enumerate(zip(maps, outlines, strict=True)):
        inside = np.where(part, np.abs(seen), -1)
        peak = np.unravel_index(inside.argmax(), SHAPE)
        assert (found.peak_y[n], found.peak_x[n]) == peak
        assert found.score[n] == pytest.approx(inside.max())
        regions, areas = 0, []
        box = followed(outline, part, peak)
        for sign in (-1, 1):
            labels, count = ndimage.label((sign * seen >= limit) & part)
            regions += count
            areas.append((labels > 0).sum())
            for label in range(1, count + 1):
                where = np.argwhere(labels == label)
                best = tuple(where[np.argmax(sign * outline[tuple(where.T)])])
                if not box[best]:
                    box |= followed(outline, part, best)
        assert found.regions[n] == regions
        assert (found.dark[n], found.bright[n]) == tuple(areas)
        rows, columns = ndimage.find_objects(box.astype(int))[0]
        assert (found.x[n], found.y[n]) == (columns.start, rows.start)
        assert (found.width[n], found.height[n]) == (columns.stop - columns.start, rows.stop - rows.start)
        assert found.area[n] == box.sum()


def test_under_the_limit_the_peak_is_boxed_and_no_region_counted():
    _, residual, maps = smooth_maps(1)
    found = locate(residual, maps, np.ones(SHAPE, bool))
    assert not np.concatenate([found.regions, found.dark, found.bright]).any()
    assert (found.area >= 1).all()


def test_evidence_outside_the_part_counts_for_nothing():
    residual = np.zeros((1, *SHAPE), np.float32)
    residual[0, 0, 0], residual[0, 10, 10] = 1000, -9
    part = np.ones(SHAPE, bool)
    part[:2] = False
    found = locate(residual, residual, part, 5.0)
    assert found.score[0] == 9
    assert (found.peak_x[0], found.peak_y[0]) == (10, 10)
    assert (found.regions[0], found.dark[0], found.bright[0]) == (1, 1, 0)


def test_the_box_is_around_every_region_beyond_the_limit():
    residual = np.zeros((1, *SHAPE), np.float32)
    residual[0, 2:5, 2:6] = -80
    residual[0, 15:17, 30:37] = 90
    found = locate(residual, residual, np.ones(SHAPE, bool), 50.0)
    assert (found.peak_x[0], found.peak_y[0]) == (30, 15)
    assert [int(values[0]) for values in (found.x, found.y, found.width, found.height)] == [2, 2, 35, 15]
    assert (found.regions[0], found.dark[0], found.bright[0]) == (2, 12, 14)


@pytest.mark.parametrize("where", [slice(0), slice(1)])
def test_no_evidence_or_no_part_scores_zero_and_stays_in_the_map(where):
    part = np.zeros(SHAPE, bool)
    part[where] = True
    nothing = np.zeros((2, *SHAPE), np.float32)
    found = locate(nothing, nothing, part)
    assert found.score.tolist() == [0, 0]
    assert (found.x >= 0).all()
    assert (found.x + found.width <= SHAPE[1]).all()
    assert (found.y + found.height <= SHAPE[0]).all()
    assert (found.area >= 1).all()


def test_without_images_nothing_is_located():
    nothing = np.empty((0, *SHAPE), np.float32)
    found = locate(nothing, nothing, np.ones(SHAPE, bool))
    assert [len(values) for values in found] == [0] * 11
