import json
from collections import Counter
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import dice
import numpy as np
import pytest
import samples

from dice_core.policy import Policy
from dice_core.rows import SCORE_DIRECTIONS
from jobs.config import ScoreSettings
from jobs.errors import Refusal
from jobs.evaluate import evaluate, read_model
from jobs.fit import FitSettings, fit
from jobs.score import score
from jobs.teaching import Sources

COUNTS = ("tp", "fp", "fn", "tn")


def flat(level):
    """A photograph that shows no part."""
    noise = np.random.default_rng(level).integers(0, 256, (dice.SIZE, dice.SIZE), np.uint8)
    return dice.encode_jpeg(noise)


def run(out, sources, model):
    settings = ScoreSettings(tuple(sources), model, str(out), "serial", max_rejects="100%")
    return score(settings, evaluate=evaluate)


@pytest.fixture(scope="module")
def out(dice_model, tmp_path_factory):
    """A job over what taught the model and over another day, with members of all kinds."""
    folder = tmp_path_factory.mktemp("evaluate")
    other = [
        *dice.good(12, seed=7),
        *dice.bad(14, seed=7),
        *dice.good(3, seed=8, faces=("04", "05")),
        ("ano/noise.jpg", flat(1)),
        ("00/noise.jpg", flat(2)),
        ("elsewhere/noise.jpg", flat(3)),
        ("00/.DS_Store", b"junk"),
        ("00/empty.jpg", b""),
        ("ano/text.jpg", b"no image, but some text"),
        ("root.jpg", dice.photograph("00", 9, 1)),
    ]
    lot = samples.write_tar(folder / "other.tar", other)
    run(folder / "out", [str(Path(dice_model).with_name("teaching.tar")), lot], dice_model)
    return folder / "out"


@pytest.fixture(scope="module")
def labelled(out):
    """The rows that count: of ok images with a label that is known, as plain lists."""
    rows = [
        row for row in samples.rows(out).to_pylist() if row["status"] == "ok" and row["label"] is not None
    ]
    taught = read_model(str(out)).taught
    for row in rows:
        row["bad"] = row["label"] == "ano"
        row["unknown"] = row["verdict"] == "unknown_part"
        row["seen"] = row["content_hash"] in taught
    return rows


def worse(row, column):
    """The score turned so that the higher is the worse; a part of unknown kind is the worst."""
    return float("inf") if row["unknown"] else SCORE_DIRECTIONS[column] * row[column]


def count(rows, column, threshold):
    limit = SCORE_DIRECTIONS[column] * np.float32(threshold)
    calls = [
        (row["bad"], row["unknown"] or SCORE_DIRECTIONS[column] * np.float32(row[column]) >= limit)
        for row in rows
    ]
    return {
        "tp": calls.count((True, True)),
        "fp": calls.count((False, True)),
        "fn": calls.count((True, False)),
        "tn": calls.count((False, False)),
    }


def f1(tp, fp, fn, **_):
    return 2 * tp / (2 * tp + fp + fn) if tp + fp + fn else None


def expected(rows, column, threshold):
    """All that is told of a column, the slow and plain way."""
    counts = count(rows, column, threshold)
    tp, fp, fn, tn = (counts[name] for name in COUNTS)
    bad = [worse(row, column) for row in rows if row["bad"]]
    good = [worse(row, column) for row in rows if not row["bad"]]
    wins = sum((b > g) + (b == g) / 2 for b in bad for g in good)
    steps = [
        (sum(b >= t for b in bad), sum(g >= t for g in good)) for t in sorted({*bad, *good}, reverse=True)
    ]
    gained = [(0, 0), *steps]
    return {
        **counts,
        "precision": tp / (tp + fp) if tp + fp else None,
        "recall": tp / (tp + fn),
        "f1": f1(tp, fp, fn),
        "f1_normal": f1(tn, fp, fn),
        "f1_best": max(f1(hits, false, len(bad) - hits) for hits, false in steps),
        "auroc": wins / len(bad) / len(good),
        "average_precision": sum(
            (after[0] - before[0]) * after[0] / sum(after) for before, after in pairwise(gained)
        )
        / len(bad),
    }


def same(told, wanted):
    return {name: told[name] for name in wanted} == pytest.approx(wanted)


# What is counted


def test_every_kind_of_row_is_in_its_place(out, labelled):
    told = evaluate(str(out))
    rows = samples.rows(out)["status"].to_pylist()
    assert (told["images"], told["rejected"], told["ignored"]) == (len(rows) - 1, 2, 1)
    # Three of a face the model does not know, one in another folder, one in none.
    assert told["unlabelled"] == 5
    assert sum(told[name] for name in COUNTS) == len(labelled) == told["images"] - 2 - 5
    assert told["complete"] is True
    assert told["prevalence"] == pytest.approx(sum(row["bad"] for row in labelled) / len(labelled))


def test_the_label_is_the_folder_where_the_model_knows_it(out):
    labels = {row["folder"]: row["label"] for row in samples.rows(out).to_pylist()}
    assert labels == {
        **{name: name for name in (*dice.THREE, "ano")},
        "05": None,
        "elsewhere": None,
        "": None,
    }


def test_parts_of_unknown_kind_count_as_anomalies(out, labelled):
    unknown = [row for row in labelled if row["unknown"]]
    assert {row["member"] for row in unknown} >= {"ano/noise.jpg", "00/noise.jpg"}
    told = evaluate(str(out), policy=Policy("value", 1e9))
    assert told["tp"] == sum(row["bad"] for row in unknown)
    assert told["fp"] == sum(not row["bad"] for row in unknown)


# What is computed


@pytest.mark.parametrize("column", SCORE_DIRECTIONS)
def test_every_column_is_judged_as_plain_counting_does(out, labelled, column):
    told = evaluate(str(out), column)
    threshold = read_model(str(out)).thresholds[column]
    assert told["score"] == column
    assert told["threshold"] == pytest.approx(threshold)
    wanted = expected(labelled, column, threshold)
    assert same(told, wanted)
    assert same(told["comparison"][column], wanted)
    assert list(told["comparison"]) == list(SCORE_DIRECTIONS)
    best = count(labelled, column, told["threshold_best"])
    assert f1(**best) == pytest.approx(told["f1_best"])


def test_the_threshold_has_its_direction(out, labelled):
    for column, direction in SCORE_DIRECTIONS.items():
        laxest = max(direction * row[column] for row in labelled) * direction + direction * 1e-3
        told = evaluate(str(out), column, Policy("value", laxest))
        assert told["threshold"] == pytest.approx(laxest)
        assert (told["tp"], told["fp"]) == tuple(
            sum(row["unknown"] for row in labelled if row["bad"] is bad) for bad in (True, False)
        )
        strictest = min(direction * row[column] for row in labelled) * direction
        assert evaluate(str(out), column, Policy("value", strictest))["fn"] == 0


def test_each_face_is_told_of_by_what_was_predicted(out, labelled):
    told = evaluate(str(out))
    assert list(told["per_face"]) == list(dice.THREE)
    for face, found in told["per_face"].items():
        own = [row for row in labelled if row["face"] == face]
        assert found["images"] == len(own) > 0
        assert same(found, count(own, "defect_score", told["threshold"]))
    for name in COUNTS:
        assert sum(found[name] for found in told["per_face"].values()) == told[name]


def test_what_taught_the_model_is_left_out_of_f1_unseen(out, labelled):
    told = evaluate(str(out), "ssim")
    unseen = [row for row in labelled if not row["seen"]]
    assert told["seen"] == len(labelled) - len(unseen) == 100
    assert told["f1_unseen"] == pytest.approx(f1(**count(unseen, "ssim", told["threshold"])))
    assert told["f1_unseen"] != pytest.approx(told["f1"])


def test_a_job_over_what_taught_the_model_alone_has_no_f1_unseen(dice_model, tmp_path):
    run(tmp_path / "out", [str(Path(dice_model).with_name("teaching.tar"))], dice_model)
    told = evaluate(str(tmp_path / "out"))
    assert told["seen"] == 100
    assert told["f1_unseen"] is None


def test_it_is_told_what_f1_rests_on_with_and_without_what_taught_the_model(out, labelled):
    told = evaluate(str(out))
    unseen = [row for row in labelled if not row["seen"]]
    assert told["unseen"]["images"] == len(unseen)
    assert told["unseen"]["prevalence"] == pytest.approx(sum(row["bad"] for row in unseen) / len(unseen))
    assert told["unseen"]["f1"] == told["f1_unseen"]
    assert same(told["unseen"], count(unseen, "defect_score", told["threshold"]))
    runs = {(row["archive"], row["label"], row["index"] // 12) for row in labelled}
    assert told["independent_parts"] == len(runs)
    new = {(row["archive"], row["label"], row["index"] // 12) for row in unseen}
    assert told["unseen"]["independent_parts"] == len(new) < len(runs)


def test_the_confusion_between_faces_is_of_good_rows(out, labelled):
    told = evaluate(str(out))
    good = [row for row in labelled if not row["bad"]]
    pairs = Counter((row["label"], row["face"]) for row in good)
    flat = {
        (true, taken): found for true, row in told["face_confusion"].items() for taken, found in row.items()
    }
    assert flat == pairs
    wrong = [row for row in good if row["label"] != row["face"]]
    assert told["wrong_face"] == {
        "images": len(wrong),
        "fp": count(wrong, "defect_score", told["threshold"])["fp"],
    }


def test_a_job_without_a_repeated_photograph_has_no_duplicates(out):
    assert evaluate(str(out))["duplicates"] == {"within": 0, "between": 0, "evaluated": 0}


def test_photographs_that_are_there_twice_are_counted_and_make_their_runs_one_part(dice_model, tmp_path):
    once = [*dice.bad(12, seed=7), *dice.good(12, seed=7)]
    again = [("00/again.jpg", once[-1][1]), ("else/again.jpg", once[0][1])]
    second = samples.write_tar(tmp_path / "b.tar", once)
    first = samples.write_tar(tmp_path / "a.tar", [*once, *again])
    run(tmp_path / "single", [second], dice_model)
    run(tmp_path / "twice", [first, second], dice_model)
    single, twice = evaluate(str(tmp_path / "single")), evaluate(str(tmp_path / "twice"))
    assert single["duplicates"] == {"within": 0, "between": 0, "evaluated": 0}
    assert twice["duplicates"] == {"within": 2, "between": 2 * 48 + 2, "evaluated": 48 + 1}
    # The second copy of all makes no part more; the one good die under two faces makes two of them one.
    assert single["independent_parts"] == 4
    assert twice["independent_parts"] == 4
    assert twice["f1"] == pytest.approx(single["f1"], abs=0.03)


def lots(folder, number):
    """Lots of good and of grossly defective dice, too small to hold a run each."""
    listed = [*dice.bad(12, seed=7), *dice.good(4, seed=7)]
    return [
        samples.write_tar(folder / f"{lot:02}.tar", [listed[lot], listed[12 + lot % 12]])
        for lot in range(number)
    ]


def test_intervals_are_over_lots_where_there_are_ten_or_over_runs_or_none(dice_model, tmp_path):
    run(tmp_path / "nine", lots(tmp_path, 9), dice_model)
    run(tmp_path / "ten", lots(tmp_path, 10), dice_model)
    few, enough = evaluate(str(tmp_path / "nine")), evaluate(str(tmp_path / "ten"))
    assert few["intervals"]["f1"] is None
    assert few["intervals"]["note"] == (
        "fewer than 10 runs of consecutive frames with good or with defective parts"
    )
    bounds = enough["intervals"]
    assert (bounds["over"], bounds["note"], enough["independent_parts"]) == ("lots", None, 10)
    for name in ("precision", "recall", "f1"):
        low, high = bounds[name]
        assert 0 <= low <= enough[name] <= high <= 1
    silent = evaluate(str(tmp_path / "ten"), policy=Policy("value", 1e9))
    if silent["tp"] + silent["fp"] == 0:
        assert silent["intervals"]["note"] == "nothing was called, so precision is undefined"


# What if


@pytest.mark.parametrize("column", SCORE_DIRECTIONS)
def test_a_wanted_recall_is_reached(out, labelled, column):
    told = evaluate(str(out), column, Policy.parse("recall=0.9"))
    assert told["recall"] >= 0.9
    assert same(told, count(labelled, column, told["threshold"]))


def test_the_best_f1_is_chosen(out):
    told = evaluate(str(out), "ssim", Policy.parse("f1"))
    assert told["f1"] == pytest.approx(told["f1_best"], abs=0.02)
    assert told["f1"] >= evaluate(str(out), "ssim")["f1"]


@pytest.mark.parametrize("text", ["fpr=0.2", "quantile=0.8"])
def test_a_share_of_the_good_is_called(out, text):
    told = evaluate(str(out), "ssim", Policy.parse(text))
    assert told["fp"] / (told["fp"] + told["tn"]) == pytest.approx(0.2, abs=0.03)


def test_a_what_if_leaves_the_comparison_at_the_models_thresholds(out):
    plain, what_if = evaluate(str(out)), evaluate(str(out), policy=Policy("value", 1e9))
    assert what_if["comparison"] == plain["comparison"]
    assert what_if["threshold"] != plain["threshold"]


# Edges


def listing(folder):
    return {path.name: (path.stat().st_size, path.stat().st_mtime_ns) for path in Path(folder).iterdir()}


def test_it_writes_nothing(out):
    before = listing(out)
    evaluate(str(out), "ncc", Policy.parse("recall=0.9"))
    assert listing(out) == before


def test_the_summary_holds_the_same_as_a_later_evaluation(out):
    told = json.loads((out / "_summary.json").read_text())["evaluation"]
    later = json.loads(json.dumps(evaluate(str(out))))
    assert told == later


def test_without_labels_there_is_nothing_to_compare(dice_model, tmp_path):
    lot = samples.write_tar(tmp_path / "lot.tar", [(f"x/{name[3:]}", data) for name, data in dice.good(2)])
    run(tmp_path / "out", [lot], dice_model)
    told = evaluate(str(tmp_path / "out"))
    assert (told["images"], told["unlabelled"]) == (6, 6)
    assert [told[name] for name in ("precision", "recall", "f1", "f1_best", "auroc", "prevalence")] == [
        None
    ] * 6
    json.dumps(told, allow_nan=False)
    with pytest.raises(Refusal, match="label some images"):
        evaluate(str(tmp_path / "out"), policy=Policy.parse("f1"))


def test_with_good_images_alone_recall_is_undefined(dice_model, tmp_path):
    run(tmp_path / "out", [samples.write_tar(tmp_path / "lot.tar", dice.good(3, seed=7))], dice_model)
    told = evaluate(str(tmp_path / "out"))
    assert told["tp"] + told["fn"] == 0
    assert [told[name] for name in ("recall", "f1_best", "auroc", "average_precision")] == [None] * 4


def test_a_job_that_has_not_ended_is_told(out, tmp_path):
    for path in out.iterdir():
        if path.name != "_summary.json":
            (tmp_path / path.name).write_bytes(path.read_bytes())
    assert evaluate(str(tmp_path))["complete"] is False


def test_defective_parts_in_folders_of_their_faces_make_no_face_defective(tmp_path):
    good = samples.write_folder(tmp_path / "good", dice.good(12))
    wrong = [(name.replace("ano", dice.THREE[n % 3]), data) for n, (name, data) in enumerate(dice.bad(6))]
    sources = Sources(good=(good,), bad=(samples.write_folder(tmp_path / "bad", wrong),))
    fit(FitSettings(sources, str(tmp_path / "model.npz"), threads=2))
    run(
        tmp_path / "out",
        [samples.write_tar(tmp_path / "lot.tar", dice.good(4, seed=7))],
        str(tmp_path / "model.npz"),
    )
    told = evaluate(str(tmp_path / "out"))
    assert (told["prevalence"], told["fp"] + told["tn"]) == (0.0, 12)


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (lambda out: min(out.glob("part-*")).write_bytes(b"PAR1 and no more"), "verify names the parts"),
        (lambda out: (out / "_model.npz").unlink(), "run score again"),
        (lambda out: (out / "_model.npz").write_bytes(b"no model"), "run score again"),
        (lambda out: (out / "_summary.json").write_text("nonsense"), "not a summary"),
        (lambda out: (out / "_job.json").unlink(), "not a job folder"),
    ],
)
def test_refuses_a_damaged_folder(out, tmp_path, damage, told):
    for path in out.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    damage(tmp_path)
    with pytest.raises(Refusal) as refused:
        evaluate(str(tmp_path))
    assert told in str(refused.value)


def test_refuses_an_unknown_column(out):
    with pytest.raises(Refusal, match="--score size: no score column: give one of defect_score,"):
        evaluate(str(out), "size")


def test_a_job_that_lost_a_part_is_not_complete(out, tmp_path):
    for path in out.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    min(tmp_path.glob("part-*")).unlink()
    assert evaluate(str(tmp_path))["complete"] is False


def test_refuses_the_model_of_another_job(out, tmp_path):
    for path in out.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    bank = read_model(str(out))
    with (tmp_path / "_model.npz").open("wb") as stream:
        replace(bank, ncc_floor=bank.ncc_floor / 2).write(stream)
    with pytest.raises(Refusal, match="not the model of this job"):
        evaluate(str(tmp_path))
