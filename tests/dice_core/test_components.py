import numpy as np
import pytest

from dice_core.components import gram_matrix, principal_components
from dice_core.residual import rebuild


def low_rank(rng, rows=40, rank=4, pixels=300, noise=0.0):
    """Rows about a mean, with spreads of falling size along `rank` directions."""
    weights = rng.normal(size=(rows, rank)) * 0.5 ** np.arange(rank) * 200
    directions = np.linalg.qr(rng.normal(size=(pixels, rank)))[0].T
    return (
        rng.uniform(50, 200, pixels) + weights @ directions + rng.normal(0, noise, (rows, pixels))
    ).astype(np.float32)


@pytest.mark.parametrize("inside", [slice(None), slice(0, 25), slice(1, None, 2)])
def test_components_span_what_the_singular_value_decomposition_does(rng, inside):
    flat = low_rank(rng, noise=0.5)
    chosen = np.zeros(len(flat), bool)
    chosen[inside] = True
    centre, components = principal_components(flat, gram_matrix(flat), chosen, 4, rng)
    rows = flat[chosen].astype(np.float64)
    np.testing.assert_allclose(centre, rows.mean(axis=0), rtol=1e-5)
    expected = np.linalg.svd(rows - rows.mean(axis=0), full_matrices=False)[2][:4]
    np.testing.assert_allclose(components @ components.T, np.eye(4), atol=1e-5)
    np.testing.assert_allclose(np.linalg.svd(components @ expected.T)[1], 1, atol=1e-4)


def test_the_leading_components_come_first(rng):
    flat = low_rank(rng)
    _, components = principal_components(flat, gram_matrix(flat), np.ones(40, bool), 4, rng)
    variance = ((flat - flat.mean(axis=0)) @ components.T).var(axis=0)
    assert (np.diff(variance) < 0).all()


def test_there_are_no_more_components_than_the_rows_have_and_these_rebuild_them(rng):
    flat = low_rank(rng)
    centre, components = principal_components(flat, gram_matrix(flat), np.ones(40, bool), 10, rng)
    assert len(components) == 4
    images = flat.reshape(40, 15, 20)
    np.testing.assert_allclose(rebuild(images, centre.reshape(15, 20), components), images, atol=0.01)


@pytest.mark.parametrize("rows", [1, 2, 9])
def test_equal_rows_have_no_component(rng, rows):
    flat = np.repeat(low_rank(rng, rows=1), rows, axis=0)
    centre, components = principal_components(flat, gram_matrix(flat), np.ones(rows, bool), 5, rng)
    assert components.shape == (0, 300)
    np.testing.assert_allclose(centre, flat[0], rtol=1e-6)
