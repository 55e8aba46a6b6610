"""Whether a job loses or doubles a row, or grows, whatever happens to its processes."""

import importlib
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import psutil

from dice_core.tally import Tally
from jobs import parts
from jobs.cluster import open_cluster
from jobs.execute import run as run_tasks
from jobs.kinds import Kind
from jobs.plan import Bundle, Shard
from jobs.shard import Failure, PartReport
from jobs.summary import Total
from tests.bench.report import Report

ARCHIVES, IMAGES, KILLS, WORKERS = 200, 200, 20, 4
SHARES = (0.1, 0.5, 0.9)
SHARDS = 100_000
SHARDS_OF_AN_ARCHIVE = 1000

_TESTS = Path(__file__).parents[1] / "jobs"


def run(*, tiny: bool, seeds: int = 1) -> Report:
    """Kill workers at random, clients and groups at set times, and run tasks that do nothing."""
    archives, images, kills, workers = (12, 20, 2, 2) if tiny else (ARCHIVES, IMAGES, KILLS, WORKERS)
    shards = 2000 if tiny else SHARDS
    sys.path.append(str(_TESTS))  # the helpers of the tests are no package; workers import them by their name
    chaos: Any = importlib.import_module("chaos")
    with TemporaryDirectory() as name:
        place = Path(name)
        storm = chaos.Chaos(place, archives, images, 0.3)
        storms = [
            _kill_workers(chaos, storm, place / f"w{seed}", workers, kills, seed) for seed in range(seeds)
        ]
        cut = [
            _cut_short(chaos, storm, place / f"{what}{share}", workers, share, what)
            for share in ((0.5,) if tiny else SHARES)
            for what in ("client", "group")
        ]
    growth = _grow(shards)
    first, *_, last = growth
    wrong = sum(len(row["differences"]) for row in [*storms, *cut])
    about = (
        f"{archives} archives of {images} small images, a shard each, a scorer that goes by brightness, "
        f"{workers} local worker processes. Differences from the rows of a serial run: {wrong}. Growth: "
        f"{shards:,} shards that do nothing, through the window and into the list of parts, on one worker."
    )
    ratios = {
        "client memory at the end over that at 10 % (at most 1.1)": last["client MiB"] / first["client MiB"],
        "time per shard, last tenth over first": last["us/shard"] / first["us/shard"],
    }
    told = [{**row, "differences": "; ".join(row["differences"]) or "none"} for row in [*storms, *cut]]
    return Report("chaos", about, {"chaos": told, "growth": growth}, ratios)


def _kill_workers(chaos: Any, storm: Any, out: Path, workers: int, kills: int, seed: int) -> dict[str, Any]:
    began = time.monotonic()
    process = storm.start(out, workers=workers)
    every = max(1, storm.archives // (kills + 2))
    killed = chaos.kill_workers(process, out, every, kills, seed)
    process.communicate(timeout=chaos.DEADLINE)
    return _told(f"workers, seed {seed}", killed, process.returncode, began, storm.differences(out))


def _cut_short(chaos: Any, storm: Any, out: Path, workers: int, share: float, what: str) -> dict[str, Any]:
    began = time.monotonic()
    process = storm.start(out, workers=workers)
    chaos.wait_until(lambda: chaos.committed(out) >= share * storm.archives, process)
    if what == "group":
        chaos.kill_group(process)
    else:
        process.kill()
        process.wait()
    before = chaos.samples.parts(out)
    code = storm.finish(out, workers=workers)[0]
    chaos.kill_group(process)
    found = storm.differences(out)
    if not before.items() <= chaos.samples.parts(out).items():
        found.append("a committed shard was scored twice")
    return _told(f"{what} at {share:.0%}", 1, code, began, found)


def _told(what: str, killed: int, code: int, began: float, differences: list[str]) -> dict[str, Any]:
    seconds = round(time.monotonic() - began, 1)
    return {"killed": what, "kills": killed, "exit": code, "seconds": seconds, "differences": differences}


def _plan(shards: int) -> Iterator[Bundle]:
    for number in range(shards):
        archive, index = divmod(number, SHARDS_OF_AN_ARCHIVE)
        shard = Shard(f"/lot{archive:05d}.tar", Kind.TAR, "1-1", index, index + 1, 0, SHARDS_OF_AN_ARCHIVE)
        yield Bundle((shard,))


def do_nothing(bundle: Bundle) -> tuple[PartReport, ...]:
    """Report shards as if they had been scored."""
    return tuple(
        PartReport(shard.part, 1, "", Tally(), shard.archive, shard.identity, shard.first, 1)
        for shard in bundle.shards
    )


def _grow(shards: int) -> list[dict[str, Any]]:
    rows, process, total = [], psutil.Process(), Total()
    task: Callable[[Bundle], tuple[PartReport, ...]] = do_nothing
    with TemporaryDirectory() as out, open_cluster("local", 1) as client, parts.listing(out) as add:
        began = time.monotonic()
        for done, outcome in enumerate(run_tasks(_plan(shards), task, client), 1):
            if isinstance(outcome, Failure):
                raise RuntimeError(outcome.error)  # noqa: TRY004 - nothing is of a wrong type
            add(outcome)
            total.add(outcome.tally)
            if done % (shards // 10) == 0:
                spent = time.monotonic() - began
                rows.append(
                    {
                        "shards": done,
                        "client MiB": round(process.memory_info().rss / (1 << 20), 1),
                        "us/shard": round(1e6 * spent / (shards // 10), 1),
                    }
                )
                began = time.monotonic()
    return rows
