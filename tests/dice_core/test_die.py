from dataclasses import replace

import numpy as np
import pytest

from dice_core.die import FACES, PIPS, check_face, clouds, draw_die, step, toward
from dice_core.lot import draw_lot

PLAIN = replace(draw_lot(np.random.default_rng(0)), shift_x=0, shift_y=0, rotation=0, scale=1)


def rng(seed=0):
    return np.random.default_rng(seed)


def good_die(face, seed=0, size=128, **changes):
    return draw_die(face, replace(PLAIN, **changes), rng(seed), size)


def test_equal_generators_give_equal_dice_and_others_do_not():
    first, again, other = (good_die("06", seed).brightness.tobytes() for seed in (4, 4, 5))
    assert first == again != other


@pytest.mark.parametrize("face", FACES)
@pytest.mark.parametrize("size", [64, 128])
def test_every_field_has_its_shape_and_range(face, size):
    die = good_die(face, size=size)
    for field in (die.x, die.y, die.edge, die.bare, die.ink, die.brightness):
        assert (field.shape, field.dtype) == ((size, size), np.float32)
    for share in (die.bare, die.ink, die.brightness):
        assert 0 <= share.min() < share.max() <= 1
    assert (die.face, die.size, die.pixel) == (face, size, 2 / size)
    assert np.median(np.diff(die.x, axis=1)) == pytest.approx(die.pixel, rel=0.01)


def test_each_pip_adds_as_much_ink_and_a_turned_logo_none():
    ink = {face: good_die(face).ink.sum() for face in FACES}
    for face, pips in PIPS.items():
        if face != "00":
            assert ink[face] / ink["05"] == pytest.approx(len(pips) / 4, rel=0.01)
    for face in ("08", "09", "10"):
        assert ink[face] == pytest.approx(ink["07"], rel=0.01)


@pytest.mark.parametrize(("face", "turns"), [("08", 1), ("09", 2), ("10", 3)])
def test_the_logos_are_quarter_turns_of_each_other(face, turns):
    turned = np.rot90(good_die("07").ink, -turns)
    assert np.abs(turned - good_die(face).ink).mean() < 0.02


@pytest.mark.parametrize("face", PIPS)
def test_ink_is_on_the_pips_and_darkens_the_die(face):
    die = good_die(face)
    for x, y in PIPS[face]:
        at = int((y + 1) / die.pixel), int((x + 1) / die.pixel)
        assert die.ink[at] == 1
        assert die.brightness[at] < die.bare[at] - 0.3
    far = die.ink == 0
    assert (die.brightness[far] <= die.bare[far] + 0.3 * PLAIN.sheen).all()


def test_the_lot_moves_the_die_by_pixels_of_a_128_pixel_frame():
    still, moved = good_die("00", size=256), good_die("00", size=256, shift_x=10, shift_y=-5)
    difference = [
        np.average(axis, weights=moved.ink) - np.average(axis, weights=still.ink)
        for axis in np.indices((256, 256))
    ]
    assert difference == pytest.approx([-10, 20], abs=0.3)


def test_a_step_is_half_at_the_edge_and_one_inside():
    assert step(np.array([-9.0, -0.5, 0.0, 0.5, 9.0], np.float32), 1.0).tolist() == [1, 1, 0.5, 0, 0]


def test_toward_is_clockwise_from_the_right():
    x, y = np.array([[1.0, 0.0]], np.float32), np.array([[0.0, 1.0]], np.float32)
    assert toward(x, y, 0).tolist() == [[1, 0]]
    assert toward(x, y, np.pi / 2) == pytest.approx(np.array([[0, 1]]), abs=1e-6)


def test_clouds_have_mean_zero_and_variance_one_at_every_size():
    source = rng()
    for size in (64, 200):
        values = np.array([clouds(source, 24, size) for _ in range(30)])
        assert values.shape == (30, size, size)
        assert values.mean() == pytest.approx(0, abs=0.05)
        assert values.var() == pytest.approx(1, abs=0.05)


def test_an_unknown_face_is_named():
    check_face("10")
    with pytest.raises(ValueError, match="'11'"):
        check_face("11")
