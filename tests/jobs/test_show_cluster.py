import io

import pytest
from rich.console import Console

from jobs import show_cluster
from jobs.estimate import Estimate


def shown(**changes):
    told = {
        "images": 4086,
        "sources": 1,
        "size": 16_400_000,
        "shards": 3,
        "workers": 2,
        "images_per_second": 1500.0,
        "plan_seconds": 0.1,
        "start_seconds": 1.0,
        "score_seconds": 2.7,
        "close_seconds": 0.4,
        "reads": 3,
        "writes": 11,
        "output": 950_000,
        "sampled": 1,
        "scaled": False,
    }
    stream = io.StringIO()
    Console(file=stream, width=200).print(show_cluster.estimated(Estimate(**{**told, **changes})))
    return [line.rstrip() for line in stream.getvalue().splitlines()]


def test_a_small_estimate_has_units_that_show_figures():
    assert shown() == [
        "4,086 images, 16.4 MB, sources 1, shards 3",
        "workers 2: 1,500 images/s, 5.4 core-seconds",
        "4.2 s: plan 0.1 s, start 1.0 s, score 2.7 s, close 0.4 s",
        "on object storage 3 requests to read and 11 to write",
        "job folder 950.0 kB",
        "from a sample of 1 image scored here",
    ]


@pytest.mark.parametrize(("seconds", "work"), [(90.0, "3.0 core-minutes"), (7200.0, "4.0 core-hours")])
def test_work_is_told_in_the_unit_it_fills(seconds, work):
    assert shown(score_seconds=seconds)[1].endswith(work)
