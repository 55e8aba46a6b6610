import numpy as np
import pytest

from dice_core.part import LEAST_SHARE, MARGIN, find_part


def disc(side=64, radius=26, ground=20, part=180):
    y, x = np.mgrid[:side, :side] - (side - 1) / 2
    distance = np.hypot(y, x)
    return np.where(distance < radius, part, ground).astype(np.float32), distance


def whole_but_rim(shape, rim):
    frame = np.zeros(shape, bool)
    frame[rim:-rim, rim:-rim] = True
    return frame


@pytest.mark.parametrize(("ground", "part"), [(20, 180), (180, 20), (0, 2)])
def test_the_part_is_what_the_corners_do_not_show_less_a_rim(ground, part):
    mean, distance = disc(ground=ground, part=part)
    found = find_part(mean)
    assert found.dtype == bool
    assert found[distance < 23].all()
    assert not found[distance > 26].any()
    assert found.sum() < (distance < 26).sum()


def test_a_pattern_of_the_grounds_grey_is_still_part():
    mean, distance = disc()
    mean[distance < 8] = 20
    assert find_part(mean)[distance < 23].all()


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda mean: mean.fill(0), "flat"),
        (lambda mean: mean.fill(255), "flat"),
        (lambda mean: mean[:32].fill(180), "the corners disagree"),
        (lambda mean: np.copyto(mean, disc(radius=8)[0]), "too little is left"),
    ],
)
def test_where_the_part_is_not_believed_the_whole_frame_less_the_rim_is(change, reason):
    mean, _ = disc()
    change(mean)
    np.testing.assert_array_equal(find_part(mean), whole_but_rim((64, 64), 2), reason)


def test_a_single_bright_pixel_is_no_part():
    mean = np.zeros((32, 32), np.float32)
    mean[16, 16] = 255
    np.testing.assert_array_equal(find_part(mean), whole_but_rim((32, 32), 1))


@pytest.mark.parametrize(("shape", "rim"), [((128, 128), 4), ((40, 256), 8), ((16, 16), 1)])
def test_the_rim_goes_by_the_longer_side(shape, rim):
    assert round(MARGIN * max(shape)) in {rim, 0}
    np.testing.assert_array_equal(find_part(np.zeros(shape, np.float32)), whole_but_rim(shape, rim))


@pytest.mark.parametrize("seed", range(5))
def test_noise_never_leaves_less_than_the_least_share(seed):
    mean = np.random.default_rng(seed).normal(100, 30, (32, 40)).astype(np.float32)
    assert find_part(mean).mean() >= LEAST_SHARE
