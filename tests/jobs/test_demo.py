import io
import re
from pathlib import Path

import pytest
import samples
from rich.console import Console

from jobs import demo as module
from jobs import show
from jobs.errors import ExitCode, Refusal
from jobs.events import ignore
from jobs.verify import verify


@pytest.fixture
def few(monkeypatch):
    monkeypatch.setattr(module, "TRAINING_IMAGES", 110)


def run(out, said):
    return module.demo(str(out), 60, threads=2, say=said.append, listener=ignore)


def test_it_goes_the_whole_way_and_tells_where_all_lies(few, tmp_path):  # noqa: ARG001 - sets the number
    said = []
    result = run(tmp_path / "demo", said)
    assert said[0] == f"rendering 110 dice into {tmp_path}/demo/training.tar"
    assert result.scored.exit_code is ExitCode.DONE
    assert result.scored.scored == 60
    stream = io.StringIO()
    Console(file=stream, width=160).print(show.demonstrated(result))
    shown = stream.getvalue()
    assert re.search(r"^F1 [01]\.\d{4} \(prev.*\) on synthetic dice: a self-test", shown, re.MULTILINE)
    assert re.search(r"^images/s [\d,]+", shown, re.MULTILINE)
    for what in ("rows", "model", "summary"):
        (path,) = re.findall(rf"^{what} +(\S+)", shown, re.MULTILINE)
        assert Path(path).exists()
    assert verify(result.rows) == []
    assert samples.rows(result.rows).num_rows == 60
    # None of what is scored has taught the model.
    assert result.evaluation["seen"] == 0
    assert result.evaluation["f1_unseen"] == result.evaluation["f1"]
    # What an earlier demo left is replaced.
    again = run(tmp_path / "demo", said)
    assert again.scored.scored == 60
    assert samples.rows(again.rows).num_rows == 60


def test_refuses_a_file_as_its_folder(tmp_path):
    (tmp_path / "demo").touch()
    with pytest.raises(Refusal, match="name a folder to write to with --out"):
        run(tmp_path / "demo", [])


def test_refuses_to_score_nothing(tmp_path):
    with pytest.raises(Refusal, match="--images 0"):
        module.demo(str(tmp_path / "demo"), 0, threads=1, say=print, listener=ignore)
    assert not (tmp_path / "demo").exists()
