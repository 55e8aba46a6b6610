import os

import pytest
import samples

from jobs.check import check, look
from jobs.errors import Refusal


def test_a_worker_tells_what_it_is_reads_and_writes(tar, tmp_path):
    out = tmp_path / "new" / "out"
    (told,) = check("local:2", [tar], str(out))
    assert told.worker.startswith("tcp://127.0.0.1:")
    assert told.threads == 1
    assert told.memory > 0
    assert told.versions["numpy"]
    assert told.environment["OMP_NUM_THREADS"] == "1"
    assert (told.reads, told.writes) == ([tar], str(out))
    assert samples.names(out) == []


def test_the_serial_run_tells_of_this_process(tar):
    (told,) = check("serial", [tar], None)
    assert (told.worker, told.memory, told.writes) == ("this process", 0, None)


def test_refuses_a_worker_that_cannot_write_the_job_folder(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(Refusal, match=rf"cannot write to {tmp_path}/file/out"):
        check("serial", [], str(tmp_path / "file" / "out"))


def test_a_source_that_is_not_there_is_told_with_its_host(tmp_path):
    told = look([str(tmp_path / "gone.tar")], None)
    assert told["problem"] == f"cannot read {tmp_path}/gone.tar: No such file or directory"
    assert told["host"] == os.uname().nodename
