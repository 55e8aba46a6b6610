import io

import pytest
from rich.console import Console

from dice_core.bank import Bank
from dice_core.rows import SCORE_DIRECTIONS
from dice_core.teach import Suspect
from dice_core.threshold import Confusion
from jobs import show
from jobs.errors import ExitCode
from jobs.fit import FaceReport, FitResult
from jobs.score import ScoreResult

FACE = {
    "images": 3,
    "prevalence": 2 / 3,
    "independent_parts": 2,
    "threshold": 5.0,
    "tp": 1,
    "fp": 0,
    "fn": 1,
    "tn": 1,
    "precision": 1.0,
    "recall": 0.5,
    "f1": 0.6667,
}
COLUMN = {
    **FACE,
    "f1_normal": 0.5,
    "f1_best": 1.0,
    "auroc": None,
    "average_precision": 0.75,
}
EVALUATION = {
    "images": 1234,
    "rejected": 2,
    "ignored": 3,
    "unlabelled": 4,
    "complete": True,
    "missing": None,
    "score": "ssim",
    "threshold": 0.87654,
    "f1": 0.6667,
    "fp": 7,
    "prevalence": 0.05,
    "independent_parts": 40,
    "seen": 0,
    "f1_unseen": 0.6667,
    "unseen": FACE,
    "duplicates": {"within": 0, "between": 0, "evaluated": 0},
    "face_confusion": {"a": {"a": 1000}, "[red]:smile:": {"[red]:smile:": 200}},
    "wrong_face": {"images": 0, "fp": 0},
    "expected": None,
    "per_face": {"[red]:smile:": FACE},
    "intervals": {"f1": (0.5, 0.9), "over": "lots", "note": None},
    "comparison": dict.fromkeys(SCORE_DIRECTIONS, COLUMN),
    "lots": {"count": 1, "alarmed": 0, "too_few": 0, "corrected": 0, "reference": True, "listed": []},
    "corrected": None,
}
SUMMARY = {
    "missing": None,
    "images": 1500,
    "archives": 2,
    "good": 1400,
    "anomaly": 80,
    "unknown_part": 5,
    "rejected": 15,
    "ignored": 1,
    "reasons": {"archive_junk": 1, "empty": 15},
    "seconds": 2.0,
    "images_per_second": 750.5,
    "failures": [],
    "evaluation": EVALUATION,
}


def text(content, width=160):
    stream = io.StringIO()
    Console(file=stream, width=width, markup=False, emoji=False).print(content)
    return stream.getvalue()


def test_an_evaluation():
    shown = text(show.evaluated(EVALUATION, compare=True))
    assert "INCOMPLETE" not in shown
    assert "1,234 images, 2 rejected, 4 unlabelled; archive junk ignored: 3" in shown
    assert "F1 0.6667 (95 % between 0.5000 and 0.9000) at ssim 0.8765" in shown
    assert "prevalence 5.00%, 40 independent parts (lots)\n" in shown
    for words in ("taught the model", "another face"):
        assert words not in shown
    rows = {line.split()[0]: line.split()[1:] for line in shown.splitlines() if line.strip()}
    assert rows["[red]:smile:"] == ["3", "2", "66.67%", "5", "1", "0", "1", "1", "1.0000", "0.5000", "0.6667"]
    for column in SCORE_DIRECTIONS:
        assert rows[column] == ["5", "1", "0.6667", "1.0000", "-", "0.7500"]


@pytest.mark.parametrize("columns", [70, 80, 120])
def test_narrow_terminals_have_fewer_columns_and_whole_numbers(monkeypatch, columns):
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setenv("FORCE_COLOR", "1")  # as on a terminal
    shown = text(show.evaluated(EVALUATION, compare=True), columns)
    assert "…" not in shown
    assert shown.count("prevalence") == (2 if columns == 120 else 1)


def test_an_evaluation_of_one_column_compares_nothing():
    assert "AUROC" not in text(show.evaluated(EVALUATION, compare=False))


def test_what_taught_the_model_is_told():
    shown = text(show.evaluated({**EVALUATION, "seen": 1000}, compare=False))
    without = "F1 without them 0.6667, prevalence 66.67%, 2 independent parts"
    assert f"1,000 of these images taught the model; {without}" in shown
    nothing = {"images": 0, "prevalence": None, "independent_parts": 0, "f1": None}
    shown = text(show.evaluated({**EVALUATION, "seen": 1234, "unseen": nothing}, compare=False))
    assert "1,234 of these images taught the model; they are all there are" in shown


def test_exact_duplicates_are_told():
    assert "exact duplicates: none\n" in text(show.evaluated(EVALUATION, compare=False))
    found = {"within": 5, "between": 2000, "evaluated": 4}
    for prevalence in (0.05, None):
        told = {**EVALUATION, "duplicates": found, "prevalence": prevalence}
        assert (
            "exact duplicates: 5 images repeat one of their own archive, 2,000 are in more than one archive; "
            "4 of the labelled ones repeat another\n"
        ) in text(show.evaluated(told, compare=False))


def test_an_incomplete_job_says_so_first():
    missing = {
        "planned_shards": 40,
        "missing_shards": 3,
        "archives": 1,
        "listed": [
            {"name": "/[red].tar", "missing_shards": 3, "shards": 4, "missing_rows": None, "rows": None}
        ],
        "unplanned_parts": 0,
        "ended": False,
        "compacted": False,
    }
    shown = text(show.evaluated({**EVALUATION, "complete": False, "missing": missing}, compare=False))
    assert shown.startswith("INCOMPLETE: 3 of 40 planned shards (7.50%) are missing; ")
    assert "\n  /[red].tar: 3 of 4 shards missing\n" in shown
    summary = {**SUMMARY, "missing": missing}
    assert text(show.scored(ScoreResult(ExitCode.DONE, summary, 1501), "/rows")).startswith("INCOMPLETE: ")


def test_an_evaluation_without_labels_or_intervals():
    unlabelled = text(show.evaluated({**EVALUATION, "prevalence": None, "f1": None}, compare=True))
    assert "no labelled images" in unlabelled
    assert "AUROC" not in unlabelled
    few = {**EVALUATION, "intervals": {"f1": None, "over": "lots", "note": "too few"}}
    shown = text(show.evaluated(few, compare=False))
    assert "no intervals: too few" in shown
    assert "between" not in shown


def test_a_scoring():
    shown = text(show.scored(ScoreResult(ExitCode.DONE, SUMMARY, 1501), "/rows")).splitlines()
    counted = "1,400 good, 80 anomalous, 5 of unknown kind, 15 rejected; archive junk ignored: 1"
    assert shown[0] == f"1,500 images in 2 sources: {counted}"
    assert shown[1:3] == ["rejected: 15 empty", "1,501 rows in 2.0 s, 750 images/s"]
    assert shown[-1] == "rows, model and summary: /rows"


def test_sources_without_an_image_are_loud():
    nothing = {**SUMMARY, "images": 0, "archives": 1, "evaluation": None}
    shown = text(show.scored(ScoreResult(ExitCode.DONE, nothing, 0), "/rows")).splitlines()
    assert shown[0].startswith("0 images in 1 source: ")
    assert shown[1].startswith("NO IMAGES: ")
    assert "NO IMAGES" not in text(show.scored(ScoreResult(ExitCode.DONE, SUMMARY, 1501), "/rows"))


def test_what_was_left_alone_is_counted_and_named():
    paths = tuple(f"/{number:02d}.tar" for number in range(show.UNSETTLED_TOLD + 3))
    shown = text(show.scored(ScoreResult(ExitCode.DONE, SUMMARY, unsettled=paths), "/rows"))
    assert f"left alone, as written to just now: {len(paths)} sources; a later run scores them\n" in shown
    assert [path for path in paths if f"left alone: {path}\n" in shown] == list(paths[:-3])
    assert "left alone: 3 more\n" in shown
    one = text(show.scored(ScoreResult(ExitCode.DONE, SUMMARY, unsettled=paths[:1]), "/rows"))
    assert "just now: one source; " in one
    assert "more" not in one


def test_a_scoring_that_had_nothing_to_do():
    shown = text(show.scored(ScoreResult(ExitCode.DONE, SUMMARY), "/rows"))
    assert "nothing new to score" in shown
    assert "images/s" not in shown


def test_a_merge_does_not_speak_of_scoring():
    shown = text(show.scored(ScoreResult(ExitCode.DONE, SUMMARY), "/rows", merged=True))
    assert "nothing new" not in shown


def test_images_of_a_wrong_size_come_with_the_way_to_see_and_to_take_them():
    summary = {**SUMMARY, "reasons": {"wrong_size": 6}}
    shown = text(show.scored(ScoreResult(ExitCode.DONE, summary, 1501), "/rows"), 300)
    assert "rejected: 6 wrong_size\n" in shown
    assert 'query /rows "SELECT archive, member, width, height' in shown
    assert "--on-size resize" in shown
    assert "--on-size" not in text(show.scored(ScoreResult(ExitCode.DONE, SUMMARY, 1501), "/rows"))


def test_failures_are_told_one_a_line_and_as_they_are_spelt():
    failures = [{"error": "/a[0:5].tar: OSError: gone"}, {"error": "/\x1b[31m\n.tar: [red]gone"}]
    shown = text(
        show.scored(ScoreResult(ExitCode.SHARDS_FAILED, {**SUMMARY, "failures": failures}, 1), "/rows")
    )
    assert "failed: /a[0:5].tar: OSError: gone\n" in shown
    assert "failed: /\\x1b[31m\\n.tar: [red]gone\n" in shown


def test_it_is_written_without_markup_and_in_one_line_each(capsys):
    show.write(show.evaluated(EVALUATION, compare=True))
    written = capsys.readouterr().out
    assert "[red]:smile:" in written
    (line,) = [line for line in written.splitlines() if line.startswith(" defect_score")]
    assert line.split()[-1] == "0.7500"


def test_alarms_of_lots_are_told_labelled_or_not():
    line = {"lot": "/[red].tar", "alarm": "wider", "shift": 1.0, "images": 70, "share_called": 0.0}
    lots = {"count": 3, "alarmed": 1, "too_few": 0, "corrected": 0, "reference": True, "listed": [line]}
    told = {**EVALUATION, "prevalence": None, "f1": None, "lots": lots}
    assert "LOT ALARM /[red].tar: " in text(show.evaluated(told, compare=True))
    alarm = {"lot": "/a.tar", "reason": "wider", "shift": 1.0, "images": 70, "share_called": 0.0}
    summary = {**SUMMARY, "alarmed_lots": 1, "lot_alarms": [alarm]}
    assert "LOT ALARM /a.tar: " in text(show.scored(ScoreResult(ExitCode.DONE, summary, 1), "/rows"))


def fit_result(suspects):
    bank = Bank((4, 4), (4, 4), (), ("ano",), 0.5, dict.fromkeys(SCORE_DIRECTIONS, 0.5), frozenset())
    report = FaceReport("all", 3, 2, 1, Confusion(tp=1, fp=0, fn=0, tn=2))
    return FitResult(bank, (), report, {}, suspects)


def test_a_fit_names_what_looks_mislabelled_and_counts_the_rest():
    suspects = tuple(Suspect("[red]a", f"{n}\x1b.png", 9.0 - n / 10) for n in range(show.SUSPECTS_TOLD + 3))
    told = text(show.fitted(fit_result(suspects), "model.npz"))
    assert f"LOOK MISLABELLED, so they taught nothing: {len(suspects)} images" in told
    assert "[red]a: 0" in told
    assert "9.0 times as odd as usual for its face" in told
    assert told.count("times as odd") == show.SUSPECTS_TOLD
    assert "\x1b" not in told
    assert "MISLABELLED" not in text(show.fitted(fit_result(()), "model.npz"))


def test_what_was_overcome_and_a_log_that_breaks_off_are_told():
    summary = {**SUMMARY, "retries": 3, "workers_lost": 1}
    shown = text(show.scored(ScoreResult(ExitCode.DONE, summary, 1, log_error="disk full"), "/rows"))
    assert "overcome: 3 shards tried again, 1 worker lost" in shown
    assert "THE LOG OF EVENTS BREAKS OFF: disk full" in shown
    assert "overcome" not in text(show.scored(ScoreResult(ExitCode.DONE, SUMMARY, 1), "/rows"))
