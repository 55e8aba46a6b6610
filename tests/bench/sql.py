"""How long questions to very many rows take."""

import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from dice_core.rows import SCHEMA
from jobs import folder, lotlist, storage
from jobs.compact import ROW_GROUP
from jobs.parquet import COMPRESSION
from jobs.query import query
from tests.bench.job import material
from tests.bench.report import Report
from tests.bench.rows import changed, limit_of, many_rows

ROWS = 10_000_000
EACH = 2_000
FILE_ROWS = 2_500_000
ROUNDS = 3

QUESTIONS = {
    "by face and lot": "SELECT face, lot, count(*), avg(defect_score) FROM scores GROUP BY face, lot",
    "top 100": (
        'SELECT archive, "index", member, face, defect_score FROM scores '
        "ORDER BY defect_score DESC NULLS LAST LIMIT 100"
    ),
    "quantiles": (
        "SELECT face, approx_quantile(defect_score, [0.5, 0.9, 0.99, 0.999]) FROM scores GROUP BY face"
    ),
    "exact quantiles": "SELECT quantile_cont(defect_score, [0.5, 0.9, 0.99, 0.999]) FROM scores",
    "verdicts by lot": "SELECT lot, verdict, count(*) FROM verdicts GROUP BY lot, verdict",
}


def run(*, tiny: bool) -> Report:
    """Ask a compacted job of synthetic rows."""
    rows, each, file_rows = (600, 60, 250) if tiny else (ROWS, EACH, FILE_ROWS)
    with material(each, each, tiny=tiny) as given:
        first, out = str(given.folder / "first"), str(given.folder / "rows")
        many_rows(given, first)
        _write(first, out, limit_of(given), rows // each, file_rows)
        figures = [_time(out, name, sql) for name, sql in QUESTIONS.items()]
    slowest = max(figure["seconds"] for figure in figures)
    about = (
        f"Seconds from opening the folder to the whole answer, median of {ROUNDS}, {rows:,} rows of "
        f"{rows // each:,} lots as compact writes them. The slowest: {slowest:.2f} (at most 2)."
    )
    return Report("query", about, {"query": figures})


def _time(out: str, name: str, sql: str) -> dict[str, Any]:
    taken, used = [], []
    for _ in range(ROUNDS):
        began, before = time.perf_counter(), time.process_time()
        answer = query(out, sql)
        taken.append(time.perf_counter() - began)
        used.append(time.process_time() - before)
    told = {"question": name, "rows": answer.num_rows}
    return {**told, "seconds": round(median(taken), 2), "processor, s": round(median(used), 2)}


def _write(first: str, out: str, limit: float, lots: int, file_rows: int) -> None:
    """Write a folder as a compacted job has it: the rows of one lot, with other scores, as many lots."""
    job = folder.read_job(first)
    if job is None:
        raise RuntimeError("nothing was scored")
    storage.make_folder(out)
    folder.write_json(storage.join(out, folder.JOB), folder.compacted_job(job, ""))
    (Path(out) / folder.MODEL).write_bytes((Path(first) / folder.MODEL).read_bytes())
    table = pa.concat_tables(pq.read_table(path) for path in sorted(Path(first).glob("part-*")))
    (line,) = lotlist.read(first).to_pylist()
    names = [f"/archives/line-{lot % 7}/2026-11-{1 + lot % 28:02d}/lot{lot:05d}.tar" for lot in range(lots)]
    listed = pa.Table.from_pylist([{**line, "lot": name} for name in names], lotlist.LOTS_SCHEMA)
    pq.write_table(listed, Path(out) / folder.LOTS)
    each, group = (max(1, count // table.num_rows) for count in (file_rows, ROW_GROUP))
    for number, own in enumerate(batched(names, each)):
        path = Path(out) / folder.compacted_part(number)
        with pq.ParquetWriter(path, SCHEMA, compression=COMPRESSION) as writer:
            for some in batched(own, group):
                pieces = [changed(table, name, limit) for name in some]
                writer.write_table(pa.concat_tables(pieces), row_group_size=ROW_GROUP)


def batched(names: Sequence[str], count: int) -> Iterator[Sequence[str]]:
    """Part names into as many at a time."""
    return (names[start : start + count] for start in range(0, len(names), count))
