"""What the job does on the real photographs, where there are any."""

import pyarrow.compute as pc
import pytest
import samples

from jobs.config import ScoreSettings
from jobs.errors import ExitCode
from jobs.evaluate import evaluate
from jobs.fit import FitSettings, fit
from jobs.score import score
from jobs.teaching import Sources

CLASSIC = ("ssim", "ncc")
MISLABELLED = ("05", "05/16_09_21_05_173.png")


@pytest.fixture(scope="module")
def fitted(known_archive, tmp_path_factory):
    model = tmp_path_factory.mktemp("real") / "model.npz"
    return fit(FitSettings(Sources(labelled=(str(known_archive),)), str(model), threads=2)), model


@pytest.fixture(scope="module")
def scored(known_archive, fitted):
    model = fitted[1]
    out = model.with_name("out")
    settings = ScoreSettings((str(known_archive),), str(model), str(out), workers=2)
    return score(settings, evaluate=evaluate), out


def test_the_training_images_are_told_apart(fitted):
    result, total = fitted[0], fitted[0].total
    # One five lies among the fours: it is named first, and what is named neither teaches nor counts.
    assert (result.suspects[0].face, result.suspects[0].name) == MISLABELLED
    assert all(result.suspects[0].oddity > 1.5 * suspect.oddity for suspect in result.suspects[1:])
    assert len(result.suspects) <= 5
    # Some photographs are there twice.
    assert 4074 - 2 * len(result.suspects) <= total.images <= 4074 - len(result.suspects)
    assert total.confusion.tp + total.confusion.fn == 167
    assert total.confusion.errors <= 2
    assert len(fitted[0].faces) == 11


def test_every_member_has_its_row(scored):
    result, out = scored
    assert result.exit_code is ExitCode.DONE
    rows = samples.rows(out)
    assert rows["index"].to_pylist() == list(range(4086))
    told = rows["status"].to_pylist()
    assert {status: told.count(status) for status in set(told)} == {"ok": 4074, "ignored": 12}
    assert {row.rsplit("/")[-1] for row in rows["member"].to_pylist() if "DS_Store" in row} == {".DS_Store"}


def test_the_classic_methods_are_worse(scored):
    told = evaluate(str(scored[1]))
    assert (told["images"], told["ignored"], told["unlabelled"]) == (4074, 12, 0)
    rows = samples.rows(scored[1]).filter(pc.field("status") == "ok").to_pylist()
    wrong = [row for row in rows if (row["label"] == "ano") != (row["verdict"] != "good")]
    assert told["fp"] + told["fn"] == len(wrong)
    # Some photographs are there twice, and one that is judged wrongly is so twice.
    assert len({row["content_hash"] for row in wrong}) <= 2
    for method in CLASSIC:
        assert told["comparison"][method]["f1"] < told["f1"]
        assert told["comparison"][method]["f1_best"] < told["f1"]
