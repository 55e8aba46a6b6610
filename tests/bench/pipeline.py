"""What an image costs from bytes to a row, by stage, against the classic method and decoding alone."""

import itertools
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from multiprocessing import get_context
from pathlib import Path
from time import perf_counter
from typing import Any
from unittest.mock import patch

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from dice_core import score
from dice_core.bank import Bank
from dice_core.decode import decode
from dice_core.die import FACES
from dice_core.exhaustive import SHIFT
from dice_core.learn import Learning
from dice_core.policy import Policy
from dice_core.register import Registration
from dice_core.sample import Sampler
from dice_core.score import CHUNK, FEW, Scorer
from dice_core.teach import set_thresholds, teach
from jobs import plan
from jobs.fit import LARGEST_SIZE
from jobs.parquet import digest
from jobs.rows import BATCH, batch_of
from jobs.shard import ShardSettings, score_shard
from tests.bench.classic import Naive, OpenCv
from tests.bench.photographs import synthetic_day, write_tar
from tests.bench.report import Report
from tests.bench.timing import ROUNDS, Timing, measure, ratio

SIZES = (128, 256, 512)
IMAGES_OF_128 = 1024
TAUGHT = 22
"""Good images of each face that teach."""
FORTY_MILLION = 40_000_000
TOLERANCE = 1e-5
NAIVE_IMAGES = 2

DECODE, DEFAULT, EXHAUSTIVE = "decode alone", "default route", "exhaustive route"
CLASSIC = "classic scores alone"
POOL, NAIVE, JOB = "OpenCV + Pool of 1", "naive scikit-image loop", "whole job, serial, tar to Parquet"
COMPARED = (
    (DEFAULT, DECODE),
    (EXHAUSTIVE, DECODE),
    (NAIVE, EXHAUSTIVE),
    (POOL, EXHAUSTIVE),
    (NAIVE, CLASSIC),
    (POOL, CLASSIC),
    (NAIVE, DEFAULT),
    (POOL, DEFAULT),
    (JOB, DECODE),
)
STAGES = ("resize", "ncc", "ssim_mean", "even", "lay", "rebuild", "ssim_pair_scores", "evidence", "locate")

_MAX_PIXELS = 1 << 24

Images = NDArray[np.uint8]


def run(*, tiny: bool) -> Report:
    """Time the routes side by side, one thread, on synthetic dice of several sizes."""
    ratios: dict[str, float] = {}
    routes: list[dict[str, Any]] = []
    stages: list[dict[str, Any]] = []
    for size in SIZES[:1] if tiny else SIZES:
        with threadpool_limits(1):
            bench = _Bench(size, 33 if tiny else IMAGES_OF_128 * 128**2 // size**2)
            timings = bench.time(1 if tiny else ROUNDS)
            stages += [{"px": size, "stage": name, "us": us} for name, us in bench.stages().items()]
        routes += [{"px": size, **_row(name, timing)} for name, timing in timings.items()]
        ratios |= {
            f"{size} px: {slow} / {fast}": ratio(timings[slow], timings[fast]) for slow, fast in COMPARED
        }
    about = (
        f"Grey JPEGs of synthetic dice, {len(FACES)} templates, translations of 4 px in 128, one thread, "
        f"{BATCH} images of 128 px decoded, {CHUNK} of a face rebuilt, {FEW} judged at once; "
        f"images over {LARGEST_SIZE} px are reduced to it; classic scores asserted equal to {TOLERANCE:g} "
        "before. The exhaustive route has the judgement of the default route besides; classic scores alone "
        "are what the naive loop and OpenCV compute."
    )
    return Report("pipeline", about, {"routes": routes, "stages of the default route": stages}, ratios)


def _row(name: str, timing: Timing) -> dict[str, Any]:
    return {
        **timing.row(name),
        "images/s per core": round(1e6 / timing.microseconds, 1),
        "core-hours per 40 million": round(FORTY_MILLION * timing.microseconds / 3.6e9, 2),
    }


class _Bench:
    """A bank, images of one size, and the routes over them."""

    def __init__(self, size: int, images: int) -> None:
        self._photographs = synthetic_day(2, images, size=size)
        self._files = [photograph.content for photograph in self._photographs]
        self._bank = _teach(size)
        self._scorer = Scorer(self._bank)
        means = np.stack([face.mean for face in self._bank.faces])
        shift = round(SHIFT * max(self._bank.size))
        self._classic, self._naive = OpenCv(means, shift), Naive(means, shift)

    def time(self, rounds: int) -> dict[str, Timing]:
        """Time each route over all images, or as many as there is patience for."""
        count, some = len(self._files), self._files[: max(len(self._files) // 4, 1)]
        few = self._files[:NAIVE_IMAGES]
        if self._bank.size == self._bank.image_size:
            self._assert_equal(few)
        with tempfile.TemporaryDirectory() as folder, get_context("spawn").Pool(1) as pool:
            job = self._job(Path(folder))
            candidates: dict[str, tuple[Callable[[], object], int]] = {
                DECODE: (lambda: sum(len(batch) for batch in self._batches()), count),
                DEFAULT: (self._default, count),
                EXHAUSTIVE: (self._exhaustive, count),
                CLASSIC: (self._classic_alone, count),
                POOL: (lambda: pool.apply(self._classic, (some,)), len(some)),
                NAIVE: (lambda: self._naive(few), len(few)),
                JOB: (job, count),
            }
            return measure(candidates, rounds)

    def stages(self) -> dict[str, float]:
        """Microseconds per image of each stage of the default route, of the quickest of three rounds."""
        rounds = [_stages(self._default) for _ in range(3)]
        least = min(rounds, key=lambda taken: sum(taken.values()))
        return {name: round(1e6 * seconds / len(self._files), 1) for name, seconds in least.items()}

    def _batches(self) -> Iterator[Images]:
        most = batch_of(self._bank.image_size)
        batch = np.empty((most, *self._bank.image_size), np.uint8)
        for first in range(0, len(self._files), most):
            files = self._files[first : first + most]
            for at, data in enumerate(files):
                batch[at] = decode(data, _MAX_PIXELS)
            yield batch[: len(files)]

    def _default(self) -> None:
        for batch in self._batches():
            self._scorer.score(batch)

    def _exhaustive(self) -> None:
        for batch in self._batches():
            self._scorer.score(batch)
            self._scorer.compare(batch)

    def _classic_alone(self) -> None:
        for batch in self._batches():
            self._scorer.compare(batch)

    def _assert_equal(self, files: list[bytes]) -> None:
        compared = self._scorer.compare(np.stack([decode(data, _MAX_PIXELS) for data in files]))
        own = compared["ncc_shifted"], compared["ssim_faces"]
        for peer in (self._classic, self._naive):
            for ours, theirs in zip(own, peer(files), strict=True):
                np.testing.assert_allclose(ours, theirs, atol=TOLERANCE)

    def _job(self, folder: Path) -> Callable[[], object]:
        """Make a run of one shard, each time into a folder of its own."""
        archive = write_tar(folder / "lot.tar", self._photographs)
        with (folder / "model.npz").open("wb") as stream:
            self._bank.write(stream)
        model_hash = digest((folder / "model.npz").read_bytes())
        (shard,) = plan.shards([plan.survey(str(archive), len(self._photographs))])
        runs = itertools.count()

        def score_once() -> None:
            out = folder / f"out{next(runs)}"
            out.mkdir()
            settings = ShardSettings(str(out), str(folder / "model.npz"), model_hash, "f" * 32)
            score_shard(shard, settings, self._scorer)

        return score_once


def _teach(size: int) -> Bank:
    samplers = {face: Sampler(TAUGHT) for face in FACES}
    for photograph in synthetic_day(1, TAUGHT * len(FACES), 0, size=size):
        pixels = np.asarray(decode(photograph.content, _MAX_PIXELS), np.uint8)
        samplers[photograph.label].add(pixels, digest(photograph.content), photograph.name)
    worked_in = min(size, LARGEST_SIZE)
    taught = teach(
        {face: sampler.sample() for face, sampler in samplers.items()},
        Sampler(1).sample(),
        Learning((worked_in, worked_in)),
    )
    return set_thresholds(taught.bank, taught.crossfit, Policy())


def _stages(route: Callable[[], object]) -> dict[str, float]:
    """Run a route and tell the seconds of each of its stages, and of what is in none."""
    taken = dict.fromkeys(("decode", *STAGES, "register"), 0.0)

    def timed(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*values: Any, **options: Any) -> Any:
            start = perf_counter()
            try:
                return function(*values, **options)
            finally:
                taken[name] += perf_counter() - start

        return call

    with ExitStack() as stack:
        for name in STAGES:
            stack.enter_context(patch.object(score, name, timed(name, getattr(score, name))))
        stack.enter_context(
            patch.object(Registration, "transforms", timed("register", Registration.transforms))
        )
        stack.enter_context(patch(f"{__name__}.decode", timed("decode", decode)))
        start = perf_counter()
        route()
        whole = perf_counter() - start
    return {**taken, "all else": whole - sum(taken.values())}
