import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

from dice_core.rows import SCHEMA
from jobs import explain as module
from jobs.errors import Refusal
from jobs.explain import explain


def test_an_archive_that_is_not_there_is_told_without_the_secret_it_may_hold(monkeypatch, tmp_path):
    path = tmp_path / "rows.parquet"
    pq.write_table(SCHEMA.empty_table(), path)
    monkeypatch.setattr(module, "read_model", lambda _: None)
    monkeypatch.setattr(module, "open_rows", lambda _: ds.dataset(path))
    with pytest.raises(Refusal, match=r"lot\.tar a\.jpg: no such row"):
        explain("out", "lot.tar", "a.jpg")
    with pytest.raises(Refusal, match=r"^s3://\.\.\. a\.jpg: no such row") as refused:
        explain("out", "s3://KEY:5ecret@bucket/lot.tar", "a.jpg")
    assert "5ecret" not in str(refused.value)
