import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.walltime import lifetime, seconds


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("90", 5400),
        ("10:30", 630),
        ("01:00:00", 3600),
        ("2-00", 172_800),
        ("1-02:30", 95_400),
        ("1-00:00:01", 86_401),
    ],
)
def test_walltimes_as_queues_write_them(text, expected):
    assert seconds(text) == expected


@pytest.mark.parametrize("text", ["", "soon", "1h", "00:00:00", "-1", "1:2:3:4"])
def test_refuses_what_is_no_walltime(text):
    with pytest.raises(ValueError, match=r"no walltime|leaves no time"):
        seconds(text)


@given(st.integers(60, 10**7))
def test_every_worker_retires_before_the_walltime_and_with_time_for_a_task(walltime):
    last = sum(lifetime(walltime))
    assert last <= walltime - min(walltime / 10, 300) + 1
    assert lifetime(walltime).lifetime - lifetime(walltime).stagger > walltime / 2


def test_the_options_are_those_of_a_dask_worker():
    assert lifetime(3600).options() == ["--lifetime", "2940s", "--lifetime-stagger", "360s"]
