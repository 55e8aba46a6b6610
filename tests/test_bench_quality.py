"""The cases of the quality benchmark are what they say they are."""

from types import SimpleNamespace

import numpy as np
import pytest

from dice_core.grid import Grid
from dice_core.sample import Sample
from tests.bench.quality.disturbances import DISTURBANCES, disturb
from tests.bench.quality.few import draw
from tests.bench.quality.lots import Mark
from tests.bench.quality.material import Material, defect_runs
from tests.bench.quality.mislabelled import mislabel
from tests.bench.quality.parts import parts_of
from tests.bench.quality.spots import Spot


def sample(names, runs=None, seed=0):
    count = len(names)
    return Sample(
        images=np.random.default_rng(seed).integers(0, 256, (count, 16, 16)).astype(np.uint8),
        runs=np.zeros(count, np.int64) if runs is None else np.asarray(runs, np.int64),
        repeats=np.ones(count, np.int64),
        hashes=tuple(f"{seed:02d}{number:030d}" for number in range(count)),
        names=tuple(names),
    )


def test_frames_of_one_die_are_never_in_two_runs():
    numbers = (10, 11, 13, 20, 21, 40)
    bad = sample([f"img_{number}_cropped.jpg" for number in numbers], runs=[0, 0, 1, 1, 2, 2])
    assert defect_runs(bad).tolist() == [0, 0, 0, 1, 1, 2]


def test_other_names_stay_in_their_runs():
    assert defect_runs(sample(["17_000.png", "17_001.png", "17_002.png"], runs=[0, 0, 1])).tolist() == [
        0,
        0,
        1,
    ]


@pytest.mark.parametrize("side", [3, 5, 8])
@pytest.mark.parametrize(("level", "painted"), [(200, 160), (100, 140)])
def test_a_spot_lies_in_the_part_and_goes_towards_mid_grey(side, level, painted):
    part = np.zeros((32, 32), bool)
    part[6:20, 9:25] = True
    image = np.full((32, 32), level, np.uint8)
    for seed in range(20):
        changed = Spot(side, 40).paint(image, part, np.random.default_rng(seed))
        where = changed != image
        assert where.sum() == side**2
        assert part[where].all()
        assert set(changed[where].tolist()) == {painted}


@pytest.mark.parametrize("size", [(32, 32), (128, 128), (129, 150), (259, 200)])
def test_a_part_is_told_in_the_pixels_of_its_images(size):
    grid = Grid.of(size)
    part = np.random.default_rng(0).random(grid.shape) < 0.5
    told = parts_of(SimpleNamespace(size=size, faces=[SimpleNamespace(name="a", part=part)]))["a"]
    assert told.shape == size
    for y, x in np.random.default_rng(1).integers(0, size, (50, 2)):
        assert told[y, x] == part[y // grid.pixels, x // grid.pixels]


def test_a_mark_lies_in_the_part():
    part = np.zeros((32, 32), bool)
    part[6:20, 9:25] = True
    mark = Mark("line", 2, 12, 60)
    for y, x in mark.places(part, np.random.default_rng(0), 20):
        where = mark.paint(np.full((32, 32), 10, np.uint8), y, x) == 70
        assert where.sum() == 24
        assert part[where].all()


@pytest.mark.parametrize("name", DISTURBANCES)
def test_a_change_is_the_same_each_time_and_less_where_it_is_random(name):
    y, x = np.mgrid[:32, :32]
    image = (128 + 60 * np.sin(x / 3) * np.cos(y / 4)).astype(np.uint8)
    images = np.stack([image] * 20)
    full, part = (disturb(name, images, extreme=extreme, seed=1) for extreme in (True, False))
    np.testing.assert_array_equal(full, disturb(name, images, extreme=True, seed=1))
    off = [np.abs(changed.astype(int) - images).mean() for changed in (full, part)]
    assert off[0] > off[1] > 0


def test_a_handful_leaves_half_of_the_runs_unseen():
    known = sample([str(number) for number in range(48)], runs=np.repeat(np.arange(12), 4))
    for count, runs in ((4, 4), (10, 6), (24, 6), (40, 6)):
        drawn = draw(known, count, np.random.default_rng(0))
        assert len(drawn) == len(set(drawn.tolist())) == min(count, 24)
        assert len(np.unique(known.runs[drawn])) == runs


@pytest.mark.parametrize(("share", "kept"), [(0.1, 90), (0.3, 69)])
def test_so_large_a_share_of_the_good_is_mislabelled_and_the_rest_known(share, kept):
    good = {"one": sample([str(number) for number in range(90)], runs=np.arange(90) // 9)}
    bad = sample([f"bad{number}" for number in range(40)], runs=np.arange(40) // 8, seed=1)
    faces = np.array(["one"] * 40)
    material, slipped = mislabel(Material(good, bad), faces, share, np.random.default_rng(0))
    wrong = [name for name in material.good["one"].names if name.startswith("bad")]
    assert len(wrong) == slipped
    assert slipped / len(material.good["one"]) == pytest.approx(share, abs=0.01)
    assert len(material.good["one"]) - slipped == kept
    assert set(wrong) | set(material.bad.names) == set(bad.names)
    assert not set(wrong) & set(material.bad.names)
    good_runs = material.good["one"].runs
    assert not set(good_runs[:kept].tolist()) & set(good_runs[kept:].tolist())
