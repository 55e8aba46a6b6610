"""Whether a job loses or doubles a row, or grows, whatever happens to its processes."""

import importlib
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from itertools import product
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
WRONG = ("rows", "wrongly named", "stray files", "scored twice")
SHARDS = 100_000
SHARDS_OF_AN_ARCHIVE = 1000

_TESTS = Path(__file__).parents[1] / "jobs"


def run(*, tiny: bool, seeds: int = 1) -> Report:
    """Kill workers at random, clients, groups and schedulers at set times, and run tasks that do nothing."""
    archives, images, kills, workers = (6, 20, 1, 1) if tiny else (ARCHIVES, IMAGES, KILLS, WORKERS)
    shards = 200 if tiny else SHARDS
    sys.path.append(str(_TESTS))  # the helpers of the tests are no package; workers import them by their name
    chaos: Any = importlib.import_module("chaos")
    with TemporaryDirectory() as name:
        storm = chaos.Chaos(Path(name), archives, images, 0.3)
        rows = [_kill_workers(chaos, storm, workers, kills, seed) for seed in range(seeds)]
        cuts = [("group", 0.5)] if tiny else product(("client", "group", "scheduler"), SHARES)
        rows += [_cut_short(chaos, storm, workers, share, what) for what, share in cuts]
    growth = _grow(shards)
    first, *_, last = growth
    wrong = {what: sum(row[what] for row in rows) for what in WRONG}
    about = (
        f"{archives} archives of {images} small images, a shard each, a scorer that goes by brightness, "
        f"{workers} local worker processes. In all {sum(row['kills'] for row in rows):,} kills, "
        f"{', '.join(f'{what}: {count:,}' for what, count in wrong.items())}; rows are those that differ "
        f"from a serial run's. Growth: {shards:,} shards that do nothing, through the window and into the "
        "list of parts, on one worker."
    )
    ratios = {
        "client memory at the end over that at 10 % (at most 1.1)": last["client MiB"] / first["client MiB"],
        "client's processor time per shard, last tenth over first": last["CPU us/shard"]
        / first["CPU us/shard"],
        "time per shard, last tenth over first": last["us/shard"] / first["us/shard"],
    }
    return Report("chaos", about, {"chaos": rows, "growth": growth}, ratios)


def _kill_workers(chaos: Any, storm: Any, workers: int, kills: int, seed: int) -> dict[str, Any]:
    began, out = time.monotonic(), storm.folder / f"seed{seed}"
    process = storm.start(out, workers=workers)
    every = max(1, storm.archives // (kills + 2))
    killed = chaos.kill_workers(process, out, every, kills, seed)
    process.communicate(timeout=chaos.DEADLINE)
    return _told(storm, f"workers, seed {seed}", out, killed, process.returncode, began)


def _cut_short(chaos: Any, storm: Any, workers: int, share: float, what: str) -> dict[str, Any]:
    """Kill what keeps a job going, or ends it, once a share of it is done, and give the command again."""
    began, out = time.monotonic(), storm.folder / f"{what}-{share}"
    place = storm.folder / f"scheduler{share}"
    with ExitStack() as opened:
        options: dict[str, Any] = {"workers": workers}
        if what == "scheduler":
            place.mkdir()
            options["cluster"], scheduler = opened.enter_context(chaos.samples.scheduler_process(place))
            slow = {chaos.fake_scorer.DELAY: str(storm.delay)}
            for _ in range(workers):
                opened.enter_context(chaos.samples.worker(options["cluster"], **slow))
        process = storm.start(out, **options)
        goes_on = chaos.wait_until(lambda: chaos.committed(out) >= share * storm.archives, process)
        if what == "scheduler":
            scheduler.kill()
            process.communicate(timeout=chaos.DEADLINE)
        else:
            {"client": chaos.kill_client, "group": chaos.kill_group}[what](process)
    before = chaos.samples.parts(out)
    code = storm.finish(out, workers=workers)[0]
    chaos.kill_group(process)
    again = len(before.items() - chaos.samples.parts(out).items())
    return _told(storm, f"{what} at {share:.0%}", out, int(goes_on), code, began, again)


def _told(
    storm: Any, what: str, out: Path, killed: int, code: int, began: float, again: int = 0
) -> dict[str, Any]:
    seconds = round(time.monotonic() - began, 1)
    wrong = {**dict.fromkeys(WRONG, 0), **storm.differences(out), "scored twice": again}
    return {"killed": what, "kills": killed, "exit": code, "seconds": seconds, **wrong}


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
    rows, process, total, tenth = [], psutil.Process(), Total(), shards // 10
    task: Callable[[Bundle], tuple[PartReport, ...]] = do_nothing
    with TemporaryDirectory() as out, open_cluster("local", 1) as client, parts.listing(out) as add:
        began, used = time.monotonic(), time.process_time()
        for done, outcome in enumerate(run_tasks(_plan(shards), task, client), 1):
            if isinstance(outcome, Failure):
                raise RuntimeError(outcome.error)  # noqa: TRY004 - nothing is of a wrong type
            add(outcome)
            total.add(outcome.tally)
            if done % tenth == 0:
                now, using = time.monotonic(), time.process_time()
                rows.append(
                    {
                        "shards": done,
                        "client MiB": round(process.memory_info().rss / (1 << 20), 1),
                        "us/shard": round(1e6 * (now - began) / tenth, 1),
                        "CPU us/shard": round(1e6 * (using - used) / tenth, 1),
                    }
                )
                began, used = now, using
    return rows
