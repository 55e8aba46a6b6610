import signal
import sys
import threading
import time

import pytest
import samples

from jobs.watchdog import watched

STEPS = {
    "hang": "time.sleep(30)",
    "hold": "sum(range(10**11))",  # which lets no other thread run
    "beat": "[(time.sleep(0.1), beat()) for _ in range(8)]",
}


def main(step, seconds):
    with watched(float(seconds)) as beat:
        exec(STEPS[step], {"time": time, "beat": beat})  # noqa: S102 - of this file


def two_threads():
    """One that goes on, and one that hangs meanwhile."""
    hanging = threading.Thread(target=main, args=("hang", 0.5), daemon=True)
    hanging.start()
    with watched(0.5) as beat:
        for _ in range(40):
            time.sleep(0.05)
            beat()


def ended(*arguments):
    process = samples.start([__file__, *arguments])
    began = time.monotonic()
    process.communicate(timeout=60)
    return process.returncode, time.monotonic() - began


@pytest.mark.parametrize("step", ["hang", "hold"])
def test_a_process_that_hangs_is_ended_by_the_alarm(step):
    assert ended(step, "0.3")[0] == -signal.SIGALRM


def test_one_that_goes_on_is_not():
    assert ended("beat", "0.5")[0] == 0


def test_a_thread_that_goes_on_does_not_cover_for_one_that_hangs():
    assert ended("two")[0] == -signal.SIGALRM


def test_without_a_time_nothing_is_watched():
    before = signal.getitimer(signal.ITIMER_REAL)[0]
    with watched(None) as beat:
        beat()
    assert signal.getitimer(signal.ITIMER_REAL)[0] <= before


if __name__ == "__main__":
    two_threads() if sys.argv[1] == "two" else main(*sys.argv[1:])
