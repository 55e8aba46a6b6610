from dataclasses import replace

import numpy as np
import pytest

from dice_core import brushes
from dice_core.die import ARM, PIPS, draw_die, logo_arms, pip_radius
from dice_core.lot import draw_lot

EVERYWHERE = [
    brushes.scribble,
    brushes.cross_strokes,
    brushes.scratch,
    brushes.scratched_letters,
    brushes.extra_specks,
    brushes.smudge,
]
ON_PIPS = [brushes.erased_pip, brushes.half_erased_pip]
ON_LOGOS = [brushes.broken_logo, brushes.filled_logo]
PAIRS = [
    *((brush, face) for brush in EVERYWHERE for face in ("05", "08")),
    *((brush, face) for brush in ON_PIPS for face in ("00", "05")),
    *((brush, face) for brush in ON_LOGOS for face in ("07", "08")),
]


def rng(seed=0):
    return np.random.default_rng(seed)


def good_die(face, **changes):
    return draw_die(face, replace(draw_lot(rng()), **changes), rng(), 128)


@pytest.mark.parametrize(("brush", "face"), PAIRS)
@pytest.mark.parametrize("size", [0.0, 0.5, 1.0])
def test_a_brush_covers_shares_and_leaves_brightness(brush, face, size):
    die = good_die(face)
    cover, target = brush(die, size, rng(1))
    assert (cover.shape, cover.dtype) == (die.x.shape, np.float32)
    assert 0 <= cover.min() <= cover.max() <= 1 + 1e-6
    assert 0 <= np.min(target) <= np.max(target) <= 1


@pytest.mark.parametrize(("brush", "face"), PAIRS)
def test_equal_generators_paint_alike_and_others_do_not(brush, face):
    die = good_die(face)
    first, again, other = (brush(die, 0.5, rng(seed))[0].tobytes() for seed in (1, 1, 2))
    assert first == again != other


@pytest.mark.parametrize(("brush", "face"), PAIRS)
def test_a_larger_defect_covers_more(brush, face):
    covered = [
        np.mean([brush(good_die(face), size, rng(seed))[0].sum() for seed in range(4)])
        for size in (0.2, 0.5, 1.0)
    ]
    assert covered == sorted(covered)


@pytest.mark.parametrize("brush", ON_PIPS)
def test_wear_stays_on_one_pip_and_the_shade_around_it(brush):
    die = good_die("05")
    cover, target = brush(die, 1.0, rng())
    reached = [np.hypot(die.x - x, die.y - y) < 2.1 * pip_radius("05") for x, y in PIPS["05"]]
    assert sum(bool(cover[place].max() > 0.5) for place in reached) == 1
    assert (cover[~np.any(reached, axis=0)] == 0).all()
    assert target is die.bare


def test_gaps_are_in_the_ink_and_filling_is_between_the_arms():
    die = good_die("08")
    gaps, _ = brushes.broken_logo(die, 1.0, rng())
    filling, _ = brushes.filled_logo(die, 1.0, rng())
    assert (gaps[die.ink == 0] == 0).all()
    assert (filling[die.ink == 1] == 0).all()
    outside = np.minimum(*logo_arms("08", die.x, die.y)) < ARM - 2 * die.pixel
    assert (filling[outside] == 0).all()


def test_a_scratch_is_dark_on_the_die_and_light_through_the_ink():
    die = good_die("07")
    _, tone = brushes.scratch(die, 0.5, rng())
    assert tone[die.ink == 0].max() < 0.5 * np.median(die.bare)
    assert tone[die.ink == 1].min() > die.brightness[die.ink == 1].mean()


def test_strokes_follow_a_die_that_lies_at_any_angle():
    # A pen's width is on the die, so a turned die shows as much of it.
    covers = [
        brushes._stroke(die, np.array([[-0.5, 0.0], [0.5, 0.1]]), 0.05).sum()
        for die in (good_die("07"), good_die("07", rotation=40))
    ]
    assert covers[1] == pytest.approx(covers[0], rel=0.03)
