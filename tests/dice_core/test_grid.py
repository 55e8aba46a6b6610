import pytest
from hypothesis import given
from hypothesis import strategies as st

from dice_core.grid import COARSEST, FINEST, NARROWEST, Grid

SIDES = st.tuples(st.integers(1, 3000), st.integers(1, 3000))


@given(SIDES)
def test_its_squares_cover_the_image_and_none_lies_beyond(size):
    grid = Grid.of(size)
    for side, places in zip(size, grid.shape, strict=True):
        reduced = -(-side // grid.reduction)
        assert (places - 1) * grid.factor < reduced <= places * grid.factor


@given(SIDES)
def test_it_is_no_coarser_than_is_stated(size):
    shape = Grid.of(size).shape
    assert max(shape) >= min(COARSEST, max(size))
    assert min(shape) >= min(NARROWEST, *size)


@given(SIDES)
def test_by_one_more_it_would_be_coarser_than_that(size):
    grid = Grid.of(size)
    reduced = [-(-side // grid.reduction) for side in size]
    for sides, factor, least in ((size, grid.reduction, FINEST), (reduced, grid.factor, COARSEST)):
        assert max(sides) // (factor + 1) < least or min(sides) // (factor + 1) < NARROWEST


@given(SIDES)
def test_a_reduced_image_has_the_same_places_and_is_reduced_no_further(size):
    reduction, factor, shape = Grid.of(size)
    reduced = -(-size[0] // reduction), -(-size[1] // reduction)
    assert Grid.of(reduced) == (1, factor, shape)


@given(SIDES)
def test_an_image_on_its_side_has_its_grid_on_its_side(size):
    reduction, factor, shape = Grid.of(size)
    assert Grid.of(size[::-1]) == (reduction, factor, shape[::-1])


@pytest.mark.parametrize(
    ("size", "reduction", "factor", "shape"),
    [
        ((32, 32), 1, 1, (32, 32)),
        ((64, 64), 1, 1, (64, 64)),
        ((127, 127), 1, 1, (127, 127)),
        ((128, 128), 1, 2, (64, 64)),
        ((129, 150), 1, 2, (65, 75)),
        ((200, 192), 1, 3, (67, 64)),
        ((256, 256), 2, 2, (64, 64)),
        ((391, 300), 3, 2, (66, 50)),
        ((256, 20), 1, 1, (256, 20)),
        ((256, 40), 2, 1, (128, 20)),
        ((16, 2048), 1, 1, (16, 2048)),
    ],
)
def test_its_places_are_those_that_are_known(size, reduction, factor, shape):
    assert Grid.of(size) == (reduction, factor, shape)
    assert Grid.of(size).pixels == reduction * factor
