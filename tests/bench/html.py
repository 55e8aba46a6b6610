"""What the report of very many rows takes: size, time, memory."""

import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

from jobs.report import ReportSettings, report
from tests.bench.job import material, peak
from tests.bench.report import Report
from tests.bench.rows import many_rows

ROWS = 1_000_000
EACH = 10_000


def run(*, tiny: bool) -> Report:
    """Report a job of synthetic rows, its images among them, in a process of its own."""
    rows, each = (240, 60) if tiny else (ROWS, EACH)
    with material(rows, each, tiny=tiny) as given:
        out = str(given.folder / "job")
        count = many_rows(given, out)
        # In a process of its own, whose peak is that of the report alone.
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
            seconds, memory, size, images = pool.submit(_report, out, str(given.folder / "r.html")).result()
    figures = {
        "rows": count,
        "lots": rows // each,
        "images shown": images,
        "MB": round(size / 1e6, 2),
        "seconds": round(seconds, 1),
        "peak, MiB": round(memory / 2**20),
    }
    about = (
        f"The report of {count:,} rows: {figures['MB']} MB (at most 8), {figures['seconds']} s (at most 60), "
        f"{figures['peak, MiB']} MiB at most, the program itself included (at most 1024)."
    )
    return Report("report", about, {"report": [figures]})


def _report(out: str, path: str) -> tuple[float, int, int, int]:
    began = time.perf_counter()
    told = report(ReportSettings(out, path), time.time())
    return time.perf_counter() - began, peak(0), told.size, told.images - told.gone
