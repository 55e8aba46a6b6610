"""What Dask costs: the real job on local workers against `multiprocessing.Pool` over the same function."""

from collections.abc import Mapping
from statistics import median
from typing import Any

from tests.bench.job import Run, material, run_dask, run_pool
from tests.bench.report import Report

IMAGES = 100_000
EACH = 2000
"""Images of an archive, and so of a shard."""
ROUNDS = 4
"""Each way goes so often: from one to the next the machine swings by more than what is measured."""
WORKERS = (1, 2)

_RUNS = {"Pool": run_pool, "Dask": run_dask}


def run(*, tiny: bool) -> Report:
    """Run pool and cluster in turn, with one and with two workers, and compare rates and rows."""
    images, each, rounds = (480, 40, 1) if tiny else (IMAGES, EACH, ROUNDS)
    with material(images, each, tiny=tiny) as given:
        turns = [
            {(way, number): through(given, number) for number in WORKERS for way, through in _RUNS.items()}
            for _ in range(rounds)
        ]
    if any(run.hashes != turns[0]["Pool", 1].hashes for turn in turns for run in turn.values()):
        raise RuntimeError("the runs do not agree in their rows")
    runs = {key: [turn[key] for turn in turns] for key in turns[0]}
    about = (
        f"{images:,} synthetic dice of 128x128 px in {images // each} archives that repeat {each:,}, a shard "
        f"each, and a task for Pool; Dask's tasks are the job's own; rounds: {rounds}, in turn; "
        "all parts equal, byte for byte. Steady state: each worker from its second shard, kernels compiled, "
        "to the beginning of its last."
    )
    rows = [_row(*key, done) for key, done in runs.items()]
    return Report("cluster", about, {"cluster": rows}, _ratios(runs))


def _row(way: str, workers: int, done: list[Run]) -> dict[str, Any]:
    rates = [run.images_per_second for run in done]
    return {
        "by": way,
        "workers": workers,
        "images/s": round(median(rates), 1),
        "least": round(min(rates), 1),
        "most": round(max(rates), 1),
        "worker CPU us/image": round(median(run.worker_cpu for run in done), 1),
        "client CPU us/image": round(median(run.client_cpu for run in done), 1),
        "seconds, start to end": round(median(run.seconds for run in done), 1),
    }


def _ratios(runs: Mapping[tuple[str, int], list[Run]]) -> dict[str, float]:
    rates = {key: [run.images_per_second for run in done] for key, done in runs.items()}
    used = {key: [run.cpu for run in done] for key, done in runs.items()}
    ratios: dict[str, float] = {}
    for number in WORKERS:
        pool, dask = ("Pool", number), ("Dask", number)
        ratios[f"time of Dask over Pool, workers: {number} (at most 1.05)"] = _ratio(rates[pool], rates[dask])
        ratios[f"processor time of Dask over Pool, workers: {number}"] = _ratio(used[dask], used[pool])
    one, two = WORKERS
    scaling = {way: _ratio(rates[way, two], rates[way, one]) for way in _RUNS}
    ratios |= {f"scaling 1 to 2 workers, {way}": scaling[way] for way in _RUNS}
    return {**ratios, "scaling, Dask over Pool (at least 0.97)": scaling["Dask"] / scaling["Pool"]}


def _ratio(one: list[float], other: list[float]) -> float:
    return median(a / b for a, b in zip(one, other, strict=True))
