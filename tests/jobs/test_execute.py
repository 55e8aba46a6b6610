import time
from functools import partial
from uuid import uuid4

import dask
import pytest
from dask.utils import key_split
from deadly import report, score_unless_it_kills
from distributed import Client

from jobs import backlog, breaker, capacity, execute
from jobs.cluster import open_cluster
from jobs.errors import ClusterLostError, StorageDownError
from jobs.events import Retried, WorkerLost
from jobs.execute import graph, prepare, run
from jobs.place import ShardError, StorageError
from jobs.plan import Bundle, Kind, Shard
from jobs.shard import Failure


def shard(number):
    return Shard(f"/{number}.tar", Kind.TAR, "1-1", 0, 5, 0, 5)


def bundle(*numbers):
    return Bundle(tuple(map(shard, numbers)))


def work(bundle):
    """Stands for the scoring: archives with a 9 in their number fail."""
    for shard in bundle.shards:
        if "9" in shard.archive:
            raise ShardError(f"{shard} at member 3: OSError: gone")
    return tuple(map(report, bundle.shards))


def number(outcome):
    return (
        (outcome.shard if isinstance(outcome, Failure) else outcome).archive.strip("/").removesuffix(".tar")
    )


IN_PROCESS = {
    "processes": False,
    "n_workers": 1,
    "threads_per_worker": 1,
    "dashboard_address": "127.0.0.1:0",
    "set_as_default": False,
}


@pytest.fixture(scope="module")
def client():
    with Client(**IN_PROCESS) as client:
        yield client


@pytest.fixture(params=["serial", "client"])
def engine(request):
    return None if request.param == "serial" else request.getfixturevalue("client")


def test_a_slice_of_the_plan_is_a_dask_graph():
    tasks = graph([bundle(1, 2), bundle(3)], work, "run")
    assert len(tasks) == 2
    assert dask.get(tasks, list(tasks)) == (work(bundle(1, 2)), work(bundle(3)))


def test_keys_are_the_same_for_the_same_bundle_of_the_same_run_alone():
    (key,) = graph([bundle(1)], work, "run")
    assert [key] == list(graph([bundle(1)], work, "run"))
    others = [*graph([bundle(2), bundle(1, 2)], work, "run"), *graph([bundle(1)], work, "other")]
    assert len({key, *others}) == 4


def test_every_shard_is_reported_once(engine):
    outcomes = run((bundle(2 * index, 2 * index + 1) for index in range(40, 44)), work, engine)
    assert sorted(map(number, outcomes)) == [str(index) for index in range(80, 88)]


def test_the_serial_run_keeps_the_order():
    outcomes = run((bundle(2 * index, 2 * index + 1) for index in range(40, 44)), work, None)
    assert list(map(number, outcomes)) == [str(index) for index in range(80, 88)]


def test_a_failed_shard_costs_no_other_and_tells_where_it_failed(engine):
    outcomes = list(run([bundle(1, 9, 2), bundle(3), bundle(19)], work, engine))
    failures = [outcome for outcome in outcomes if isinstance(outcome, Failure)]
    assert sorted(map(number, outcomes)) == ["1", "19", "2", "3", "9"]
    assert sorted(map(number, failures)) == ["19", "9"]
    assert failures[0].error.endswith(".tar [0:5] at member 3: OSError: gone")


class Logged:
    """A task that keeps a log of its shards in a file, as tasks run on copies of themselves."""

    def __init__(self, folder):
        self.log = folder / "log"
        self.gate = folder / "gate"
        self.log.touch()

    def __call__(self, bundle):
        with self.log.open("a") as file:
            file.write("".join(f"{shard.archive}\n" for shard in bundle.shards))
        return work(bundle)

    @property
    def lines(self):
        return self.log.read_text().split()


class Flaky(Logged):
    def __call__(self, bundle):
        reports = super().__call__(bundle)
        if len(self.lines) < 3:
            raise StorageError("not yet")
        return reports


class Gated(Logged):
    """Waits, with every bundle but the first, until the gate is there."""

    def __call__(self, bundle):
        reports = super().__call__(bundle)
        while len(self.lines) > 1 and not self.gate.exists():
            time.sleep(0.005)
        return reports


@pytest.fixture
def two_workers():
    with Client(**IN_PROCESS | {"n_workers": 2}) as client:
        yield client


class Meeting:
    """Waits until two are here, each with a file of its own; tells one of them 1.0, the other 2.0."""

    def __init__(self, folder):
        self.folder = folder

    def __call__(self):
        own = self.folder / uuid4().hex
        own.touch()
        deadline = time.monotonic() + 30
        while len(here := sorted(self.folder.iterdir())) < 2:
            assert time.monotonic() < deadline, "the other never came"
            time.sleep(0.005)
        return 1.0 + here.index(own)


def test_every_worker_is_prepared_at_once_and_the_longest_is_told(two_workers, tmp_path):
    assert prepare(two_workers, Meeting(tmp_path)) == 2.0
    assert len(list(tmp_path.iterdir())) == 2


def test_a_preparation_that_fails_is_left_to_the_tasks_to_tell(client):
    def preparation():
        raise OSError("gone")

    assert prepare(client, preparation) == 0


def test_running_the_same_twice_runs_the_tasks_twice(client, tmp_path):
    task = Logged(tmp_path)
    for _ in range(2):
        assert len(list(run([bundle(1)], task, client))) == 1
    assert task.lines == ["/1.tar"] * 2


@pytest.fixture
def impatient(monkeypatch):
    """What waits does so for no time worth the name."""
    monkeypatch.setattr(backlog, "DELAYS", (0.01, 0.02, 0.03))
    monkeypatch.setattr(breaker, "FIRST_WAIT", 0.02)
    monkeypatch.setattr(breaker, "LONGEST_WAIT", 0.04)
    monkeypatch.setattr(breaker, "PATIENCE", 0.5)


@pytest.mark.usefixtures("impatient")
def test_what_storage_failed_for_is_tried_again_after_a_while(engine, tmp_path):
    task = Flaky(tmp_path)
    assert [number(outcome) for outcome in run([bundle(1)], task, engine)] == ["1"]
    assert len(task.lines) == 3


class Down(Logged):
    """Storage that fails from the fifth shard on, until it is there again, if it ever is."""

    def __init__(self, folder, *, hopeless=False, mended=None):
        super().__init__(folder)
        self.hopeless = hopeless
        self.mended = mended

    def __call__(self, bundle):
        reports = super().__call__(bundle)
        if len(self.lines) >= 5 and (self.mended is None or len(self.lines) < self.mended):
            error = StorageError("OSError: no answer")
            error.hopeless = self.hopeless
            raise error
        return reports


@pytest.mark.usefixtures("impatient")
def test_when_storage_is_down_submitting_stops(engine, tmp_path):
    task, outcomes = Down(tmp_path), []
    with pytest.raises(StorageDownError, match="storage is down: OSError: no answer"):
        outcomes.extend(run(map(bundle, range(1000, 2000)), task, engine))
    assert len(task.lines) < 50


def test_a_full_disk_stops_it_at_once(engine, tmp_path):
    task = Down(tmp_path, hopeless=True)
    with pytest.raises(StorageDownError):
        list(run(map(bundle, range(1000, 2000)), task, engine))
    assert len(task.lines) <= 5 + capacity.TASKS_PER_THREAD


@pytest.mark.usefixtures("impatient")
def test_storage_that_comes_back_costs_no_shard(engine, tmp_path, monkeypatch):
    monkeypatch.setattr(breaker, "PATIENCE", 60.0)
    task = Down(tmp_path, mended=12)
    outcomes = list(run(map(bundle, range(100, 109)), task, engine))
    assert sorted(map(number, outcomes)) == [str(index) for index in range(100, 109)]
    assert not [outcome for outcome in outcomes if isinstance(outcome, Failure)]


def test_the_shards_of_a_task_that_kills_its_workers_are_rescued_one_by_one():
    rescued = []

    def rescue(bundle):
        rescued.extend(bundle.shards)
        if bundle.shards[0].archive == "/17.tar":
            raise ShardError("past rescue")
        return tuple(map(report, bundle.shards))

    told = []
    with open_cluster("local", 1) as client:
        given = [bundle(1), bundle(7, 2), bundle(17), bundle(3)]
        outcomes = list(run(given, score_unless_it_kills, client, told.append, rescue))
    assert sorted(map(number, outcomes)) == ["1", "17", "2", "3", "7"]
    assert [each.error for each in outcomes if isinstance(each, Failure)] == ["past rescue"]
    assert {shard.archive for shard in rescued} >= {"/7.tar", "/2.tar", "/17.tar"}
    # Of the two tries that a cluster of its own allows, and of the rescue: whatever was heard of first.
    deadly = [event.attempt for event in told if isinstance(event, Retried) and event.archive == "/17.tar"]
    assert deadly == [2, 3]
    assert len({event.worker for event in told if isinstance(event, WorkerLost)}) >= 2


class Unreachable:
    """A task whose worker went with its report."""

    key = "unreachable"

    def cancelled(self):
        return False

    def exception(self):
        raise TimeoutError


def test_a_report_that_was_lost_with_its_worker_is_made_again_and_told_once(client):
    told = []
    window_of = partial(
        execute._Window, task=work, run_id="run", client=client, rescue=None, emit=told.append
    )
    for deaths in (0, 1):
        todo = backlog.Backlog([], told.append)
        window = window_of(todo)
        if deaths:
            window._deaths["unreachable"] += 1
            todo.retried(bundle(1), "its worker was lost")
        assert list(window._settle(Unreachable(), bundle(1), None)) == []
        assert todo.take(2, time.monotonic()) == [bundle(1)]
        assert len(told) == deaths + 1
    assert [event.error for event in told] == ["its report was lost with its worker", "its worker was lost"]


def test_a_cluster_without_workers_is_given_up_after_a_while(monkeypatch):
    monkeypatch.setattr(capacity, "WORKERLESS_SECONDS", 0.2)
    monkeypatch.setattr(capacity, "RECOUNT_SECONDS", 0.05)
    nobody, told = Client(**IN_PROCESS | {"n_workers": 0}), pytest.raises(ClusterLostError, match="no worker")
    with nobody as client, told:
        list(run([bundle(1)], work, client))


def test_closing_cancels_what_has_not_begun(client, tmp_path):
    task = Gated(tmp_path)
    outcomes = run((bundle(index) for index in range(200, 260)), task, client)
    first = number(next(outcomes))
    outcomes.close()
    deadline = time.monotonic() + 30
    while max(client.run(lambda dask_worker: len(dask_worker.state.tasks)).values()) > 1:  # the one that runs
        assert time.monotonic() < deadline
        time.sleep(0.005)
    task.gate.touch()
    list(run([bundle(300)], task, client))  # what was still queued would run before it
    assert task.lines[0] == f"/{first}.tar"  # of a window, the scheduler takes any first
    assert task.lines[-1] == "/300.tar"
    assert len(task.lines) <= 3


def test_the_window_takes_no_more_of_the_plan_than_it_needs(engine):
    taken = []

    def plan():
        for index in range(100, 160):
            taken.append(index)
            yield bundle(index)

    reported = 0
    for _ in run(plan(), work, engine):
        reported += 1
        assert len(taken) <= reported + capacity.TASKS_PER_THREAD
    assert reported == 60


def test_dask_does_not_remember_every_task(client):
    for _ in run((bundle(2 * index) for index in range(400, 440)), work, client):
        assert key_split.cache_info().currsize <= 2 * capacity.TASKS_PER_THREAD


def test_a_lost_scheduler_is_told():
    with Client(**IN_PROCESS) as client:
        outcomes = run([bundle(1), bundle(2)], work, client)
        next(outcomes)
        client.close()
        with pytest.raises(ClusterLostError):
            list(outcomes)
