"""The scoring job as the benchmarks run it: material, a clock in every worker, Dask and a plain pool."""

import multiprocessing
import os
import shutil
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil

from dice_core.die import FACES
from jobs import folder, kernels, parts, plan
from jobs.closing import Evaluate
from jobs.config import ScoreSettings
from jobs.errors import ExitCode
from jobs.events import Event, Listener, Scored, Started, ignore
from jobs.fit import FitSettings, fit
from jobs.managers import WORKER_ENVIRONMENT
from jobs.parquet import digest
from jobs.reader import Limits
from jobs.rows import ScorerLike
from jobs.score import score
from jobs.shard import ShardSettings, load_scorer, score_bundle
from jobs.summary import Total
from jobs.tasksize import TaskSize
from jobs.teaching import Sources
from tests.bench.photographs import synthetic_day, write_tar

THREE_FACES = ("00", "04", "07")


@dataclass(frozen=True)
class Tick:
    """A worker as it begins a shard, and once before its first, when it is made ready.

    Attributes
    ----------
    at, cpu
        Seconds of the machine's clock, and of processor time that the worker has used.
    memory, peak
        Bytes: resident, and the most that ever was.
    """

    process: int
    at: float
    cpu: float
    memory: int
    peak: int


@dataclass(frozen=True)
class Clock:
    """Loads scorers as the job does, and writes a tick each time it is asked for one."""

    log: Path

    def __call__(self, model: str, model_hash: str) -> ScorerLike:
        scorer = load_scorer(model, model_hash)
        memory = psutil.Process().memory_info().rss
        tick = (os.getpid(), time.monotonic(), time.process_time(), memory, peak(memory))
        with self.log.open("a") as file:
            file.write(" ".join(map(str, tick)) + "\n")
        return scorer

    def workers(self) -> list[list[Tick]]:
        """Give the ticks of each worker, in order; those of this process are left out."""
        found: dict[int, list[Tick]] = defaultdict(list)
        for line in self.log.read_text().splitlines():
            process, at, cpu, memory, peak = line.split()
            found[int(process)].append(Tick(int(process), float(at), float(cpu), int(memory), int(peak)))
        found.pop(os.getpid(), None)
        return list(found.values())


def peak(memory: int) -> int:
    """Bytes this process ever held, by the kernel; what `getrusage` tells counts its parent's too."""
    status = Path("/proc/self/status")
    lines = status.read_text().splitlines() if status.exists() else []
    return max(memory, *(int(line.split()[1]) << 10 for line in lines if line.startswith("VmHWM:")), 0)


@dataclass(frozen=True)
class Material:
    """Archives of equal numbers of images, and a model for them."""

    sources: tuple[str, ...]
    each: int
    model: str
    folder: Path

    def settings(self, out: str, archives: int, workers: int) -> ScoreSettings:
        """Ask for so many archives, a shard each and at least one a task, on local workers."""
        return ScoreSettings(
            self.sources[:archives],
            self.model,
            out,
            workers=workers,
            shard_size=self.each,
            task_images=self.each,
            overwrite=True,
        )


@contextmanager
def material(images: int, each: int, *, tiny: bool) -> Iterator[Material]:
    """Render one archive of `each` synthetic dice, and give it under as many names as make `images`."""
    faces = THREE_FACES if tiny else FACES
    with TemporaryDirectory() as name:
        place = Path(name)
        taught = write_tar(place / "taught.tar", synthetic_day(1, 90 if tiny else 2200, faces=faces))
        model = str(place / "model.npz")
        fit(FitSettings(Sources(labelled=(str(taught),)), model, threads=1))
        first = write_tar(place / "lot00000.tar", synthetic_day(2, each, faces=faces))
        sources = [first, *(place / f"lot{number:05d}.tar" for number in range(1, images // each))]
        for source in sources[1:]:
            source.hardlink_to(first)
        yield Material(tuple(map(str, sources)), each, model, place)


@dataclass(frozen=True)
class Run:
    """One way through all images.

    Attributes
    ----------
    images_per_second
        Of all workers, in steady state: each from its second shard to the beginning of its last.
    worker_cpu, client_cpu
        Microseconds of processor time per image: of the workers in steady state, of the client while the job
        scores.
    seconds
        From start to end, whatever that needs.
    hashes
        Of each part, by its name.
    """

    images_per_second: float
    worker_cpu: float
    client_cpu: float
    seconds: float
    hashes: Mapping[str, str]

    @property
    def cpu(self) -> float:
        """Microseconds of processor time per image, of all."""
        return self.worker_cpu + self.client_cpu


class _Window:
    """Counts the processor time of this process while the job scores."""

    used = 0.0

    def __call__(self, event: Event) -> None:
        """Begin and end with the scoring."""
        match event:
            case Started():
                self.used -= time.process_time()
            case Scored():
                self.used += time.process_time()


def run_dask(given: Material, workers: int) -> Run:
    """Run the real job on a local cluster; it is not evaluated."""
    window, began = _Window(), time.monotonic()
    with _scratch(given) as (out, clock):
        run_job(given.settings(str(out), len(given.sources), workers), clock, lambda _: {}, window)
        hashes = {report.name: report.hash for report in parts.listed(str(out))}
        return _run(given, clock.workers(), window.used, time.monotonic() - began, hashes)


def run_job(settings: ScoreSettings, clock: Clock, evaluate: Evaluate, listener: Listener = ignore) -> None:
    """Run the job to its good end."""
    result = score(settings, evaluate=evaluate, listener=listener, load=clock)
    if result.exit_code is not ExitCode.DONE:
        raise RuntimeError(f"the job ended with {result.exit_code!r}: {result.summary.get('failures')}")


def run_pool(given: Material, workers: int) -> Run:
    """Map the very function of the job over the very bundles by a `multiprocessing.Pool`."""
    with _scratch(given) as (out, clock), _one_thread_each():
        out.mkdir()
        window, began = _Window(), time.monotonic()
        settings = _shard_settings(given, str(out), clock)
        records = [plan.survey(source, given.each) for source in given.sources]
        bundles = TaskSize(given.each, 0, lambda: 0).bundle(plan.shards(records))
        total, hashes = Total(), {}
        make_ready = (kernels.make_ready, (settings,))
        with multiprocessing.get_context("spawn").Pool(workers, *make_ready) as pool:
            window(Started())
            for reports in pool.imap_unordered(partial(score_bundle, settings), bundles):
                for report in reports:
                    total.add(report.tally)
                    hashes[report.name] = report.hash
            window(Scored(0.0))
        return _run(given, clock.workers(), window.used, time.monotonic() - began, hashes)


def _shard_settings(given: Material, out: str, clock: Clock) -> ShardSettings:
    model_hash = digest(Path(given.model).read_bytes())
    fingerprint = folder.fingerprint(folder.deciding(model_hash, given.each, Limits()))
    return ShardSettings(out, given.model, model_hash, fingerprint, shard_size=given.each, load_scorer=clock)


@contextmanager
def _scratch(given: Material) -> Iterator[tuple[Path, Clock]]:
    out, log = given.folder / "rows", given.folder / "ticks"
    log.touch()
    try:
        yield out, Clock(log)
    finally:
        shutil.rmtree(out, ignore_errors=True)
        log.unlink()


@contextmanager
def _one_thread_each() -> Iterator[None]:
    """What whoever uses a pool on all cores sets."""
    values = {name: value for name, value in WORKER_ENVIRONMENT.items() if name.endswith("_NUM_THREADS")}
    before = dict(os.environ)
    os.environ.update(values)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def _run(
    given: Material, workers: Sequence[Sequence[Tick]], client: float, seconds: float, hashes: dict[str, str]
) -> Run:
    images = given.each * len(given.sources)
    if sum(len(ticks) - 1 for ticks in workers) != len(given.sources):
        raise RuntimeError("a shard was scored twice: another worker had to be started")
    # One that came too late for two shards tells of no steady state.
    steady = [ticks[2:] for ticks in workers if len(ticks) > 3]
    spans = [(given.each * (len(ticks) - 1), ticks[0], ticks[-1]) for ticks in steady]
    timed = sum(count for count, _, _ in spans)
    return Run(
        images_per_second=sum(count / (last.at - first.at) for count, first, last in spans),
        worker_cpu=1e6 * sum(last.cpu - first.cpu for _, first, last in spans) / timed,
        client_cpu=1e6 * client / images,
        seconds=seconds,
        hashes=hashes,
    )
