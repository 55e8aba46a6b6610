import pytest

from dice_core.tally import Kind, Tally
from jobs.errors import ExitCode, Refusal
from jobs.events import Committed, Failed, Planned, Retried, Scored, Started, WorkerLost
from jobs.summary import FAILURES_TOLD, Outcome, RejectLimit, Total, counts, exit_code


def tally(ok=0, rejected=0, ignored=0, unknown=0):
    return Tally(
        [
            (Kind("a", "a", "bright", "bright", "ok", None, "good"), ok),
            (Kind("a", "a", None, "bright", "ok", None, "unknown_part"), unknown),
            (Kind("a", "a", None, None, "rejected", "empty", None), rejected),
            (Kind("b", "b", None, None, "ignored", "archive_junk", None), ignored),
        ]
    )


@pytest.mark.parametrize(
    ("limit", "counted", "expected"),
    [
        ("1%", tally(ok=99, rejected=1), False),
        ("1%", tally(ok=98, rejected=2), True),
        ("1%", tally(ok=0, ignored=50), False),
        ("0", tally(ok=99, rejected=1), True),
        ("0%", tally(ok=99, rejected=1), True),
        ("0", tally(ok=99), False),
        ("2", tally(ok=1, rejected=2), False),
        ("2", tally(ok=1, rejected=3), True),
        ("100%", tally(rejected=5), False),
        ("2.5%", tally(ok=975, rejected=25), False),
        ("2.5%", tally(ok=974, rejected=26), True),
    ],
)
def test_reject_limits(limit, counted, expected):
    assert RejectLimit.parse(limit).exceeded(counted) is expected


@pytest.mark.parametrize("text", ["-1", "-1%", "101%", "some", "%", "", "1.5", "nan%", "inf%"])
def test_refuses_reject_limits_that_are_none(text):
    with pytest.raises(Refusal, match="--max-rejects"):
        RejectLimit.parse(text)


@pytest.mark.parametrize(
    ("counted", "failed", "expected"),
    [
        (tally(ok=10), False, ExitCode.DONE),
        (tally(), False, ExitCode.DONE),
        (tally(ok=4, unknown=1), False, ExitCode.DONE),
        (tally(ok=3, unknown=1), False, ExitCode.UNKNOWN_PARTS),
        (tally(ok=1, rejected=1), False, ExitCode.TOO_MANY_REJECTS),
        (tally(ok=1, rejected=1, unknown=1), False, ExitCode.TOO_MANY_REJECTS),
        (tally(ok=1, rejected=1, unknown=1), True, ExitCode.SHARDS_FAILED),
        (tally(), True, ExitCode.SHARDS_FAILED),
    ],
)
def test_the_worst_decides_the_exit_code(counted, failed, expected):
    assert exit_code(counted, RejectLimit.parse("1%"), shards_failed=failed) is expected


def test_counts_rows():
    assert counts(tally(ok=5, rejected=2, ignored=3, unknown=1)) == {
        "archives": 2,
        "lots": 2,
        "rows": 11,
        "images": 8,
        "ok": 6,
        "rejected": 2,
        "ignored": 3,
        "good": 5,
        "anomaly": 0,
        "unknown_part": 1,
        "unlabelled": 1,
        "broken_archives": [],
        "reasons": {"archive_junk": 3, "empty": 2},
    }


@pytest.mark.parametrize("number", [0, 1, 2, 3, 7, 8, 100])
def test_a_total_is_the_sum(number):
    tallies = [tally(ok=index, rejected=index % 3) for index in range(number)]
    assert Total.of(tallies).tally == sum(tallies, Tally())


def test_compiling_is_told_apart_from_the_speed():
    told = Outcome(rows=100, seconds=2.0, compile_seconds=14.0).told()
    assert (told["compile_seconds"], told["seconds"], told["images_per_second"]) == (14.0, 2.0, 50.0)


def test_failures_are_counted_all_and_told_in_part():
    outcome = Outcome()
    for _ in range(FAILURES_TOLD + 5):
        outcome(Failed("/a.tar", 0, 5, "gone"))
    told = outcome.told()
    assert (told["complete"], told["failed_shards"], len(told["failures"])) == (False, 105, 100)
    assert told["failures"][0] == {"archive": "/a.tar", "first": 0, "stop": 5, "error": "gone"}
    assert told["images_per_second"] is None


def test_a_cluster_that_was_lost_is_a_failure_without_a_place():
    outcome = Outcome()
    outcome(Failed(None, None, None, "the scheduler is gone"))
    assert outcome.told()["failures"] == [{"error": "the scheduler is gone"}]


def test_it_counts_what_the_stream_tells():
    outcome = Outcome()
    for event in (
        Planned(9, 900, shards_before=2, rows_before=200),
        Started(1.5),
        WorkerLost("tcp://a"),
        Retried("/a.tar", 0, "gone"),
        Retried("/a.tar", 5, "gone"),
        Committed("part", "/a.tar", 0, 100, 1, 1),
        Committed("part", "/a.tar", 100, 60, 1, 1),
        Scored(4.0),
    ):
        outcome(event)
    told = outcome.told()
    counted = ("shards", "workers_lost", "retries", "rows_scored", "compile_seconds", "images_per_second")
    assert [told[name] for name in counted] == [9, 1, 2, 160, 1.5, 40.0]
