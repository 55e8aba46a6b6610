import dataclasses

import pytest

from jobs.config import ScoreSettings
from jobs.errors import Refusal

GOOD = {"sources": ("a.tar",), "model": "m.npz", "out": "r"}


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"sources": ()}, "no source"),
        ({"sources": ("https://host/a.tar",)}, "https://"),
        ({"model": "gs:///m.npz"}, "gs://"),
        ({"log_json": "s3://bucket/log"}, "--log-json s3://bucket/log"),
        ({"out": ""}, "empty path"),
        ({"workers": 0}, "--workers 0"),
        ({"shard_size": -1}, "--shard-size -1"),
        ({"max_rejects": "many"}, "--max-rejects many"),
        ({"cluster": "moon"}, "--cluster moon"),
        ({"task_timeout": 0}, "--task-timeout 0"),
        ({"task_timeout": float("nan")}, "--task-timeout nan"),
    ],
)
def test_refuses_each_bad_value_in_one_line(changes, named):
    with pytest.raises(Refusal, match=named) as refused:
        ScoreSettings(**(GOOD | changes))
    assert "\n" not in str(refused.value)


def test_settings_are_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        ScoreSettings(**GOOD).workers = 3
