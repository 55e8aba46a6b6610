"""Whether one large tar keeps all workers busy to its end, and its rows are those of an unsplit run."""

import io
import tarfile
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from jobs.config import ScoreSettings
from tests.bench.job import Clock, Material, Tick, material, run_job
from tests.bench.report import Report

IMAGES, EACH, WORKERS = 100_000, 2000, 2
_CLOSE = 1e-4
"""Relative difference of floats that counts as none."""


def run(*, tiny: bool) -> Report:
    """Score one tar on two local workers in shards, then serially as one shard, and compare the rows."""
    images, each = (240, 20) if tiny else (IMAGES, EACH)
    with material(each, each, tiny=tiny) as given:
        lot = _repeat(Path(given.sources[0]), given.folder / "lot.tar", images // each)
        ticks = _score(given, lot, "split", each, workers=WORKERS)
        split = _rows(given.folder / "split")
        _score(given, lot, "whole", images, cluster="serial")
        differing = _differing(split, _rows(given.folder / "whole"))
    if differing:
        raise RuntimeError(f"split, these columns are not those of the unsplit run: {', '.join(differing)}")
    task = median(later.at - earlier.at for own in ticks for earlier, later in pairwise(own[1:]))
    began = min(own[1].at for own in ticks)
    last = [own[-1].at for own in ticks]
    idle = (max(last) - min(last)) / task
    about = (
        f"One tar of {images:,} images, {each:,} to a task, on {WORKERS} local workers. "
        f"All columns of all {len(split):,} rows are those of one serial task (floats within {_CLOSE:g}). "
        f"The workers' last tasks begin, and so end, {idle:.2f} tasks apart (at most 1)."
    )
    rows = [
        {
            "worker": number,
            "tasks": len(own) - 1,
            "first begins, s": round(own[1].at - began, 3),
            "last begins, s": round(own[-1].at - began, 3),
        }
        for number, own in enumerate(ticks)
    ]
    figures = {"workers": rows, "task": [{"median, s": task, "last begin apart, tasks": idle}]}
    return Report("split", about, figures)


def _repeat(source: Path, target: Path, times: int) -> Path:
    """Write an archive of so many times the members of another."""
    with tarfile.open(source) as archive:
        members = [(info, archive.extractfile(info)) for info in archive]
        listed = [(info.name, content.read()) for info, content in members if content is not None]
    with tarfile.open(target, "w") as archive:
        for copy in range(times):
            for name, content in listed:
                info = tarfile.TarInfo(f"{copy:04d}/{name}")
                info.size = len(content)
                archive.addfile(info, io.BytesIO(content))
    return target


def _score(given: Material, lot: Path, out: str, each: int, **more: Any) -> list[list[Tick]]:
    clock = Clock(given.folder / f"{out}-ticks")
    clock.log.touch()
    settings = ScoreSettings(
        (str(lot),), given.model, str(given.folder / out), shard_size=each, task_images=each, **more
    )
    run_job(settings, clock, lambda _: {})
    return clock.workers()


def _rows(out: Path) -> pa.Table:
    return pa.concat_tables([pq.read_table(part) for part in sorted(out.glob("part-*"))]).sort_by("index")


def _differing(one: pa.Table, other: pa.Table) -> list[str]:
    """Name the columns that differ."""
    if len(one) != len(other):
        return ["index"]

    def same(name: str) -> bool:
        first, second = one[name].combine_chunks(), other[name].combine_chunks()
        if not pa.types.is_floating(first.type):
            return bool(first.equals(second))
        left, right = (column.to_numpy(zero_copy_only=False) for column in (first, second))
        return bool(np.allclose(left, right, rtol=_CLOSE, atol=0, equal_nan=True))

    return [name for name in one.column_names if not same(name)]
