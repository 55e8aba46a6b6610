import pytest

from jobs.events import Planning
from jobs.surveying import EndedError, Surveying


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


def test_planning_is_told_of_now_and_then_where_it_takes_long():
    clock, heard = Clock(), []
    with Surveying(3, heard.append, clock).following() as surveying:
        surveying.walked(2000)
        clock.now = 1.1
        surveying.walked(2000)
        surveying.walked(2000)
        surveying.done()
        clock.now = 1.7
        surveying.done()
    assert heard == [Planning(3, 0, 4000), Planning(3, 2, 6000), Planning(3, 2, 6000, ended=True)]


def test_planning_that_is_quick_is_not_told_of():
    heard = []
    with Surveying(1, heard.append, Clock()).following() as surveying:
        surveying.walked(2000)
        surveying.done()
    assert heard == []


def test_the_end_is_told_however_it_comes_and_what_still_walks_ends():
    clock, heard = Clock(), []
    surveying = Surveying(1, heard.append, clock)
    clock.now = 2.0
    surveying.walked(1)
    with pytest.raises(KeyboardInterrupt), surveying.following():
        raise KeyboardInterrupt
    assert heard[-1].ended
    with pytest.raises(EndedError):
        surveying.walked(1)
