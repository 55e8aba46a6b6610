import os
import re
import socket
from importlib.metadata import version

import dask
import psutil
import pytest
import samples

from jobs.cluster import open_cluster
from jobs.errors import Refusal
from jobs.fitness import check_workers
from jobs.managers import WORKER_ENVIRONMENT


def test_serial_needs_no_cluster():
    with open_cluster("serial") as client:
        assert client is None


def test_local_workers_are_single_threaded_and_on_loopback(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    monkeypatch.delenv("MALLOC_TRIM_THRESHOLD_", raising=False)
    before = dict(os.environ)
    with open_cluster("local", 1) as client:
        assert list(client.nthreads().values()) == [1]
        assert all(address.startswith("tcp://127.0.0.1:") for address in client.nthreads())
        (environment,) = client.run(lambda: dict(os.environ)).values()
    assert {name: environment[name] for name in WORKER_ENVIRONMENT} == WORKER_ENVIRONMENT
    assert "MALLOC_TRIM_THRESHOLD_" not in environment
    assert dict(os.environ) == before


def listening(process):
    """Where a process listens, and all that it started."""
    family = [process, *process.children(recursive=True)]
    found = [each for one in family for each in one.net_connections("inet")]
    return {each.laddr.ip for each in found if each.status == psutil.CONN_LISTEN or not each.raddr}


def test_local_workers_do_not_watch_themselves_and_nobody_listens_beyond_loopback(tmp_path, monkeypatch):
    (tmp_path / "jobs").mkdir()
    (tmp_path / "jobs" / "__init__.py").write_text("raise ImportError('not this one')")
    monkeypatch.chdir(tmp_path)  # a package of this name where a job starts does no harm
    before = dask.config.get("distributed.worker.profile.enabled")
    with open_cluster("local:1") as client:
        assert listening(psutil.Process()) == {"127.0.0.1"}
        (config,) = client.run(lambda: __import__("dask").config.config["distributed"]).values()
        assert "spans" not in client.cluster.scheduler.extensions
    assert not config["worker"]["profile"]["enabled"]
    assert config["admin"]["tick"]["interval"] == "1s"
    assert dask.config.get("distributed.worker.profile.enabled") is before


def test_refuses_an_address_where_nobody_answers():
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))  # taken, but nobody listens
        address = f"tcp://127.0.0.1:{unused.getsockname()[1]}"
        with (
            pytest.raises(Refusal, match=f"{address}: no scheduler answers"),
            open_cluster(address, patience=0.5),
        ):
            pass


@pytest.fixture(scope="module")
def scheduler(tmp_path_factory):
    with samples.scheduler(tmp_path_factory.mktemp("scheduler")) as address:
        yield address


def test_refuses_a_scheduler_without_workers(scheduler):
    with (
        pytest.raises(Refusal, match=r"fewer than 1 workers after 0\.2 s"),
        open_cluster(scheduler, patience=0.2),
    ):
        pass


def test_refuses_a_worker_with_another_package_called_jobs(scheduler, tmp_path):
    (tmp_path / "jobs").mkdir()
    (tmp_path / "jobs" / "__init__.py").touch()
    path = f"{tmp_path}{os.pathsep}{samples.environment()['PYTHONPATH']}"
    with (
        samples.worker(scheduler, PYTHONPATH=path),
        pytest.raises(Refusal, match=f"worker tcp://.* another package called jobs from {tmp_path}/jobs"),
        open_cluster(scheduler),
    ):
        pass


def test_refuses_a_scheduler_that_cannot_read_the_tasks(tmp_path):
    (tmp_path / "jobs").mkdir()
    (tmp_path / "jobs" / "__init__.py").touch()
    path = f"{tmp_path}{os.pathsep}{samples.environment()['PYTHONPATH']}"
    with (
        samples.scheduler(tmp_path, PYTHONPATH=path) as address,
        samples.worker(address),
        pytest.raises(Refusal, match="the scheduler would import another package called jobs"),
        open_cluster(address),
    ):
        pass


WITHOUT = """
import sys
from importlib.machinery import PathFinder

find = PathFinder.find_spec
PathFinder.find_spec = lambda name, *rest: None if name in ("dice_core", "jobs") else find(name, *rest)
sys.meta_path[:] = [finder for finder in sys.meta_path if "editable" not in getattr(finder, "__module__", "")]
"""
"""Run by a Python that starts: hides the package, wherever it is installed."""


def of_another_version(folder, package):
    """Have a Python that looks here first find another version of a package."""
    about = folder / f"{package.replace('-', '_')}-0.0.1.dist-info"
    about.mkdir()
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 0.0.1\n")


@pytest.mark.parametrize("packages", [["dice-inspect", "numpy"], ["pyarrow"], []])
def test_refuses_a_worker_of_other_versions_or_without_the_package(scheduler, tmp_path, packages):
    for package in packages:
        of_another_version(tmp_path, package)
    if not packages:
        (tmp_path / "sitecustomize.py").write_text(WITHOUT)
    there, here = (
        ", ".join(f"{package} {version(package) if real else '0.0.1'}" for package in packages)
        for real in (False, True)
    )
    why = (
        f"has {there}; this has {here}: give both the same" if packages else "lacks the package dice-inspect"
    )
    path = f"{tmp_path}{os.pathsep}{samples.environment()['PYTHONPATH']}"
    with (
        samples.worker(scheduler, PYTHONPATH=path),
        pytest.raises(Refusal, match=f"worker tcp://.* {re.escape(why)}"),
        open_cluster(scheduler),
    ):
        pass


def test_refuses_a_worker_that_does_not_see_the_job_folder(scheduler, tmp_path):
    gone = str(tmp_path / "gone")
    with (
        samples.worker(scheduler),
        pytest.raises(Refusal, match=f"does not find {gone}"),
        open_cluster(scheduler, sees=[gone]),
    ):
        pass


def test_leaves_a_cluster_that_was_there_running(scheduler):
    with samples.worker(scheduler):
        for _ in range(2):
            with open_cluster(scheduler) as client:
                assert check_workers(client) is None
