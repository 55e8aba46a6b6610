"""What it takes until a job goes on that has very many parts."""

import os
import time
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import numpy.typing as npt
import psutil

from dice_core.member import Cut
from jobs import folder, plan, storage
from jobs.config import ScoreSettings
from jobs.events import Event, Started
from jobs.folder import Start
from jobs.kinds import Kind
from jobs.parquet import digest
from jobs.plan import ArchiveRecord
from jobs.reader import Limits
from jobs.rows import Images
from jobs.score import score
from tests.bench.job import peak
from tests.bench.report import Report

PARTS = (10_000, 100_000, 1_000_000)
EACH = 100
"""Parts of an archive."""

_SHARD = 2000
_MODEL = b"the model of a scorer that is never asked"
_IN_MEMORY = Path("/dev/shm")  # noqa: S108 - a folder of ours is made in it, and removed
_MIB = 1 << 20


def run(*, tiny: bool) -> Report:
    """Start jobs of which all but the last part is there, up to where the first task would be submitted."""
    sizes = (200, 400) if tiny else PARTS
    rows = [_measure(parts) for parts in sizes]
    last = rows[-1]
    about = (
        f"Seconds from the call until the first task would be submitted, with {EACH} parts an archive and "
        "all but the last part there; parts and archives are empty files in memory, for none is opened. "
        f"{last['parts']:,} parts: {last['seconds']:.1f} s (at most 60). Memory: the most the process ever "
        "held, above what it held when all was imported."
    )
    return Report("resume", about, {"resume": rows})


def _measure(parts: int) -> dict[str, Any]:
    where = _IN_MEMORY if os.access(_IN_MEMORY, os.W_OK) else None
    with TemporaryDirectory(dir=where) as name:
        settings = _settings(Path(name))
        _prepare(settings, parts)
        # In a process of its own, whose peak is that of the start alone.
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
            seconds, held = pool.submit(_resume, settings).result()
    return {"parts": parts, "archives": parts // EACH, "seconds": seconds, "peak, MiB": round(held / _MIB, 1)}


def _settings(root: Path) -> ScoreSettings:
    (root / "lots").mkdir()
    (root / "model").write_bytes(_MODEL)
    return ScoreSettings(
        (str(root / "lots" / "*.tar"),), str(root / "model"), str(root / "out"), "serial", shard_size=_SHARD
    )


def _prepare(settings: ScoreSettings, parts: int) -> None:
    """Write the plan of a job and a file for each part but the last."""
    cuts = tuple(Cut(shard * _SHARD, shard * _SHARD * 4096) for shard in range(EACH))
    records = []
    for archive in range(parts // EACH):
        path = Path(settings.sources[0]).with_name(f"{archive:08d}.tar")
        path.touch()
        stamp = storage.stamp(str(path))
        record = ArchiveRecord(str(path), Kind.TAR, str(archive), EACH * _SHARD, cuts, stamp=stamp)
        records.append(record)
    decides = folder.deciding(digest(_MODEL), settings.shard_size, Limits())
    folder.begin(settings.out, Start.NEW, decides, settings.sources, _MODEL, records)
    *there, _ = plan.shards(records)
    for shard in there:
        (Path(settings.out) / shard.part).touch()


class _StartedError(Exception):
    """The first task would be submitted now."""


def _stop(event: Event) -> None:
    """End the job where scoring starts."""
    if isinstance(event, Started):
        raise _StartedError


def _resume(settings: ScoreSettings) -> tuple[float, int]:
    """Tell the seconds to the first task, and the bytes that were held at most meanwhile."""
    before = psutil.Process().memory_info().rss
    began = time.perf_counter()
    try:
        ended = score(settings, evaluate=_evaluate, listener=_stop, load=_load)
    except _StartedError:
        return time.perf_counter() - began, peak(before) - before
    raise AssertionError(f"nothing was pending: {ended.exit_code}")


class _Idle:
    """A scorer that does nothing."""

    image_size = (4, 4)
    faces: tuple[str, ...] = ()
    anomaly_labels: tuple[str, ...] = ()

    def score(self, images: Images) -> Mapping[str, npt.NDArray[Any]]:
        """Score nothing."""
        del images
        return {}

    def compare(self, images: Images) -> Mapping[str, npt.NDArray[Any]]:
        """Compare nothing."""
        del images
        return {}

    def maps(self, images: Images) -> npt.NDArray[np.float32]:
        """Draw nothing."""
        return np.zeros(images.shape, np.float32)


def _load(model: str, model_hash: str) -> _Idle:
    del model, model_hash
    return _Idle()


def _evaluate(out: str) -> Mapping[str, Any]:
    del out
    return {}
