import numpy as np
import pytest

from dice_core.defects import DEFECTS, Defect, defects_of, draw_defect, spoil
from dice_core.die import FACES, draw_die
from dice_core.lot import draw_lot

PAIRS = [(face, kind) for face in FACES for kind in defects_of(face)]
PIPS_AND_LOGO = [pair for pair in PAIRS if pair[0] in {"05", "08"}]


def rng(seed=0):
    return np.random.default_rng(seed)


def good_die(face, seed=0):
    return draw_die(face, draw_lot(rng(seed)), rng(seed), 128)


def change(die, kind, size, contrast, seed=0):
    return spoil(die, Defect(kind, size, contrast), rng(seed)) - die.brightness


def test_pips_can_be_erased_and_logos_broken_but_not_the_other_way_round():
    for face in FACES:
        logo = face >= "07"
        assert ("erased_pip" in defects_of(face)) is not logo
        assert ("half_erased_pip" in defects_of(face)) is not logo
        assert ("broken_logo" in defects_of(face)) is logo
        assert ("filled_logo" in defects_of(face)) is logo
        assert "scratch" in defects_of(face)


def test_drawn_defects_are_of_every_kind_from_gross_to_subtle():
    source = rng(11)
    drawn = [(FACES[i % 11], draw_defect(source, FACES[i % 11])) for i in range(1100)]
    assert {defect.kind for _, defect in drawn} == set(DEFECTS)
    assert {(face, defect.kind) for face, defect in drawn} <= set(PAIRS)
    contrasts = np.array([defect.contrast for _, defect in drawn])
    assert contrasts.min() < 0.4
    assert np.median(contrasts) == pytest.approx(0.825, abs=0.03)


def test_defects_are_drawn_from_the_generator_alone():
    assert [draw_defect(rng(s), "07") for s in range(5)] == [draw_defect(rng(s), "07") for s in range(5)]
    assert len({draw_defect(rng(s), "07") for s in range(5)}) == 5


@pytest.mark.parametrize(("face", "kind"), PAIRS)
def test_a_defect_changes_the_die_and_nothing_off_it(face, kind):
    die = good_die(face)
    before = die.brightness.copy()
    changed = change(die, kind, 1, 1)
    assert np.abs(changed).max() > 0.1
    assert (changed[die.edge > 0.93] == 0).all()
    assert (die.brightness == before).all()


@pytest.mark.parametrize(("face", "kind"), PIPS_AND_LOGO)
def test_the_change_is_proportional_to_the_contrast(face, kind):
    die = good_die(face)
    full = change(die, kind, 0.5, 1.0)
    assert (change(die, kind, 0.5, 0.0) == 0).all()
    assert np.abs(change(die, kind, 0.5, 0.3) - np.float32(0.3) * full).max() < 1e-6


def test_erasing_lightens_and_filling_darkens():
    die = good_die("00")
    erased = die.brightness + change(die, "erased_pip", 1, 1)
    assert np.abs(erased - die.bare)[die.ink == 1].max() < 0.01
    assert change(good_die("07"), "filled_logo", 1, 1).min() < -0.5


@pytest.mark.parametrize(
    ("call", "named"),
    [
        (lambda: defects_of("ano"), "'ano'"),
        (lambda: draw_defect(rng(), "x"), "'x'"),
        (lambda: Defect("dent", 0.5, 0.5), "'dent'"),
        (lambda: Defect("scratch", -0.1, 0.5), "size.*-0.1"),
        (lambda: Defect("scratch", 0.5, 1.01), "contrast.*1.01"),
        (lambda: Defect("scratch", float("nan"), 0.5), "size.*nan"),
    ],
)
def test_a_bad_argument_is_named(call, named):
    with pytest.raises(ValueError, match=named):
        call()
