"""What a poisonous image costs: itself alone."""

import numpy as np
import pytest
import simplejpeg
from fake_scorer import GREEDY, HANGING, SIZE, SUICIDAL
from hypothesis import given
from hypothesis import strategies as st

from jobs.poison import DEATHS, find


def killer_of(poison, trials, accidents=()):
    """Tell of ranges whether they kill, and note each trial; some die by accident."""

    def kills(low, high):
        trials.append((low, high))
        return len(trials) in accidents or any(low <= each < high for each in poison)

    return kills


@given(st.integers(0, 50), st.integers(1, 200), st.data())
def test_finds_every_image_that_kills_and_no_other(first, count, data):
    poison = data.draw(st.sets(st.integers(first, first + count - 1), max_size=5))
    trials = []
    assert list(find(first, first + count, killer_of(poison, trials))) == sorted(poison)
    assert all(trials.count((each, each + 1)) == DEATHS for each in poison)


def test_one_among_two_thousand_costs_a_death_for_each_halving_and_three_more():
    trials = []
    assert list(find(0, 2000, killer_of({1234}, trials))) == [1234]
    assert sum(low <= 1234 < high for low, high in trials) == 10 + DEATHS


@given(st.sets(st.integers(1, 60), max_size=20))
def test_deaths_by_accident_name_an_image_only_if_all_three_of_its_trials_had_one(accidents):
    trials = []
    found = list(find(0, 64, killer_of((), trials, accidents)))
    for image in found:
        alone = [number for number, trial in enumerate(trials, 1) if trial == (image, image + 1)]
        assert len(accidents & set(alone)) == DEATHS


def jpeg(level):
    return simplejpeg.encode_jpeg(np.full((SIZE, SIZE, 1), level, np.uint8), quality=100, colorspace="GRAY")


@pytest.mark.parametrize("level", [SUICIDAL, GREEDY, HANGING])
def test_a_flat_image_keeps_its_level(level):
    assert (simplejpeg.decode_jpeg(jpeg(level), "GRAY") == level).all()
