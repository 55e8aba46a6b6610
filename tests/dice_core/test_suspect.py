import numpy as np
import pytest

from dice_core.suspect import FACTOR, FEWEST, suspicion

SIZE = (32, 32)


@pytest.fixture
def oddity(sample_of):
    def find(images, seed=0):
        return suspicion(sample_of(images), SIZE, np.random.default_rng(seed))

    return find


def test_good_ones_are_no_suspects(draw_faces, oddity):
    found = oddity(draw_faces(1, 60, seed=2))
    assert found.shape == (60,)
    assert (found > 0).all()
    assert found.max() < FACTOR


@pytest.mark.parametrize("grey", [0, 60])
def test_defective_ones_among_them_are(draw_faces, oddity, grey):
    images = draw_faces(1, 60, seed=2)
    bad = [3, 17, 18, 40]
    for at in bad:
        row = 8 + at % 7
        images[at, row : row + 3, 9:20] = grey
    found = oddity(images)
    assert np.flatnonzero(found >= FACTOR).tolist() == bad


def test_so_is_another_face(draw_faces, oddity):
    images = draw_faces(1, 60, seed=2)
    images[[5, 30]] = draw_faces(0, 2, seed=9)
    assert np.flatnonzero(oddity(images) >= FACTOR).tolist() == [5, 30]


@pytest.mark.parametrize("one_in", [5, 10])
def test_defective_ones_do_not_excuse_each_other(draw_faces, oddity, one_in):
    """So many images have the same scratch: it is learnt from none of them."""
    images = draw_faces(1, 60, seed=2)
    bad = list(range(0, 60, one_in))
    images[bad, 20:23, 8:18] = 0
    assert np.flatnonzero(oddity(images) >= FACTOR).tolist() == bad


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("count", [14, 20])
def test_where_many_are_defective_those_that_are_left_are_found_again(draw_faces, oddity, count, seed):
    """More than are mistrusted at once, so that some teach what hides them."""
    images, rng = draw_faces(1, 60, seed=2 + seed), np.random.default_rng(seed)
    bad = np.sort(rng.choice(60, count, replace=False))
    for at in bad:
        y, x = rng.integers(6, 22), rng.integers(8, 14)
        images[at, y : y + 3, x : x + 10] = rng.integers(0, 80)
    assert np.flatnonzero(oddity(images) >= FACTOR).tolist() == bad.tolist()


def test_a_light_that_many_share_is_no_reason(draw_faces, oddity):
    images = draw_faces(1, 60, seed=2).astype(float)
    images[::4] *= np.linspace(0.85, 1.15, SIZE[1])
    assert oddity(np.clip(images, 0, 255).astype(np.uint8)).max() < FACTOR


@pytest.mark.parametrize("count", [1, FEWEST - 1])
def test_of_too_few_none_is_suspected(draw_faces, oddity, count):
    images = draw_faces(0, count)
    images[0, 10:20] = 255
    np.testing.assert_array_equal(oddity(images), np.zeros(count))


def test_enough_are_enough(draw_faces, oddity):
    images = draw_faces(0, FEWEST)
    images[0, 10:20] = 255
    assert oddity(images).argmax() == 0


def test_images_of_another_size_are_brought_to_it(draw_faces, sample_of):
    images = draw_faces(1, 24, side=64)
    images[7, 30:36, 20:36] = 0
    found = suspicion(sample_of(images), SIZE, np.random.default_rng(0))
    assert found.argmax() == 7
    assert found[7] >= FACTOR


def test_equal_chance_finds_the_same(draw_faces, oddity):
    images = draw_faces(0, 20)
    np.testing.assert_array_equal(oddity(images, 3), oddity(images, 3))
