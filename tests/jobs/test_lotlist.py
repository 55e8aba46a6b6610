import json
from dataclasses import replace
from pathlib import Path

import dice
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import samples

from dice_core.drift import Alarm
from jobs.config import ScoreSettings
from jobs.errors import Refusal
from jobs.evaluate import evaluate, read_model
from jobs.lotlist import LOTS_SCHEMA, read
from jobs.query import query
from jobs.score import score
from jobs.verify import verify

EACH = 14


@pytest.fixture(scope="module")
def sources(tmp_path_factory):
    """Lots of one day: all good, half bad, all bad, few; none has a label that the model knows."""
    folder = tmp_path_factory.mktemp("sources")
    good = [(f"x/{name[3:]}{name[:2]}.jpg", data) for name, data in dice.good(EACH, seed=7)]
    bad = [(f"x/{name[4:]}", data) for name, data in dice.bad(3 * EACH, seed=7)]
    lots = {"good": good, "half": [*good[::2], *bad[: len(good) // 2]], "bad": bad, "few": good[:4]}
    return {name: samples.write_tar(folder / f"{name}.tar", listed) for name, listed in lots.items()}


def run(out, sources, model, **options):
    settings = ScoreSettings(tuple(sources), model, str(out), "serial", shard_size=16, **options)
    return score(settings, evaluate=evaluate)


@pytest.fixture(scope="module")
def job(sources, dice_model, tmp_path_factory):
    out = tmp_path_factory.mktemp("job") / "out"
    return run(out, sources.values(), dice_model), out


@pytest.fixture
def copy(job, tmp_path):
    for path in job[1].iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    return tmp_path


def lines(out):
    return {Path(line["lot"]).stem: line for line in read(str(out)).to_pylist()}


def test_every_lot_has_a_line(job):
    told = lines(job[1])
    assert pq.read_schema(job[1] / "_lots.parquet").equals(LOTS_SCHEMA)
    assert {name: line["images"] for name, line in told.items()} == {
        **dict.fromkeys(("good", "half", "bad"), 3 * EACH),
        "few": 4,
    }
    assert (told["few"]["enough"], told["few"]["alarm"]) == (False, None)


def test_lots_with_half_or_all_of_their_parts_bad_are_alarms_and_the_summary_has_them(job):
    result, out = job
    told = lines(out)
    assert told["half"]["alarm"]
    assert told["bad"]["alarm"] == Alarm.MANY_ANOMALIES
    assert {told[name]["correction"] for name in ("half", "bad")} == {1.0}
    summary = json.loads((out / "_summary.json").read_text())
    alarmed = {name for name, line in told.items() if line["alarm"]}
    assert summary["alarmed_lots"] == result.summary["alarmed_lots"] == len(alarmed)
    assert {Path(alarm["lot"]).stem for alarm in summary["lot_alarms"]} == alarmed
    assert Path(summary["lot_alarms"][0]["lot"]).stem == "bad"
    for alarm in summary["lot_alarms"]:
        line = told[Path(alarm["lot"]).stem]
        assert alarm["reason"] == line["alarm"]
        assert [alarm[name] for name in ("shift", "images", "share_called")] == [
            line[name] for name in ("lot_shift", "images", "share_called")
        ]


def test_evaluate_tells_the_same_without_labels_and_writes_nothing(job):
    _, out = job
    before = samples.written(out)
    told = evaluate(str(out))
    assert samples.written(out) == before
    assert told["prevalence"] is None
    listed = {Path(line["lot"]).stem: line for line in told["lots"]["listed"]}
    assert told["lots"]["count"] == len(listed) == 4
    for name, line in lines(out).items():
        assert {**listed[name], "lot_shift": listed[name]["shift"]}.items() >= line.items()


def test_the_shift_of_its_lot_is_a_column_of_the_scores(job):
    _, out = job
    found = query(str(out), "SELECT lot, lot_shift, count(*) AS n FROM scores GROUP BY ALL").to_pylist()
    assert {Path(row["lot"]).stem: row["lot_shift"] for row in found} == {
        name: line["lot_shift"] for name, line in lines(out).items()
    }
    few = lines(out)["few"]["lot_shift"]
    sql = f"SELECT count(*) AS n, sum(defect_score) AS s FROM scores WHERE lot_shift = {few!r}"  # noqa: S608
    assert query(str(out), sql).to_pylist()[0]["n"] == 4


def test_a_lot_may_be_a_folder_or_a_part_of_a_name_and_lie_in_many_archives(sources, dice_model, tmp_path):
    first, second = (sources[name] for name in ("good", "bad"))
    run(tmp_path / "out", (first, second), dice_model, lot=r"/([^/]*)/[^/]*$")
    told = {line["lot"]: line for line in read(str(tmp_path / "out")).to_pylist()}
    found = query(
        str(tmp_path / "out"),
        "SELECT lot, lot_shift, count(*) AS n, count(DISTINCT archive) AS archives, min(folder) AS folder "
        "FROM scores GROUP BY ALL",
    ).to_pylist()
    assert {row["lot"]: (row["lot_shift"], row["n"]) for row in found} == {
        lot: (line["lot_shift"], line["images"]) for lot, line in told.items()
    }
    assert any(row["archives"] == 2 for row in found)
    assert all(row["lot"] == row["folder"] for row in found)
    summary = json.loads((tmp_path / "out" / "_summary.json").read_text())
    assert (summary["archives"], summary["lots"]) == (2, len(told))
    assert verify(str(tmp_path / "out")) == []
    by_folder = run(tmp_path / "folders", (first, second), dice_model, lot="folder")
    assert read(str(tmp_path / "folders")).equals(read(str(tmp_path / "out")))
    with pytest.raises(Refusal, match="lot was folder, is archive"):
        run(tmp_path / "folders", (first, second), dice_model)
    assert by_folder.exit_code == 0


def test_the_shift_is_null_while_the_lots_are_not_listed(copy):
    (copy / "_lots.parquet").unlink()
    sql = "SELECT count(*) AS n, count(lot_shift) AS told FROM scores"
    assert query(str(copy), sql).to_pylist() == [{"n": 9 * EACH + 4, "told": 0}]


def test_a_list_of_lots_that_is_none_is_refused(copy):
    (copy / "_lots.parquet").write_bytes(b"PAR1 and no more")
    with pytest.raises(Refusal, match="not a list of lots"):
        query(str(copy), "SELECT 1")
    pq.write_table(pa.table({"lot": ["a"]}), copy / "_lots.parquet")
    with pytest.raises(Refusal, match="not a list of lots"):
        query(str(copy), "SELECT 1")


def test_a_whole_job_agrees(job):
    assert verify(str(job[1])) == []


def relist(out, change):
    table = pa.Table.from_pylist(change(read(str(out)).to_pylist()), LOTS_SCHEMA)
    pq.write_table(table, out / "_lots.parquet")


def without_summary_alarms(out):
    told = json.loads((out / "_summary.json").read_text())
    (out / "_summary.json").write_text(json.dumps({**told, "alarmed_lots": 0, "lot_alarms": []}))


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda out: (out / "_lots.parquet").unlink(), "_lots.parquet: missing"),
        (lambda out: (out / "_lots.parquet").write_bytes(b"no list"), "not a list of lots"),
        (lambda out: relist(out, lambda lines: lines[1:]), "of 1 lots it tells what the rows do not"),
        (lambda out: relist(out, lambda lines: [*lines, {**lines[0], "lot": "x"}]), "of 1 lots"),
        (lambda out: relist(out, lambda lines: [{**line, "alarm": None} for line in lines]), "first "),
        (lambda out: relist(out, lambda lines: [{**line, "lot_shift": 9.0} for line in lines]), "of 4 lots"),
        (without_summary_alarms, "_summary.json: alarmed_lots is 0, the rows have"),
        (without_summary_alarms, "its lot_alarms are not those of the rows"),
    ],
)
def test_verify_tells_what_lots_do_not_agree(copy, damage, words):
    damage(copy)
    assert [line for line in verify(str(copy)) if words in line]


def test_the_same_command_lists_the_lots_again(sources, dice_model, copy):
    before = (copy / "_lots.parquet").read_bytes()
    (copy / "_lots.parquet").unlink()
    result = run(copy, sources.values(), dice_model)
    assert result.scored == 0
    assert (copy / "_lots.parquet").read_bytes() == before
    assert verify(str(copy)) == []


def test_a_lot_more_is_a_line_more(sources, dice_model, tmp_path):
    run(tmp_path / "out", [sources["good"]], dice_model)
    assert list(lines(tmp_path / "out")) == ["good"]
    run(tmp_path / "out", [sources["bad"]], dice_model)
    assert set(lines(tmp_path / "out")) == {"good", "bad"}
    assert verify(str(tmp_path / "out")) == []


def test_a_job_without_a_scored_image_has_no_lot(dice_model, tmp_path):
    lot = samples.write_tar(tmp_path / "lot.tar", [("x/a.jpg", b"")])
    result = run(tmp_path / "out", [lot], dice_model, max_rejects="100%")
    assert lines(tmp_path / "out") == {}
    assert (result.summary["alarmed_lots"], result.summary["lot_alarms"]) == (0, [])
    assert evaluate(str(tmp_path / "out"))["lots"]["count"] == 0
    assert verify(str(tmp_path / "out")) == []


def test_a_model_of_before_has_no_shift_but_tells_of_lots_full_of_anomalies(sources, dice_model, tmp_path):
    run(tmp_path / "first", [sources["few"]], dice_model)
    bank = replace(read_model(str(tmp_path / "first")), reference=None)
    with (tmp_path / "old.npz").open("wb") as stream:
        bank.write(stream)
    run(tmp_path / "out", sources.values(), str(tmp_path / "old.npz"))
    told = lines(tmp_path / "out")
    assert {line["lot_shift"] for line in told.values()} == {None}
    assert (told["bad"]["alarm"], told["good"]["alarm"]) == (Alarm.MANY_ANOMALIES, None)
    assert verify(str(tmp_path / "out")) == []


def test_a_correction_is_told_beside_what_is_and_for_one_column(job):
    _, out = job
    told = evaluate(str(out), correct_lots=True)
    assert told["corrected"]["lots"] == told["lots"]["corrected"]
    assert told["corrected"].keys() == {"lots", "tp", "fp", "fn", "tn", "precision", "recall", "f1"}
    assert evaluate(str(out))["corrected"] is None
    with pytest.raises(Refusal, match="--correct-lots"):
        evaluate(str(out), "ssim", correct_lots=True)
