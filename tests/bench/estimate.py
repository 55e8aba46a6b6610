"""How far `estimate` is from what the job then takes, start to end."""

import time
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from jobs.estimate import estimate
from jobs.evaluate import evaluate
from jobs.score import score
from tests.bench.job import Material, material
from tests.bench.report import Report

IMAGES = 500_000
EACH = 2000
WORKERS = (1, 2)


def run(*, tiny: bool) -> Report:
    """Estimate, then score and evaluate, with one and with two workers."""
    images, each, numbers = (480, 40, (1,)) if tiny else (IMAGES, EACH, WORKERS)
    with material(images, each, tiny=tiny) as given, nullcontext(given.folder / "rows") as out:
        rows = [_row(given, out, workers) for workers in numbers]
    about = (
        f"{images:,} synthetic dice of 128x128 px in {images // each} archives that repeat {each:,}: the "
        "seconds told before, from a sample, and those from the call of score to its end, evaluation and all."
    )
    ratios = {
        f"told over taken, workers: {row['workers']} (0.8 to 1.25)": row["told s"] / row["taken s"]
        for row in rows
    }
    return Report("estimate", about, {"estimate": rows}, ratios)


def _row(given: Material, out: Path, workers: int) -> dict[str, Any]:
    began = time.monotonic()
    told = estimate(given.sources, given.model, workers, evaluate=evaluate, shard_size=given.each)
    asked = time.monotonic()
    done = score(given.settings(str(out), len(given.sources), workers), evaluate=evaluate)
    taken = time.monotonic() - asked
    size = sum(path.stat().st_size for path in out.iterdir())
    return {
        "workers": workers,
        "told s": round(told.seconds, 1),
        "taken s": round(taken, 1),
        "told images/s": round(told.images_per_second, 1),
        "images/s": done.summary["images_per_second"],
        "told MB": round(told.output / 1e6, 1),
        "MB": round(size / 1e6, 1),
        "asking took s": round(asked - began, 1),
    }
