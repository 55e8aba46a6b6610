import pytest

from jobs import cluster
from jobs.cluster import check_memory, least_memory, open_cluster
from jobs.errors import Refusal
from jobs.memory import needed, told
from jobs.reader import Limits

MIB = 1 << 20


@pytest.mark.parametrize(
    "more",
    [
        {"size": (256, 256), "model_bytes": 80 * MIB},
        {"limits": Limits(max_bytes=128 * MIB)},
        {"shard_size": 4000},
        {"threads": 2},
    ],
)
def test_more_of_anything_needs_more(more):
    usual = {"size": (16, 16), "model_bytes": 40 * MIB, "limits": Limits(), "shard_size": 2000}
    assert needed(**{**usual, **more}) > needed(**usual)


def test_a_batch_of_larger_images_needs_no_more_as_it_has_fewer():
    sizes = [needed((side, side), 0, Limits(), 2000) for side in (128, 256, 1024)]
    assert max(sizes) - min(sizes) < MIB


def test_what_the_dice_model_needs():
    assert told(needed((128, 128), 45 * MIB, Limits(), 2000)) == "650 MiB"


class Workers:
    """Stands for a client of workers with these threads and limits."""

    def __init__(self, *workers):
        self.told = {
            f"tcp://{number}": {"nthreads": threads, "memory_limit": limit}
            for number, (threads, limit) in enumerate(workers)
        }

    def scheduler_info(self, **_):
        return {"workers": self.told}


def test_a_worker_that_may_hold_too_little_is_refused_with_both_figures():
    def need(threads):
        return threads * 300 * MIB

    check_memory(Workers((1, 300 * MIB), (2, None), (2, 0)), need)
    with pytest.raises(Refusal, match=r"worker tcp://1 may hold 500 MiB, with 2 threads it needs 600 MiB: "):
        check_memory(Workers((1, 300 * MIB), (2, 500 * MIB)), need)


def test_the_least_memory_is_that_of_the_smallest_worker_or_what_is_free_here(monkeypatch):
    monkeypatch.setattr(cluster, "usable_memory", lambda: 900)
    assert least_memory(Workers((1, 300), (1, 500), (1, 0))) == 300
    assert least_memory(Workers((1, None))) == 900


@pytest.mark.parametrize(
    ("workers", "told"),
    [
        (None, "a worker needs 2,000 MiB of memory, 1,500 MiB are free here: free some"),
        (1, "a worker needs 2,000 MiB"),
        (4, "each of 4 workers needs 2,000 MiB of memory, 1,500 MiB are free here: free some"),
    ],
)
def test_local_workers_without_memory_are_refused(monkeypatch, workers, told):
    monkeypatch.setattr(cluster, "usable_memory", lambda: 1500 * MIB)
    with pytest.raises(Refusal, match=told), open_cluster("local", workers, needs=lambda _: 2000 * MIB):
        pass


def test_more_local_workers_than_have_memory_are_refused_with_how_many_have(monkeypatch):
    monkeypatch.setattr(cluster, "usable_memory", lambda: 1500 * MIB)
    with (
        pytest.raises(Refusal, match="give --workers 3"),
        open_cluster("local", 4, needs=lambda _: 500 * MIB),
    ):
        pass


def test_there_are_no_more_local_workers_by_default_than_have_memory(monkeypatch):
    monkeypatch.setattr(cluster, "usable_memory", lambda: 3000 * MIB)
    monkeypatch.setattr(cluster, "CPU_COUNT", 64)
    with open_cluster("local", needs=lambda _: 2000 * MIB) as client:
        assert len(client.nthreads()) == 1
        (about,) = client.scheduler_info()["workers"].values()
    assert about["memory_limit"] == 3000 * MIB


def test_what_is_read_from_a_store_is_held_in_blocks():
    own = ((64, 64), 1 << 20, Limits(), 2000)
    assert needed(*own, 2, remote=True) - needed(*own, 2) == 2 * 5 * (8 << 20)
