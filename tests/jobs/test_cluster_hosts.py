import json
import time
from contextlib import ExitStack

import fake_scorer
import hosts
import pytest
import samples

from jobs.cluster import open_cluster
from jobs.config import ScoreSettings
from jobs.errors import ExitCode, Refusal
from jobs.events import Committed
from jobs.score import score

QUICK = {
    # How soon a host is missed that does not answer: the least that Dask takes is eleven seconds.
    "DASK_DISTRIBUTED__COMM__TIMEOUTS__TCP": "12s",
}


@pytest.fixture(scope="module")
def others():
    with hosts.hosts(2) as others:
        yield others


@pytest.fixture(scope="module")
def issued(tmp_path_factory):
    return hosts.Issued(tmp_path_factory.mktemp("issued") / "own")


@pytest.fixture(scope="module")
def scheduler(others, issued, tmp_path_factory):
    """A scheduler on this host that speaks TLS alone, with a worker on each other host; as its address."""
    file = tmp_path_factory.mktemp("scheduler") / "scheduler.json"
    command = ["-m", "dask", "scheduler", "--protocol", "tls", "--host", hosts.HERE, "--port", "0"]
    command += ["--no-dashboard", "--dashboard-address", "127.0.0.1:0", "--scheduler-file", str(file)]
    with samples.running([*command, *issued.options], **QUICK) as process, ExitStack() as stack:
        address = json.loads(samples.wait_for(file, process, size=1).read_text())["address"]
        for host in others:
            delay = {fake_scorer.DELAY: "0.1"}
            stack.enter_context(hosts.worker(host, address, issued.options, **QUICK, **delay))
        yield address


@pytest.fixture
def run(model, tmp_path):
    archive = samples.write_tar(tmp_path / "lot.tar", samples.images(120))

    def run(out, cluster, heard=lambda event: None, **options):
        settings = ScoreSettings(
            (archive,), model, str(tmp_path / out), cluster=cluster, shard_size=5, task_images=5, **options
        )
        result = score(settings, evaluate=fake_scorer.evaluate, listener=heard, load=fake_scorer.load)
        assert result.exit_code is ExitCode.DONE
        return samples.rows(tmp_path / out)

    return run


def test_two_hosts_give_the_rows_of_one_though_a_link_is_cut_midway(run, scheduler, others, issued, tmp_path):
    assert scheduler.startswith("tls://")
    spec = issued.spec(tmp_path / "cluster.yaml", scheduler)
    with open_cluster(spec, 2) as client:
        assert {address.split(":")[1] for address in client.nthreads()} == {
            f"//{host.address}" for host in others
        }
    alone = run("alone", "serial")
    committed = []

    def cut(event):
        if isinstance(event, Committed):
            committed.append(time.monotonic())
            if len(committed) == 6:
                others[1].cut()

    assert run("cut", spec, cut, workers=2).equals(alone)
    assert len(committed) == 24
    with open_cluster(spec) as client:
        assert [address.split(":")[1] for address in client.nthreads()] == [f"//{others[0].address}"]


def test_refuses_who_comes_in_the_clear_or_with_a_foreign_certificate(scheduler, tmp_path):
    with (
        pytest.raises(Refusal, match="no scheduler answers"),
        open_cluster(scheduler.replace("tls:", "tcp:"), patience=1.0),
    ):
        pass
    foreign = hosts.Issued(tmp_path / "foreign").spec(tmp_path / "cluster.yaml", scheduler)
    with (
        pytest.raises(Refusal, match="no secure connection: are both ends' certificates of the same CA"),
        open_cluster(foreign, patience=2.0),
    ):
        pass


def test_refuses_an_encrypted_address_without_certificates():
    with pytest.raises(Refusal, match="tls:// needs certificates"), open_cluster("tls://127.0.0.1:1"):
        pass
