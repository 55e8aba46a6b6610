import os
from functools import partial

import pytest
from deadly import die, fail, nothing, take

from jobs.poison import WorkerDiedError
from jobs.quarantine import ClosedError, Quarantine


def test_runs_functions_in_one_process_until_it_dies_and_then_in_another():
    with Quarantine(nothing, 1 << 40) as quarantine:
        first = quarantine(os.getpid)
        assert first != os.getpid()
        assert quarantine(os.getpid) == first
        with pytest.raises(WorkerDiedError):
            quarantine(die)
        with pytest.raises(ValueError, match="told"):
            quarantine(fail)
        assert quarantine(os.getpid) != first


def test_a_death_before_the_function_runs_is_none_of_its_own(tmp_path):
    with Quarantine(partial(die, str(tmp_path / "died")), 1 << 40) as quarantine:
        assert quarantine(os.getpid)
    assert (tmp_path / "died").exists()


def test_a_process_that_always_dies_before_it_begins_is_told():
    with Quarantine(die, 1 << 40) as quarantine, pytest.raises(RuntimeError, match="before they were given"):
        quarantine(nothing)


def test_one_that_holds_too_much_is_killed():
    with Quarantine(nothing, 600 << 20) as quarantine:
        assert quarantine(partial(take, 1 << 20)) == 1 << 20
        with pytest.raises(WorkerDiedError):
            quarantine(partial(take, 600 << 20))


def test_closed_it_ends_what_runs_and_starts_nothing():
    with Quarantine(nothing, 1 << 40) as quarantine:
        process = quarantine(os.getpid)
    with pytest.raises(ProcessLookupError):
        os.kill(process, 0)
    with pytest.raises(ClosedError):
        quarantine(nothing)
