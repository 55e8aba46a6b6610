import pytest

from jobs.errors import Refusal
from jobs.managed import Gone, job_script
from jobs.managers import MANAGERS
from jobs.spec import ClusterSpec, Kind

JOBS = {"a": {"a-0", "a-1"}, "b": {"b"}}


def test_a_job_is_gone_when_it_had_workers_and_has_had_none_for_a_while():
    gone = Gone()
    for there in ({"a-0"}, {"a-0", "b"}, {"a-0"}, {"a-0"}, {"a-0"}):
        assert gone.look(JOBS, there) == []
    assert gone.look(JOBS, {"a-0"}) == ["b"]


def test_a_job_that_waits_in_the_queue_is_not_gone():
    gone = Gone()
    assert all(gone.look(JOBS, set()) == [] for _ in range(9))


def test_a_job_whose_workers_come_back_is_not_gone():
    gone = Gone()
    for _ in range(5):
        assert all(gone.look(JOBS, there) == [] for there in ({"b"}, set(), set(), set()))


@pytest.mark.parametrize("name", ["dask_kubernetes.operator.KubeCluster", None])
def test_only_a_queue_has_a_job_script(name):
    kind = Kind.MANAGED if name else Kind.LOCAL
    with pytest.raises(Refusal, match="has no job script"):
        job_script(ClusterSpec(kind, "here", manager=MANAGERS.get(name)), 50, insecure=False)
