import json
import os
import threading
import time
from typing import get_args

from dice_core.tally import Kind, Tally
from jobs import events
from jobs.events import Committed, Done, Event, Failed, Planned, Rejected, Stream, WorkerLost
from jobs.plan import Kind as Source
from jobs.plan import Shard
from jobs.shard import Failure, PartReport

TALLY = Tally(
    [
        (Kind("a", "a", "bright", "bright", "ok", None, "good"), 5),
        (Kind("a", "a", None, "bright", "ok", None, "unknown_part"), 2),
        (Kind("a", "a", None, "dark", "ok", None, "anomaly"), 1),
        (Kind("a", "a", None, None, "rejected", "truncated", None), 1),
        (Kind("a", "a", None, None, "rejected", "empty", None), 3),
        (Kind("a", "a", None, None, "ignored", "archive_junk", None), 4),
    ]
)


def shard(first, stop, members=40):
    return Shard("/a.tar", Source.TAR, "1-1", first, stop, 0, members)


def test_a_part_is_told_after_its_rejects():
    report = PartReport("part-1", 99, "hash", TALLY, "/a.tar", "1-1", 20, 16)
    assert list(events.of_part(report)) == [
        Rejected("part-1", "/a.tar", "empty", 3),
        Rejected("part-1", "/a.tar", "truncated", 1),
        Committed("part-1", "/a.tar", 20, 16, 3, 99),
    ]


def test_a_plan_counts_what_is_there_and_what_is_to_come():
    shards = [shard(0, 10), shard(10, 15), shard(15, 20)]
    assert events.of_plan(shards, {shards[1].part}) == Planned(3, 20, 1, 5)
    assert events.of_plan([], {shards[1].part}) == Planned(0, 0)


def test_a_plan_with_an_archive_that_does_not_tell_has_no_number_of_rows():
    planned = events.of_plan([shard(0, None, None), shard(10, 15)], set())
    assert (planned.shards, planned.rows) == (2, None)


def test_a_failure_tells_its_place():
    assert events.of_failure(Failure(shard(0, 10), "gone")) == Failed("/a.tar", 0, 10, "gone")


def test_every_event_is_frozen_and_has_a_name_of_its_own():
    kinds = get_args(Event)
    assert all(kind.__dataclass_params__.frozen for kind in kinds)
    assert len({events.name(kind.__new__(kind)) for kind in kinds}) == len(kinds) == 12


def test_names_are_those_of_json():
    assert events.name(WorkerLost("tcp://a")) == "worker_lost"
    assert events.name(Done(0, complete=True)) == "done"


def test_a_name_that_is_not_utf8_is_told_as_it_is_printed():
    told = events.told(Failed(os.fsdecode(b"/caf\xe9.tar"), 0, None, "gone"))
    assert told == {"archive": "/caf\\xe9.tar", "first": 0, "stop": None, "error": "gone"}
    json.dumps(told, ensure_ascii=False).encode()


def test_listeners_hear_one_event_at_a_time_from_whatever_thread():
    heard = []

    def slow(event):
        heard.append(("begins", event.worker))
        time.sleep(0.001)
        heard.append(("ends", event.worker))

    stream = Stream(slow, lambda event: heard.append(("other", event.worker)))
    threads = [threading.Thread(target=stream, args=(WorkerLost(str(number)),)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for at in range(0, len(heard), 3):
        worker = heard[at][1]
        assert heard[at : at + 3] == [("begins", worker), ("ends", worker), ("other", worker)]
    assert len(heard) == 60
