from dataclasses import replace

import numpy as np
import pytest

from dice_core.lot import draw_lot


def rng(seed=0):
    return np.random.default_rng(seed)


def test_lots_are_drawn_from_the_generator_alone():
    source = rng()
    assert draw_lot(rng()) == draw_lot(source) != draw_lot(source)


def test_half_of_the_lots_have_no_glare():
    glares = np.array([draw_lot(rng(seed)).glare for seed in range(200)])
    assert (glares == 0).mean() == pytest.approx(0.5, abs=0.1)
    assert 0 <= glares.min() < glares.max() <= 1


@pytest.mark.parametrize(
    ("name", "value"),
    [("scale", 0), ("gain", -1), ("blur", -0.5), ("noise", float("nan"))],
)
def test_a_bad_value_is_named(name, value):
    with pytest.raises(ValueError, match=f"{name}.*{value}"):
        replace(draw_lot(rng()), **{name: value})
