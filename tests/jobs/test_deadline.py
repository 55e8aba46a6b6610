import pytest

from jobs.deadline import Deadline, DeadlineError


class Clock:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        self.now += 1
        return self.now


def test_bundles_are_handed_on_until_the_time_is_up():
    deadline = Deadline(3.0, Clock())
    assert list(deadline.until("abcdef")) == ["a", "b"]
    with pytest.raises(DeadlineError):
        deadline.check()


@pytest.mark.parametrize("seconds", [None, 100.0])
def test_a_plan_that_ends_in_time_is_not_held_back(seconds):
    deadline = Deadline(seconds, Clock())
    assert list(deadline.until("abc")) == ["a", "b", "c"]
    assert deadline.check() is None


def test_a_time_that_is_up_when_nothing_is_left_holds_nothing_back():
    deadline = Deadline(0.0, Clock())
    assert list(deadline.until("")) == []
    assert deadline.check() is None
