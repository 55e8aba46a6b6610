"""What other processes run in the tests of those that die: in a module that they can import by its name."""

import os
import signal
import time
from pathlib import Path

from dice_core.tally import Tally
from jobs.shard import PartReport


def nothing():
    return None


def die(once=None):
    if once is None or not Path(once).exists():
        if once is not None:
            Path(once).touch()
        os.kill(os.getpid(), signal.SIGKILL)


def take(size):
    held = b"x" * size
    time.sleep(0.5)
    return len(held)


def fail():
    raise ValueError("told")


def report(shard):
    return PartReport(shard.part, 1, "", Tally(), shard.archive, shard.identity, shard.first, 5)


def score_unless_it_kills(bundle):
    """Stands for a scoring that ends its worker where an archive has a 7 in its number."""
    if any("7" in shard.archive for shard in bundle.shards):
        os._exit(1)
    return tuple(map(report, bundle.shards))
