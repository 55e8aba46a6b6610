"""Who may import what, and what nobody may call."""

import ast
from pathlib import Path

import pytest

import dice_core
import jobs

SOURCES = {
    f"{package.__name__}/{path.name}": ast.parse(path.read_text())
    for package in (dice_core, jobs)
    for path in sorted(Path(package.__file__).parent.glob("**/*.py"))
}
CORE = [name for name in SOURCES if name.startswith("dice_core/")]


def imported(tree):
    """Every module that is imported anywhere in a source, by its whole name."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, "imports are absolute"
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def roots(tree):
    return {name.partition(".")[0] for name in imported(tree)}


def importers(*modules):
    return {name for name, tree in SOURCES.items() if roots(tree) & set(modules)}


def forbidden(tree):
    """Every way to run what a file says that a source uses."""
    found = set(roots(tree)) & {"pickle", "cloudpickle", "dill", "joblib", "marshal", "shelve"}
    for node in ast.walk(tree):
        if isinstance(node, ast.keyword) and node.arg == "allow_pickle":
            allowed = not (isinstance(node.value, ast.Constant) and node.value.value is False)
            found |= {"allow_pickle"} if allowed else set()
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            found |= {node.func.id} & {"eval", "exec"}
    return found


def test_the_sources_are_found():
    assert {"dice_core/score.py", "jobs/execute.py", "jobs/storage.py"} <= SOURCES.keys()


@pytest.mark.parametrize("name", CORE)
def test_the_core_knows_no_job_no_path_no_clock_and_no_log(name):
    barred = {
        "jobs",
        "os",
        "pathlib",
        "time",
        "datetime",
        "logging",
        "fsspec",
        "dask",
        "distributed",
        "tests",
    }
    assert roots(SOURCES[name]) & barred == set()


def test_only_the_engine_imports_dask():
    assert importers("dask", "distributed") == {"jobs/cluster.py", "jobs/execute.py", "jobs/managed.py"}


def test_only_the_storage_imports_fsspec():
    assert importers("fsspec") == {"jobs/files.py", "jobs/store.py"}


@pytest.mark.parametrize("name", sorted(SOURCES))
def test_nothing_that_is_read_is_run(name):
    assert forbidden(SOURCES[name]) == set()


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("import pickle", {"pickle"}),
        ("def f():\n    from pickle import loads", {"pickle"}),
        ("np.load(x, allow_pickle=True)", {"allow_pickle"}),
        ("np.load(x, allow_pickle=yes)", {"allow_pickle"}),
        ("np.load(x, allow_pickle=False)", set()),
        ("eval(x)", {"eval"}),
    ],
)
def test_the_search_finds_what_it_is_for(source, found):
    assert forbidden(ast.parse(source)) == found
