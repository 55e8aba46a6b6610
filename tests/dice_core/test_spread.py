import numpy as np
import pytest
from scipy import ndimage

from dice_core.spread import FLOOR_BRIGHT, FLOOR_DARK, NEIGHBOURS, Spread, Spreads

SHAPE = (8, 9)


def test_a_spread_is_of_one_side_in_its_own_units_with_the_floor_added():
    spreads = Spreads(SHAPE)
    spreads.add(np.full((3, *SHAPE), -30, np.float32))
    spreads.add(np.stack([np.full(SHAPE, 60, np.float32), np.full(SHAPE, 80, np.float32)]))
    dark, bright = spreads.close()
    np.testing.assert_allclose(dark, np.hypot(30, FLOOR_DARK), rtol=1e-5)
    np.testing.assert_allclose(bright, np.sqrt((60**2 + 80**2) / 2 + FLOOR_BRIGHT**2), rtol=1e-5)


def test_nothing_seen_leaves_the_floors():
    dark, bright = Spreads(SHAPE).close()
    np.testing.assert_array_equal(dark, np.float32(FLOOR_DARK))
    np.testing.assert_array_equal(bright, np.float32(FLOOR_BRIGHT))


def test_the_order_in_which_residuals_come_is_no_matter(rng):
    residual = rng.normal(0, 10, (6, *SHAPE)).astype(np.float32)
    whole, pieces = Spreads(SHAPE), Spreads(SHAPE)
    whole.add(residual)
    for piece in (residual[4:], residual[:4]):
        pieces.add(piece)
    for one, other in zip(whole.close(), pieces.close(), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-6)


@pytest.mark.parametrize("shape", [(64, 64), (40, 128)])
def test_neighbours_share_what_was_seen_at_one_place(shape):
    residual = np.zeros((1, *shape), np.float32)
    residual[0, 4, 4] = -100
    spreads = Spreads(shape)
    spreads.add(residual)
    seen = np.zeros(shape)
    seen[4, 4] = 100**2
    expected = np.sqrt(ndimage.gaussian_filter(seen, NEIGHBOURS * max(shape)) + FLOOR_DARK**2)
    assert expected[4, 5] > 10
    np.testing.assert_allclose(spreads.close().dark, expected, rtol=1e-5)


def test_it_is_laid_on_a_face_and_nothing_else_changes(make_face):
    face = make_face()
    dark, bright = (np.full((12, 12), value, np.float32) for value in (3, 7))
    laid = Spread(dark, bright).lay_on(face)
    assert laid.spread_dark is dark
    assert laid.spread_bright is bright
    assert laid.centre is face.centre
    with pytest.raises(AttributeError):
        laid.spread_dark = bright
