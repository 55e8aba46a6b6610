"""A job that ends at any step of a commit: what a reader sees, and what the same command makes of it."""

import io
import itertools
import json
import time
from pathlib import Path

import crashing
import fake_scorer
import pyarrow.parquet as pq
import pytest
import samples

from jobs.verify import verify

PART = "part-*-0000000020.parquet"
OTHERS = [
    *("_job.json", "_model.npz", "_plan.parquet", "_progress.json"),
    *("_parts.parquet", "_lots.parquet", "_summary.json"),
]
"""The other files of a job, which are written by the same steps."""

CRASHES = [
    *((step, PART) for step in crashing.STEPS),
    *itertools.product(("half written", "renamed"), OTHERS),
    *((crashing.REMOVED, name) for name in ("_summary.json", "_lots.parquet", "_progress.json")),
    *((crashing.FULL, name) for name in (PART, "_parts.parquet", "_summary.json", "_progress.json")),
]
"""Steps and files; where one is removed, the job had ended before and is given a source more."""


class Reader:
    """Opens whatever is there under its name, and keeps what is not whole or not what was committed."""

    def __init__(self, parts):
        self.parts = parts
        self.seen = 0
        self.wrong = []

    def look(self, out):
        told = self.open(out / "_summary.json", json.loads)
        rows = 0
        for path in out.glob("part-*"):
            table = self.open(path, pq.read_table)
            rows += table.num_rows if table else 0
            if path.read_bytes() != self.parts[path.name]:
                self.wrong.append(f"{path}: not what was committed")
        if told and told["complete"] and told["rows"] > rows:
            self.wrong.append(f"{out}: its summary tells of rows that are not there")
        for path in (*out.glob("_parts.parquet"), *out.glob("_lots.parquet")):
            self.open(path, pq.ParquetFile)
        for path in out.glob("_*.json"):
            self.open(path, json.loads)

    def open(self, path, reading):
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            return None
        self.seen += 1
        try:
            return reading(data if reading is json.loads else io.BytesIO(data))
        except ValueError as error:
            self.wrong.append(f"{path}: {error}")
            return None


@pytest.fixture(scope="module")
def crashed(tmp_path_factory):
    """Every failpoint in a folder of its own, read all the while; the folders, exit codes and the reader."""
    folder = tmp_path_factory.mktemp("crashed")
    (folder / "model.npz").write_bytes(fake_scorer.MODEL)
    sources = [
        samples.write_tar(folder / f"{name}.tar", samples.members(40, seed)) for seed, name in enumerate("ab")
    ]
    options = {
        "sources": sources,
        "model": str(folder / "model.npz"),
        "cluster": "serial",
        "shard_size": 20,
        "task_images": 20,
        "max_rejects": "100%",
        "out": "",
    }
    outs = {crash: folder / f"out{number}" for number, crash in enumerate(CRASHES)}
    points = [
        (str(out), step, name, sources[:1] if step == crashing.REMOVED else [])
        for (step, name), out in outs.items()
    ]
    whole = folder / "whole"
    program = str(Path(crashing.__file__))
    samples.start([program, json.dumps(options), json.dumps([(str(whole), "none", "", [])])]).communicate()
    reader = Reader({path.name: path.read_bytes() for path in whole.glob("part-*")})
    processes = [
        samples.start([program, json.dumps(options), json.dumps(points[half::2])]) for half in (0, 1)
    ]
    for out in itertools.chain.from_iterable(itertools.repeat(list(outs.values()))):
        if all(process.poll() is not None for process in processes):
            break
        if out.exists():
            reader.look(out)
        time.sleep(0.01)
    ended = {}
    for process in processes:
        printed, complaints = process.communicate()
        assert process.returncode == 0, complaints
        ended |= json.loads(printed)
    return whole, {crash: (out, ended[str(out)]) for crash, out in outs.items()}, reader


def test_a_reader_at_any_moment_sees_whole_files_only(crashed):
    _, _, reader = crashed
    assert len(reader.parts) == 4
    assert reader.seen > 100
    assert reader.wrong == []


@pytest.mark.parametrize("crash", CRASHES, ids=" ".join)
def test_the_same_command_after_a_crash_ends_as_if_there_had_been_none(crashed, crash):
    whole, outs, reader = crashed
    out, (_, first, second) = outs[crash]
    if crash[0] != crashing.FULL:
        assert first == crashing.CRASHED
    assert second == 0
    assert samples.names(out) == samples.names(whole)
    assert {path.name: path.read_bytes() for path in out.glob("part-*")} == reader.parts
    assert json.loads((out / "_summary.json").read_text())["rows"] == 80
    assert verify(str(out)) == []


@pytest.mark.parametrize(
    ("name", "code"),
    [(PART, 4), ("_parts.parquet", 1), ("_summary.json", 1), ("_progress.json", 0)],
)
def test_a_disk_that_is_full_ends_loudly_unless_it_only_costs_a_snapshot(crashed, name, code):
    _, outs, _ = crashed
    assert outs[crashing.FULL, name][1][1] == code
