"""Every benchmark runs once, tiny, so that none rots."""

import ast
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

# The tests' root goes last on the path, so that the installed package is what is measured.
START = (
    "import runpy, sys; sys.path.append(sys.argv.pop(1)); "
    "runpy.run_module('tests.bench', run_name='__main__', alter_sys=True)"
)


def bench(*arguments):
    command = [sys.executable, "-P", "-c", START, str(ROOT), *arguments]
    return subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
        cwd=ROOT,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )


def names():
    tree = ast.parse((ROOT / "tests/bench/__main__.py").read_text())
    (found,) = (
        node for node in ast.walk(tree) if isinstance(node, ast.AnnAssign) and node.target.id == "BENCHMARKS"
    )
    return [key.value for key in found.value.keys]


@pytest.mark.parametrize("name", names())
def test_runs_tiny_and_prints_one_object(name):
    done = bench(name, "--tiny", "--json")
    if done.returncode == os.EX_UNAVAILABLE:
        pytest.skip(f"NOT run: {done.stderr}")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["name"] == name
    assert all(rows for rows in told["figures"].values())
    assert told["machine"]["cores"] >= 1


def test_an_unknown_name_is_refused_with_the_known_ones():
    done = bench("no-such-benchmark")
    assert done.returncode == 2
    assert all(name in done.stderr for name in names())
