"""What the job holds in memory, by the number of images."""

import threading
from typing import Any, Self

import psutil

from jobs.evaluate import evaluate
from jobs.events import Event, Scored
from tests.bench.job import Clock, Material, material, run_job
from tests.bench.report import Report

IMAGES = (10_000, 30_000, 100_000)
EACH = 2000
WORKERS = 2

_SECONDS = 0.02
_MIB = 1 << 20


def run(*, tiny: bool) -> Report:
    """Score more and more images, and tell the most that a worker and the client held."""
    sizes, each = ((80, 240), 40) if tiny else (IMAGES, EACH)
    with material(sizes[-1], each, tiny=tiny) as given:
        rows = [_measure(given, images) for images in sizes]
    least, *_, most = (row["worker, MiB above imports and model"] for row in rows)
    about = (
        f"Peak memory of the job on {WORKERS} local workers, synthetic dice of 128x128 px, {each:,} a shard. "
        "Worker: the most the kernel ever counted, above what was held with imports and model, of "
        f"the worker that held most (at most 300 MiB, and flat: {most - least:+.1f} MiB from {sizes[0]:,} to "
        f"{sizes[-1]:,}). Client: above what it held before, sampled every {1000 * _SECONDS:.0f} ms."
    )
    label = f"worker's peak above imports and model, {sizes[-1]:,} images over {sizes[0]:,}"
    return Report("memory", about, {"memory": rows}, {label: most / least})


class _Sampler:
    """Samples the memory of this process, while scoring and from then on."""

    def __init__(self) -> None:
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._sample)
        self._scoring = True
        self.before = psutil.Process().memory_info().rss
        self.most = {True: 0, False: 0}

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def __call__(self, event: Event) -> None:
        """Hear that what follows is no scoring."""
        self._scoring &= not isinstance(event, Scored)

    def _sample(self) -> None:
        process = psutil.Process()
        while not self._ended.wait(_SECONDS):
            held = process.memory_info().rss - self.before
            self.most[self._scoring] = max(self.most[self._scoring], held)


def _measure(given: Material, images: int) -> dict[str, Any]:
    log = given.folder / "ticks"
    log.write_text("")
    clock = Clock(log)
    out = str(given.folder / f"rows{images}")
    with _Sampler() as sampler:
        run_job(given.settings(out, images // given.each, WORKERS), clock, evaluate, sampler)
    workers = clock.workers()
    return {
        "images": images,
        "worker, MiB above imports and model": max(
            _above(ticks[-1].peak, ticks[0].memory) for ticks in workers
        ),
        "worker, MiB with imports and model": max(_above(ticks[0].memory, 0) for ticks in workers),
        "client scoring, MiB above start": _above(sampler.most[True], 0),
        "client evaluating, MiB above start": _above(sampler.most[False], 0),
    }


def _above(held: int, base: int) -> float:
    return round((held - base) / _MIB, 1)
