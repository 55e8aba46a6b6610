import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dice_core.threshold import Sweep
from jobs import plots

SCORES = st.lists(st.floats(0, 1e6, width=32), max_size=40).map(lambda values: np.array(values, np.float32))


def points(path):
    return [tuple(map(float, pair.split())) for pair in path.strip("MZ").split("L")]


@given(good=SCORES, bad=SCORES, limit=st.floats(0.01, 1000))
def test_bars_and_threshold_lie_inside_the_plot(good, bad, limit):
    drawn = plots.histogram({"good": good, "defective": bad}, limit)
    assert drawn.outlines.keys() == {name for name, some in (("good", good), ("defective", bad)) if len(some)}
    for path in drawn.outlines.values():
        for x, y in points(path):
            assert -0.1 <= x <= plots.WIDTH + 0.1
            assert -0.1 <= y <= plots.HEIGHT + 0.1
    assert 0 <= drawn.limit <= plots.WIDTH
    assert all(-0.1 <= tick.at <= plots.WIDTH + 0.1 for tick in drawn.across)


def test_scores_below_the_threshold_are_drawn_left_of_it():
    drawn = plots.histogram({"good": np.full(9, 1.0), "defective": np.full(9, 100.0)}, 10.0)
    high = {name: [x for x, y in points(path) if y < 200] for name, path in drawn.outlines.items()}
    assert max(high["good"]) < drawn.limit < min(high["defective"])


def test_precision_and_recall_are_those_of_the_sweep():
    sweep = Sweep.of(np.array([4, 3, 2, 1], np.float32), np.array([True, False, True, False]))
    drawn = plots.precision_recall(sweep, 2.5)
    half, third = plots.WIDTH / 2, (1 - 2 / 3) * plots.HEIGHT
    assert points(drawn.path) == [
        (half, 0.0),
        (half, plots.HEIGHT / 2),
        pytest.approx((plots.WIDTH, third), abs=0.1),
        (plots.WIDTH, plots.HEIGHT / 2),
    ]
    assert drawn.point == (half, plots.HEIGHT / 2)
    assert plots.precision_recall(sweep, 9.0).point is None
    assert plots.precision_recall(Sweep.of(np.ones(2), np.zeros(2, bool)), 1.0) is None


def test_a_curve_of_many_scores_stays_small():
    rng = np.random.default_rng(0)
    bad = rng.random(100_000) < 0.3
    drawn = plots.precision_recall(Sweep.of(rng.random(100_000) + bad, bad), 1.0)
    assert len(points(drawn.path)) <= 500


def test_the_course_of_scores_goes_up_where_they_do():
    drawn = plots.series([np.array([0.5]), np.array([]), np.array([2.0, 8.0, 2.0])], (0.5, 8.0))
    assert re.match(r"M\d", drawn.middle)
    (first, low), (second, high) = points(drawn.middle)
    assert (first, second) == (30, 150)
    assert low > drawn.limit > high > points(drawn.high)[1][1] == 0
    assert plots.series([np.array([])], (0.5, 2.0)) is None
    assert len(points(plots.series([np.array([1.0])], (0.5, 2.0)).middle)) == 2
