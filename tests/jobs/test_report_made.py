"""How a run was made, in words."""

import shutil

import dice
import pytest
import samples

from jobs.config import ScoreSettings
from jobs.corrections import NONE
from jobs.decisions import COLUMN
from jobs.evaluate import evaluate, read_model
from jobs.limits import Limits
from jobs.report_made import InForce, made
from jobs.score import score


@pytest.fixture(scope="module")
def sections(dice_model, tmp_path_factory):
    folder = tmp_path_factory.mktemp("made")
    source = samples.write_tar(folder / "one.tar", dice.good(1, faces=("00",), seed=7))
    out = str(folder / "out")
    score(ScoreSettings((source,), dice_model, out, "serial"), evaluate=evaluate)
    bank = read_model(out)
    told = made(out, bank, InForce(None, Limits.of_model(bank, COLUMN), NONE), 1795680000.0)
    shutil.rmtree(folder)
    return told


def test_settings_are_told_in_words_and_units(sections):
    settings = sections["Settings of the last start"]
    assert settings["--max-bytes"] == "64 MiB"
    assert settings["--max-pixels"] == "50,000,000 px"
    assert settings["--task-timeout"] == "300 s"
    assert settings["--max-rejects"] == "1%"
    assert "--source-root, --part, --deadline" in settings["not given"]
    assert "--insecure" in settings["not given"]
    assert sections["What decides the rows"]["--max-bytes"] == "64 MiB"
    assert sections["What decides the rows"]["version of the rows"].isdigit()


def test_nothing_is_told_as_python_writes_it(sections):
    texts = {str(value) for told in sections.values() for value in told.values()}
    assert not [text for text in texts if "{" in text or "[]" in text or text in {"False", "True", "-"}]
