"""The labels that a job has by now teach and label like a table."""

import dice
import pytest
import samples

from jobs import joblabels
from jobs.config import ScoreSettings
from jobs.errors import Refusal
from jobs.evaluate import evaluate
from jobs.labels import Labels
from jobs.query import query
from jobs.review import review
from jobs.score import score

NOW = 1795680000.0


@pytest.fixture
def out(dice_model, tmp_path):
    """One photograph in two folders, one in one, one under a label that the model does not know."""
    first, second, third = (dice.photograph("00", 7, at) for at in range(3))
    listed = [("00/a.jpg", first), ("04/b.jpg", first), ("00/c.jpg", second), ("x/d.jpg", third)]
    lot = samples.write_tar(tmp_path / "lot.tar", [*listed, ("00/empty.jpg", b"")])
    score(ScoreSettings((lot,), dice_model, str(tmp_path / "out"), "serial"), evaluate=evaluate)
    return str(tmp_path / "out")


def hash_of(out, member):
    (row,) = query(out, f"SELECT content_hash FROM scores WHERE member = '{member}'").to_pylist()  # noqa: S608
    return row["content_hash"]


def test_a_photograph_with_two_labels_is_refused_until_a_review_tells_which(out, tmp_path):
    both = hash_of(out, "00/a.jpg")
    with pytest.raises(Refusal, match=f"{both} is 00 and 04, the first of 1 such: tell with review which"):
        Labels.read(out)
    (tmp_path / "c.csv").write_text(f"content_hash,correction\n{both},04\n{hash_of(out, 'x/d.jpg')},ano\n")
    review(out, str(tmp_path / "c.csv"), NOW)
    told = {hash_of(out, name): label for name, label in {"00/c.jpg": "00", "x/d.jpg": "ano"}.items()}
    assert dict(joblabels.lines(out)) == {both: "04", **told}
    assert {*Labels.read(out).names} == {"00", "04", "ano"}


def test_a_damaged_part_is_refused_by_the_folders_name(out, tmp_path):
    (part,) = (tmp_path / "out").glob("part-*")
    part.write_bytes(part.read_bytes()[:-100])
    with pytest.raises(Refusal, match=f"^{out}: "):
        Labels.read(out)
