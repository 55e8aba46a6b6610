import os
from types import SimpleNamespace

import pytest

from jobs.absence import absence
from jobs.managers import MANAGERS
from jobs.spec import ClusterSpec, Kind


@pytest.fixture
def told(tmp_path, monkeypatch):
    """What is told of jobs, by a queue that answers with what it was asked."""
    queue = tmp_path / "bin" / "qstat"
    queue.parent.mkdir()
    queue.write_text('#!/bin/sh\n[ "$1" = 4 ] && echo "$@ waiting"\nexit 0\n')
    queue.chmod(0o755)
    monkeypatch.setenv("PATH", f"{queue.parent}:{os.environ['PATH']}")

    def tell(*jobs, manager="dask_jobqueue.PBSCluster", **arguments):
        workers = {job: SimpleNamespace(job_id=job) for job in jobs}
        cluster = SimpleNamespace(scheduler_address="tls://h:1", workers=workers)
        arguments = {"log_directory": str(tmp_path), **arguments}
        return absence(
            cluster, ClusterSpec(Kind.MANAGED, "x", manager=MANAGERS[manager], arguments=arguments)
        )

    return tell


def test_the_interface_the_queue_and_the_last_line_of_the_log_are_told(told, tmp_path):
    (tmp_path / "worker.o4").write_text("first\nlast\n")
    expected = f"queue: 4 waiting; worker's log: {tmp_path}/worker.o4: last"
    assert told("4", interface="ib0") == f"the scheduler listens on tls://h:1 (interface ib0); {expected}"


def test_only_a_log_of_the_job_is_read(told, tmp_path):
    for name in (".dask-jobqueue.worker.key.x4", "worker.o14", "worker.o45", "key-4a.pem"):
        (tmp_path / name).write_text("secret")
    (tmp_path / "slurm-4.out").touch()
    assert "secret" not in told("4").replace(f"{tmp_path}", "")


@pytest.mark.parametrize(("jobs", "why"), [((), "no job was taken"), (("7",), "jobs 7 are no more in it")])
def test_jobs_that_are_not_in_the_queue_are_told(told, jobs, why):
    assert f"queue: {why}; worker's log: nothing in" in told(*jobs)


def test_a_queue_that_does_not_answer_is_told(told):
    assert "queue: oarstat does not answer" in told("4", manager="dask_jobqueue.OARCluster")


def test_of_a_manager_without_a_queue_the_address_is_told(told):
    assert told(manager="dask_gateway.GatewayCluster") == "the scheduler listens on tls://h:1"
