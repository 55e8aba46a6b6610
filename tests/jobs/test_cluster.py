import os
import socket

import dask
import pytest
import samples

from jobs import cluster
from jobs.cluster import WORKER_ENVIRONMENT, open_cluster
from jobs.errors import Refusal


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


def test_local_workers_do_not_watch_themselves():
    before = dask.config.get("distributed.worker.profile.enabled")
    with open_cluster("local", 1) as client:
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
                assert cluster.check_workers(client) is None
