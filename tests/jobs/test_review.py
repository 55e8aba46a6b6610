"""From rows to corrections and decisions: figures change as they must, the parts do not."""

import csv
import io
import json
import re
import shutil
from pathlib import Path

import dice
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import samples

from dice_core.policy import Policy
from jobs import corrections, decisions
from jobs.config import ScoreSettings
from jobs.decide import decide
from jobs.errors import Refusal
from jobs.evaluate import evaluate, read_model
from jobs.explain import explain
from jobs.export import COLUMNS, ExportSettings, What, export
from jobs.reader import Limits
from jobs.report import ReportSettings, report
from jobs.review import review
from jobs.score import score
from jobs.teaching import Sources, collect
from jobs.verify import verify

NOW = 1795680000.0
HOSTILE = ("00/=cmd()|' /C calc'!A0.jpg", "00/@SUM(1).jpg", "00/\x1b[2J\u202e.jpg", "00/+1.jpg")


@pytest.fixture(scope="module")
def scored(dice_model, tmp_path_factory):
    """Six defective dice, two of them in a folder of good ones; twelve good ones, four of them hostile."""
    folder = tmp_path_factory.mktemp("review")
    listed = [
        *dice.bad(4, seed=7),
        *dice.bad(2, seed=8, folder="04"),
        *dice.good(4, faces=("04", "07"), seed=7),
    ]
    listed += [(name, dice.photograph("00", 7, at)) for at, name in enumerate(HOSTILE)]
    lot = samples.write_tar(folder / "lot.tar", listed)
    score(ScoreSettings((lot,), dice_model, str(folder / "out"), "serial"), evaluate=evaluate)
    return folder / "out"


@pytest.fixture
def out(scored, tmp_path):
    copied = tmp_path / "out"
    shutil.copytree(scored, copied)
    return str(copied)


def exported(out, path, what=What.ANOMALIES, **options):
    export(ExportSettings(out, what, str(path), **options))
    return list(csv.DictReader(io.StringIO(Path(path).read_text("utf-8-sig"))))


def write(path, rows, separator=","):
    with path.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, rows[0].keys(), delimiter=separator)
        writer.writeheader()
        writer.writerows(rows)
    return str(path)


def parts(out):
    return {path.name: path.read_bytes() for path in Path(out).iterdir() if path.name.startswith("part-")}


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_a_round_trip_changes_the_figures_and_not_the_parts(out, tmp_path, separator):
    before, rows = evaluate(out), parts(out)
    assert (before["tp"], before["fp"], before["fn"]) == (4, 2, 0)
    lines = exported(out, tmp_path / "look.csv")
    assert [line["verdict"] for line in lines] == ["anomaly"] * 6
    for line in lines:
        line["correction"] = "anomaly" if line["label"] == "'04" else ""
    told = review(out, write(tmp_path / "c.csv", lines, separator), NOW, "by eye")
    assert (told.added, told.unchanged, told.unmatched, told.name) == (2, 0, [], "_review-0001.parquet")
    assert [(conflict.was, conflict.label, conflict.reviewed) for conflict in told.conflicts] == [
        ("04", "ano", False)
    ] * 2
    after = evaluate(out)
    assert (after["tp"], after["fp"], after["fn"], after["review"]) == (6, 0, 0, 1)
    assert after["tn"] == before["tn"]
    # A threshold over all of them makes misses, and report and evaluation go by it.
    decided = decide(out, Policy.parse("value=1000"), NOW, note="never")
    assert decided.before["anomalies"] == 6
    assert (decided.decision.outcome["anomalies"], decided.decision.outcome["fn"]) == (0, 6)
    judged = evaluate(out, decided=True)
    assert (judged["fn"], judged["threshold"], judged["decision"]) == (6, 1000.0, 1)
    assert evaluate(out)["fn"] == 0
    assert exported(out, tmp_path / "none.csv") == []
    report(ReportSettings(out, str(tmp_path / "r.html")), NOW)
    assert (tmp_path / "r.html").read_text().count('data-why="miss') == 6
    # The best threshold there is is among those that may be decided next.
    assert decide(out, Policy.parse("recall=1.0"), NOW).decision.outcome["f1"] == 1.0
    assert evaluate(out, decided=True)["decision"] == 2
    assert parts(out) == rows
    assert verify(out) == []


def test_unlabelled_images_become_labelled(dice_model, tmp_path):
    lot = samples.write_tar(tmp_path / "lot.tar", [(f"x/{name[3:]}", data) for name, data in dice.good(2)])
    out = str(tmp_path / "out")
    score(ScoreSettings((lot,), dice_model, out, "serial"), evaluate=evaluate)
    assert evaluate(out)["unlabelled"] == 6
    lines = exported(out, tmp_path / "look.csv", What.NEAREST)
    for line in lines[:2]:
        line["correction"] = "good"
    review(out, write(tmp_path / "c.csv", lines), NOW)
    told = evaluate(out)
    assert (told["unlabelled"], told["tn"], told["wrong_face"]["images"]) == (4, 2, 0)


def test_a_later_review_goes_before_an_earlier_one_and_says_so(out, tmp_path):
    lines = exported(out, tmp_path / "look.csv")[:2]
    first = [{**line, "correction": "good"} for line in lines]
    review(out, write(tmp_path / "one.csv", first), NOW, "first")
    again = review(out, write(tmp_path / "one.csv", first), NOW)
    assert (again.added, again.unchanged, again.name) == (0, 2, None)
    second = review(out, write(tmp_path / "two.csv", [{**first[0], "correction": "ano"}]), NOW + 60, "second")
    (conflict,) = second.conflicts
    assert (conflict.label, conflict.reviewed) == ("ano", True)
    held = corrections.read(out)
    assert held.number == 2
    assert {line["note"] for line in held.table.to_pylist()} == {"first", "second"}
    # The earlier record is still what it was.
    assert set(pq.read_table(Path(out) / "_review-0001.parquet")["note"].to_pylist()) == {"first"}


def test_a_label_counts_for_every_copy_of_an_image(dice_model, tmp_path):
    image = dice.photograph("00", 7, 1)
    lot = samples.write_tar(tmp_path / "lot.tar", [("00/a.jpg", image), ("00/b.jpg", image)])
    out = str(tmp_path / "out")
    score(ScoreSettings((lot,), dice_model, out, "serial"), evaluate=evaluate)
    (line, _) = exported(out, tmp_path / "look.csv", What.NEAREST)
    assert review(out, write(tmp_path / "c.csv", [{**line, "correction": "anomaly"}]), NOW).added == 1
    assert evaluate(out)["fn"] == 2


def test_labels_that_lost_their_zeros_in_a_spreadsheet_are_known_again(out, tmp_path):
    line = exported(out, tmp_path / "look.csv")[0]
    review(out, write(tmp_path / "c.csv", [{**line, "correction": "7"}]), NOW)
    assert list(corrections.read(out).labels.values()) == ["07"]


def test_what_a_job_teaches_are_its_labels_as_they_were_reviewed(out, tmp_path):
    lot = json.loads((Path(out) / "_job.json").read_text())["sources"][0]
    before = collect(Sources(labelled=(lot,), labels=out), Limits())
    assert (before.taken_good, before.taken_bad) == ({"00": 3, "04": 6, "07": 4}, {"ano": 4})
    lines = [line for line in exported(out, tmp_path / "look.csv") if line["label"] == "'04"]
    review(out, write(tmp_path / "c.csv", [{**line, "correction": "anomaly"} for line in lines]), NOW)
    after = collect(Sources(labelled=(lot,), labels=out), Limits())
    assert (after.taken_good, after.taken_bad) == ({"00": 3, "04": 4, "07": 4}, {"ano": 6})
    assert set(after.bad.hashes) - set(before.bad.hashes) == {line["content_hash"] for line in lines}


def test_what_people_added_outlives_a_new_start(out, tmp_path):
    line, other = exported(out, tmp_path / "look.csv")[:2]
    review(out, write(tmp_path / "c.csv", [{**line, "correction": "good"}]), NOW)
    decide(out, Policy.parse("value=1000"), NOW)
    job, model = json.loads((Path(out) / "_job.json").read_text()), Path(out) / "_model.npz"
    kept = tmp_path / "model.npz"
    shutil.copy(model, kept)
    score(ScoreSettings(tuple(job["sources"]), str(kept), out, "serial", overwrite=True), evaluate=evaluate)
    told = evaluate(out, decided=True)
    assert (told["review"], told["decision"]) == (1, 1)
    assert verify(out) == []
    # A label that another model does not know is as good as none.
    table = pq.read_table(Path(out) / "_review-0001.parquet").to_pylist()
    strange = [{**table[0], "label": "99"}, {**table[0], "content_hash": other["content_hash"]}]
    held = corrections.Corrections(2, pa.Table.from_pylist(strange, corrections.CORRECTIONS_SCHEMA))
    corrections.write(out, held)
    assert len(corrections.read(out)) == 2
    assert len(corrections.read(out, read_model(out))) == 1
    assert evaluate(out)["review"] == 2


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "has the columns : give content_hash and correction"),
        ("content_hash,other\nab,good\n", "has the columns content_hash, other: give content_hash"),
        ("content_hash,correction\nab,\n", "corrects nothing: write labels into its column correction"),
        (
            "content_hash,correction\nab,nice\n",
            "line 2: label 'nice': give one of 00, 04, 07, ano, anomaly, good",
        ),
        (
            "content_hash,correction\nab,good\n\nab,ano\n",
            "ab is good in line 2 and ano in line 4: leave one of them out",
        ),
    ],
)
def test_a_file_that_is_no_list_of_corrections_is_refused(out, tmp_path, text, told):
    (tmp_path / "c.csv").write_text(text)
    before = samples.names(out)
    with pytest.raises(Refusal, match=re.escape(told)):
        review(out, str(tmp_path / "c.csv"), NOW)
    assert samples.names(out) == before


def test_hashes_that_no_image_has_are_told(out, tmp_path):
    (tmp_path / "c.csv").write_text("content_hash,label\nabcd,good\n")
    told = review(out, str(tmp_path / "c.csv"), NOW)
    assert (told.unmatched, told.added, told.name) == (["abcd"], 0, None)


def test_damaged_records_are_refused_by_name(out):
    (Path(out) / "_review-0001.parquet").write_text("no list")
    with pytest.raises(Refusal, match=r"_review-0001\.parquet: no(t a)? list of corrections"):
        evaluate(out)
    (Path(out) / "_review-0001.parquet").unlink()
    for text in (
        "{",
        "[]",
        '{"number": 1}',
        json.dumps(dict.fromkeys(decisions.Decision.__dataclass_fields__, 1)),
    ):
        (Path(out) / "_decision-0001.json").write_text(text)
        with pytest.raises(Refusal, match=r"_decision-0001\.json: not a decision"):
            evaluate(out, decided=True)


def test_a_decision_for_another_model_counts_no_more(out):
    decide(out, Policy.parse("value=1000"), NOW)
    path = Path(out) / "_decision-0001.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "model": "another"}))
    assert decisions.read(out) is None
    assert evaluate(out, decided=True)["decision"] == 0
    assert decide(out, Policy.parse("value=1000"), NOW).name == "_decision-0002.json"


def test_faces_may_have_thresholds_of_their_own(out):
    path = Path(out) / "_decision-0001.json"
    decide(out, Policy.parse("value=1000"), NOW)
    told = json.loads(path.read_text())
    path.write_text(json.dumps({**told, "faces": {**told["faces"], "07": 1.0}}))
    bank = read_model(out)
    limits = decisions.limits_in_force(out, bank).faces
    assert dict(zip((face.name for face in bank.faces), limits, strict=True)) == {
        "00": 1000.0,
        "04": 1000.0,
        "07": 1.0,
    }


# Exports


def test_no_cell_of_an_export_is_a_formula(out, tmp_path):
    lines = exported(out, tmp_path / "all.csv", What.NEAREST)
    assert set(lines[0]) == {*COLUMNS, "correction"}
    members = {line["member"].removeprefix("'") for line in lines}
    assert r"00/\x1b[2J\u202e.jpg" in members
    for line in lines:
        for name, cell in line.items():
            assert not cell.startswith(("=", "+", "@", "\t", "\r")), (name, cell)
            assert all(letter.isprintable() for letter in cell)
    distances = [abs(np.log(float(line["times_threshold"]))) for line in lines]
    assert distances == sorted(distances)


def test_thumbnails_are_written_and_named(out, tmp_path):
    lines = exported(out, tmp_path / "a.csv", limit=2, thumbnails=str(tmp_path / "look"))
    assert len(lines) == 2
    for line in lines:
        assert Path(line["thumbnail"]).read_bytes().startswith(b"\x89PNG")


# Explanations


def test_an_explanation_is_the_row_made_anew(out):
    told = explain(out, "lot.tar", "0")
    assert told.agrees
    assert told.picture.startswith(b"\x89PNG")
    text = "\n".join(told.lines)
    row = samples.rows(Path(out)).slice(0, 1).to_pylist()[0]
    assert f"defect_score: {row['defect_score']:.6g}" in text
    assert f"verdict: {row['verdict']}" in text
    assert told.lines[-1] == "the row is what its image gives"


def test_an_explanation_tells_of_decision_and_review(out, tmp_path):
    line = exported(out, tmp_path / "look.csv")[0]
    review(out, write(tmp_path / "c.csv", [{**line, "correction": "good"}]), NOW)
    decide(out, Policy.parse("value=1000"), NOW)
    text = "\n".join(explain(out, line["archive"], line["index"]).lines)
    assert "1000 by decision 1 (value=1000)" in text
    assert ", corrected to " in text


def test_a_rejected_row_is_explained_too(dice_model, tmp_path):
    listed = [("00/a.jpg", b""), ("00/b.jpg", b"no image"), ("00/b.jpg", b"no image either")]
    lot = samples.write_tar(tmp_path / "lot.tar", listed)
    out = str(tmp_path / "out")
    score(ScoreSettings((lot,), dice_model, out, "serial"), evaluate=evaluate)
    told = explain(out, "lot.tar", "1")
    assert told.lines[-1] == "decoded: no: not_an_image; the row says not_an_image"
    assert (told.picture, told.agrees) == (None, True)
    with pytest.raises(Refusal, match=re.escape("2 rows: name one by archive and index: ")):
        explain(out, "lot.tar", "00/b.jpg")
    (tmp_path / "lot.tar").unlink()
    with pytest.raises(Refusal, match="no such row"):
        explain(out, "ot.tar", "1")
