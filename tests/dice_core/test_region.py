import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from dice_core.region import OUTLINE, REGION_SHARE, locate
from dice_core.residual import band_pass

SHAPE = (24, 40)


def smooth_maps(seed, count=3):
    rng = np.random.default_rng(seed)
    residual = ndimage.gaussian_filter(rng.normal(0, 1, (count, *SHAPE)), (0, 1.5, 1.5)).astype(np.float32)
    return rng, residual, band_pass(residual)


def outlined(residual):
    sigma = OUTLINE * max(SHAPE)
    radius = max(1, round(3 * sigma))
    return ndimage.gaussian_filter(residual, sigma, mode="constant", radius=radius, axes=(-2, -1))


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
