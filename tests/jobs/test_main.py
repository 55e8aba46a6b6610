"""The command line: what scripts rely on, and what is said where a request is refused."""

import io
import json
import os
import re
import tarfile
from importlib.metadata import version
from pathlib import Path

import dice
import numpy as np
import pytest
import samples
import typer.main

from dice_core import bank
from dice_core.bank import Bank
from dice_core.policy import Policy
from dice_core.rows import SCORE_DIRECTIONS
from jobs import commands_job
from jobs.__main__ import app, main
from jobs.errors import UnfinishedError

README = (Path(__file__).parents[2] / "README.md").read_text()

CONTRACT = {
    "demo": {"--out", "--images"},
    "synth": {"out", "--images", "--seed", "--defects"},
    "fit": {
        *("sources", "--good", "--bad", "--anomaly-label", "--labels", "--model", "--size"),
        *("--threshold", "--prevalence", "--per-face"),
        *("--max-bytes", "--max-pixels", "--max-members", "--max-expansion"),
    },
    "score": {
        "sources",
        "--model",
        "--out",
        "--cluster",
        "--workers",
        "--insecure",
        "--max-rejects",
        "--task-timeout",
        "--overwrite",
        "--replace-changed",
        "--settle",
        "--source-root",
        "--labels",
        "--lot",
        "--part",
        "--deadline",
        "--maps",
        "--log-json",
        "--exhaustive",
        "--on-size",
        *("--max-bytes", "--max-pixels", "--max-members", "--max-expansion"),
    },
    "evaluate": {
        *("out", "--score", "--threshold", "--prevalence", "--per-face", "--correct-lots", "--json"),
        "--decided",
    },
    "report": {"job", "--out", "--gallery", "--source-root"},
    "explain": {"job", "archive", "member", "--picture", "--source-root"},
    "export": {"job", "--what", "--out", "--limit", "--thumbnails", "--source-root"},
    "review": {"job", "corrections", "--note"},
    "decide": {"job", "--threshold", "--prevalence", "--per-face", "--note"},
    "status": {"out", "--json"},
    "merge": {"out", "--max-rejects"},
    "verify": {"out"},
    "compact": {"job", "--out"},
    "query": {"job", "sql", "--format"},
    "estimate": {"sources", "--model", "--workers", "--json"},
    "cluster check": {"spec", "sources", "--out", "--dry-run", "--insecure"},
}
EVALUATION = {
    *(
        "images",
        "rejected",
        "ignored",
        "unlabelled",
        "complete",
        "score",
        "threshold",
        "tp",
        "fp",
        "fn",
        "tn",
    ),
    *("precision", "recall", "f1", "f1_normal", "f1_best", "threshold_best", "auroc", "average_precision"),
    *("f1_unseen", "per_face", "intervals", "comparison"),
}
LOTS = {"lots", "corrected"}
BESIDES = {
    *("missing", "prevalence", "independent_parts", "seen", "unseen", "duplicates"),
    *("face_confusion", "wrong_face", "expected", "review", "decision"),
}
"""What it takes to read an F1, and what it means in service."""


def flat(group, before=""):
    """Every command by its whole name, such as ``cluster check``."""
    for name, listed in group.commands.items():
        if hasattr(listed, "commands"):
            yield from flat(listed, f"{before}{name} ")
        else:
            yield f"{before}{name}", listed


COMMANDS = dict(flat(typer.main.get_command(app)))


class Ran:
    """How a command ended, and what it wrote."""

    def __init__(self, code, out, err):
        self.code, self.out, self.err = code, out, err

    @property
    def refusal(self):
        """The only line of a refusal."""
        assert self.code == 2, (self.code, self.out, self.err)
        assert self.out == ""
        (line,) = self.err.splitlines()
        assert line.startswith("dice-inspect: ")
        assert "Traceback" not in line
        return line.removeprefix("dice-inspect: ")


@pytest.fixture
def command(capsys):
    def run(*arguments):
        with pytest.raises(SystemExit) as ended:
            main([str(argument) for argument in arguments])
        written = capsys.readouterr()
        return Ran(int(ended.value.code or 0), written.out, written.err)

    return run


@pytest.fixture
def score(command, dice_model):
    """Score in this process, where the command line would start workers."""
    return lambda *arguments: command("score", *arguments, "--cluster", "serial", "--model", dice_model)


@pytest.fixture(scope="module")
def lot(tmp_path_factory):
    return samples.write_tar(
        tmp_path_factory.mktemp("lot") / "lot.tar", [*dice.bad(4, seed=7), *dice.good(12, seed=7)]
    )


@pytest.fixture(scope="module")
def job(lot, dice_model, tmp_path_factory):
    out = tmp_path_factory.mktemp("job") / "out"
    with pytest.raises(SystemExit) as ended:
        main(["score", lot, "--model", dice_model, "--out", str(out), "--cluster", "serial"])
    assert not ended.value.code
    return out


# The contract


def test_the_commands_are_those_of_the_contract():
    assert set(COMMANDS) == set(CONTRACT)


@pytest.mark.parametrize("name", CONTRACT)
def test_the_options_are_those_of_the_contract(name):
    options = {
        parameter.opts[-1] if parameter.opts[-1].startswith("--") else parameter.name
        for parameter in COMMANDS[name].params
        if parameter.name != "help"
    }
    assert options == CONTRACT[name]


@pytest.mark.parametrize("name", CONTRACT)
def test_every_command_and_option_has_its_help(command, name):
    assert COMMANDS[name].help
    assert all(parameter.help for parameter in COMMANDS[name].params)
    shown = command(*name.split(), "--help")
    assert shown.code == 0
    assert all(option in shown.out for option in CONTRACT[name] if option.startswith("--"))


@pytest.mark.parametrize("name", CONTRACT)
def test_every_command_and_option_is_in_the_readme_or_its_own_help(command, name):
    told = f"{README}\n{command(*name.split(), '--help').out}"
    assert f"dice-inspect {name}" in told
    assert not [option for option in CONTRACT[name] if option.startswith("--") and option not in told]


@pytest.mark.parametrize("option", ["--debug", "--version", "--install-completion", "--show-completion"])
def test_what_goes_before_a_command_is_in_help_and_readme(command, option):
    assert option in command("--help").out
    assert f"`{option}" in README or f"dice-inspect {option}" in README


def test_the_traceback_is_shown_where_it_is_asked_for(command, tmp_path):
    assert command("verify", tmp_path).refusal
    told = command("--debug", "verify", tmp_path)
    assert told.code == 2
    assert told.err.startswith("Traceback")
    assert told.err.splitlines()[-1] == f"dice-inspect: {command('verify', tmp_path).refusal}"


def test_a_fault_of_the_program_is_one_line_that_says_where(command, monkeypatch, tmp_path):
    def broken(_place):
        raise KeyError("what")

    monkeypatch.setattr("jobs.commands_job.run_verify", broken)
    told = command("verify", tmp_path)
    assert told.code == 1
    (line,) = told.err.splitlines()
    assert line.startswith("dice-inspect: a fault of the program: KeyError: 'what' (")
    assert "test_main.py, line " in line
    assert command("--debug", "verify", tmp_path).err.startswith("Traceback")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_shells_complete_the_commands(command, monkeypatch, shell):
    # Found, not named: a test may run below any shell, or none.
    monkeypatch.setattr("shellingham.detect_shell", lambda *_: (shell, f"/bin/{shell}"))
    assert f"complete_{shell}" in command("--show-completion").out
    monkeypatch.setenv("_DICE_INSPECT_COMPLETE", f"complete_{shell}")
    for name, value in {"COMP_WORDS": "dice-inspect re", "COMP_CWORD": "1"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("_TYPER_COMPLETE_ARGS", "dice-inspect re")
    monkeypatch.setenv("_TYPER_COMPLETE_FISH_ACTION", "get-args")
    told = command().out
    assert "report" in told
    assert "review" in told


def test_without_a_command_the_help_is_shown_and_the_version_where_asked_for(command):
    assert (command().code, command().out) == (0, command("--help").out)
    assert command("--version").out == f"dice-inspect {version('dice-inspect')}\n"


def test_the_help_lists_every_command(command):
    shown = command("--help")
    assert shown.code == 0
    assert all(name.split()[0] in shown.out for name in CONTRACT)


# From archives to figures


def test_synth_says_where_the_truth_is(command, tmp_path):
    out = tmp_path / "dice.tar"
    ran = command("synth", out, "--images", 3, "--seed", 1, "--defects", 1)
    assert ran.code == 0
    assert f"the truth about them: {tmp_path}/dice.truth.parquet" in ran.err
    with tarfile.open(out) as archive:
        assert all(name.startswith("ano/") for name in archive.getnames())


def test_fit_says_what_it_takes_and_tells_of_every_face(command, tmp_path):
    source = samples.write_tar(tmp_path / "dice.tar", [*dice.bad(3), *dice.good(6)])
    ran = command("fit", source, "--model", tmp_path / "m.npz")
    assert ran.code == 0
    assert ran.err.splitlines()[:2] == [
        "taken as good: 00 (6), 04 (6), 07 (6)",
        "taken as defective: ano (3)",
    ]
    rows = [line.split() for line in ran.out.splitlines() if line.strip()]
    assert " ".join(rows[0]) == (
        "face images parts prevalence variation templates errors precision recall F1"
    )
    assert {"all", *dice.THREE} <= {row[0] for row in rows}
    assert f"model: {tmp_path}/m.npz" in ran.out


def test_score_tells_how_it_ended(score, lot, tmp_path):
    first = score(lot, "--out", tmp_path / "out")
    assert first.code == 0
    assert "40 images in 1 source:" in first.out
    assert "images/s" in first.out
    assert "\nF1 " in first.out
    assert f"rows, model and summary: {tmp_path}/out" in first.out
    again = score(lot, "--out", tmp_path / "out")
    assert again.code == 0
    assert "nothing new to score" in again.out


def refuse_constant(word):
    raise AssertionError(f"{word} is no JSON")


def test_evaluate_prints_one_object_with_the_keys_of_the_contract(command, job):
    def listing():
        return {path.name: (path.stat().st_size, path.stat().st_mtime_ns) for path in job.iterdir()}

    before = listing()
    ran = command("evaluate", job, "--json")
    told = json.loads(ran.out, parse_constant=refuse_constant)
    assert (ran.code, ran.err) == (0, "")
    assert set(told) == EVALUATION | BESIDES | LOTS
    assert list(told["comparison"]) == list(SCORE_DIRECTIONS)
    alike = {
        *("threshold", "tp", "fp", "fn", "tn", "precision", "recall", "f1", "f1_normal"),
        *("f1_best", "threshold_best", "auroc", "average_precision"),
    }
    for column, values in told["comparison"].items():
        assert set(values) == alike, column
    assert {name: told[name] for name in alike} == told["comparison"]["defect_score"]
    assert listing() == before


def test_evaluate_is_strict_json_where_nothing_is_labelled(command, score, tmp_path):
    lot = samples.write_tar(tmp_path / "lot.tar", [(f"x/{name[3:]}", data) for name, data in dice.good(1)])
    score(lot, "--out", tmp_path / "out")
    told = json.loads(command("evaluate", tmp_path / "out", "--json").out, parse_constant=refuse_constant)
    assert told["f1"] is None


def test_evaluate_compares_the_methods_where_none_is_named(command, job):
    assert all(column in command("evaluate", job).out for column in SCORE_DIRECTIONS)
    named = command("evaluate", job, "--score", "ssim")
    assert named.code == 0
    assert "at ssim" in named.out
    assert "defect_score" not in named.out


def test_evaluate_tells_of_lots_and_what_correcting_them_would_change(command, job):
    plain, corrected = command("evaluate", job), command("evaluate", job, "--correct-lots")
    assert "\nlots: 1, of which " in plain.out
    assert "thresholds corrected" not in plain.out
    assert "with thresholds corrected in 0 of 1 lots: F1 " in corrected.out
    refused = command("evaluate", job, "--correct-lots", "--score", "ssim")
    assert refused.code == 2
    assert refused.err.startswith("dice-inspect: --correct-lots: ")


def test_score_and_evaluate_name_a_lot_full_of_defects_though_nothing_is_labelled(command, score, tmp_path):
    listed = [(name.replace("ano", "x"), data) for name, data in dice.bad(30, seed=7)]
    lot = samples.write_tar(tmp_path / "lot.tar", listed)
    for ran in (score(lot, "--out", tmp_path / "out"), command("evaluate", tmp_path / "out")):
        assert f"LOT ALARM {lot}: more of its parts are called than can be expected" in ran.out


def test_status_tells_how_far_a_job_is(command, job):
    ran = command("status", job)
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.startswith("complete: every planned shard has its rows, last commit ")
    told = json.loads(command("status", job, "--json").out, parse_constant=refuse_constant)
    assert (told["state"], told["rows"], told["share"]) == ("complete", 40, 1.0)


def test_score_appends_its_events_to_the_log(score, lot, tmp_path):
    log = tmp_path / "events"
    assert score(lot, "--out", tmp_path / "out", "--log-json", log).code == 0
    kinds = [json.loads(line)["event"] for line in log.read_text().splitlines()]
    if "compiling" in kinds:  # as where none of what ran before did
        kinds.remove("compiling")
    assert kinds == ["planned", "started", "committed", "scored", "done"]


def test_a_log_that_breaks_off_is_told_at_the_end(score, lot, tmp_path):
    ran = score(lot, "--out", tmp_path / "out", "--log-json", "/dev/full")
    assert ran.code == 0
    assert "THE LOG OF EVENTS BREAKS OFF: [Errno 28] No space left on device" in ran.out


def test_verify_ends_with_1_where_something_does_not_agree(command, job, tmp_path):
    assert command("verify", job).out == "all parts, rows and the summary agree\n"
    for path in job.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    min(tmp_path.glob("part-*")).write_bytes(b"PAR1 and no more")
    ran = command("verify", tmp_path)
    assert ran.code == 1
    assert "bytes, listed with" in ran.out


def test_query_writes_what_is_asked_for(command, job):
    ran = command("query", job, "SELECT count(*) AS n FROM scores", "--format", "csv")
    assert (ran.code, ran.out) == (0, '"n"\n40\n')


def test_what_is_told_of_an_incomplete_job_begins_with_it(command, job, lot, tmp_path):
    for path in job.iterdir():
        if not path.name.startswith("part-"):
            (tmp_path / path.name).write_bytes(path.read_bytes())
    first = "INCOMPLETE: 1 of 1 planned shards (100.00%) are missing; the same score command goes on"
    told = [first, f"  {lot}: 1 of 1 shards, 40 of 40 rows missing"]
    assert command("evaluate", tmp_path).out.splitlines()[:2] == told
    sql = "SELECT count(*) AS n FROM scores"
    assert command("query", tmp_path, sql).out.splitlines()[:2] == told
    for form in ("csv", "json"):
        ran = command("query", tmp_path, sql, "--format", form)
        assert ran.err.splitlines() == told
        assert "INCOMPLETE" not in ran.out
    evaluation = json.loads(command("evaluate", tmp_path, "--json").out)
    assert (evaluation["complete"], evaluation["missing"]["missing_shards"]) == (False, 1)


def test_compact_writes_a_folder_that_is_read_and_not_written(command, score, job, lot, tmp_path):
    ran = command("compact", job, "--out", tmp_path / "new")
    assert (ran.code, ran.out) == (0, f"rows 40, parts 1, files 1: {tmp_path}/new\n")
    assert command("verify", tmp_path / "new").out == "all parts, rows and the summary agree\n"
    for arguments in (("evaluate", "--json"), ("query", "SELECT * FROM scores")):
        name, *others = arguments
        assert command(name, tmp_path / "new", *others).out == command(name, job, *others).out
    assert "read-only" in score(lot, "--out", tmp_path / "new").refusal
    assert command("compact", job, "--out", tmp_path / "new").out.startswith("nothing new to compact: ")


# Policies

POLICIES = [
    *("f1", "recall=1.0", "fpr=0.001", "cost=miss:50,alarm:1", "budget=200/100000"),
    *("quantile=0.999", "value=7.5"),
]


@pytest.mark.parametrize("text", POLICIES)
def test_every_policy_is_stored_by_fit_and_told_with_what_it_is_expected_to_do(command, tmp_path, text):
    source = samples.write_tar(tmp_path / "dice.tar", [*dice.bad(6), *dice.good(8)])
    model = tmp_path / "m.npz"
    asked = ["--threshold", text, "--prevalence", "0.0005"]
    ran = command("fit", source, "--model", model, *asked)
    assert ran.code == 0
    known = Bank.read(io.BytesIO(model.read_bytes()))
    assert Policy.parse(known.policy) == Policy.parse(text)
    assert known.prevalence == 0.0005
    assert known.expected.keys() == SCORE_DIRECTIONS.keys()
    assert re.search(
        r"^expected false alarms: .* per million good images, at most .* \(95 %\)", ran.out, re.MULTILINE
    )
    assert re.search(r"^at a prevalence of 0.0005: precision .*% \(.*% to .*%\)", ran.out, re.MULTILINE)
    if text == "value=7.5":
        assert known.thresholds["defect_score"] == 7.5
    rate = known.expected["defect_score"]
    assert ("EXTRAPOLATED: 24 good images in 3 runs" in ran.out) == (rate.alarms.value < 1 / 3)


@pytest.mark.parametrize("text", POLICIES)
def test_every_policy_is_a_what_if(command, job, text):
    asked = ["--threshold", text, "--prevalence", "0.0005"]
    told = json.loads(command("evaluate", job, *asked, "--json").out, parse_constant=refuse_constant)
    expected = told["expected"]
    assert expected["from"] == "rows"
    assert expected["prevalence"] == 0.0005
    low, high = expected["alarms_per_million_bounds"]
    assert low <= expected["alarms_per_million"] <= high
    assert expected["extrapolated"] == (expected["alarms_per_million"] < expected["supported_per_million"])
    assert expected["supported_per_million"] == pytest.approx(1e6 / expected["good_parts"])
    if text == "recall=1.0":
        assert (told["recall"], told["fn"]) == (1.0, 0)
    shown = command("evaluate", job, *asked).out
    assert ("EXTRAPOLATED" in shown) == expected["extrapolated"]
    assert f"at defect_score {told['threshold']:.4g}\n" in shown


def test_thresholds_of_faces_are_stored_and_a_what_if(command, tmp_path):
    listed = [*dice.bad(6), *dice.good(50, faces=("00", "04")), *dice.good(5, faces=("07",))]
    source = samples.write_tar(tmp_path / "dice.tar", listed)
    model, out = tmp_path / "m.npz", tmp_path / "out"
    ran = command("fit", source, "--model", model, "--per-face", "--threshold", "fpr=0.02")
    assert ran.code == 0
    known = Bank.read(io.BytesIO(model.read_bytes()))
    assert known.face_thresholds.keys() == {"00", "04"}
    assert "defect_score thresholds of faces: 00 " in ran.out
    assert (
        command("score", source, "--model", model, "--out", tmp_path / "out", "--cluster", "serial").code == 0
    )
    told = json.loads(command("evaluate", tmp_path / "out", "--json").out)
    limits = {face: row["threshold"] for face, row in told["per_face"].items()}
    assert list(limits.values()) == pytest.approx(known.limits("defect_score"))
    verdicts = {
        row["verdict"] == "good" or row["defect_score"] >= np.float32(limits[row["face"]])
        for row in samples.rows(out).to_pylist()
        if row["verdict"] != "unknown_part"
    }
    assert verdicts == {True}
    asked = ["--threshold", "fpr=0.1", "--per-face", "--json"]
    what_if = json.loads(command("evaluate", out, *asked).out)["per_face"]
    assert len({row["threshold"] for row in what_if.values()}) == 3


def test_the_prevalence_that_the_model_was_fitted_for_is_that_of_the_evaluation(command, tmp_path):
    source = samples.write_tar(tmp_path / "dice.tar", [*dice.bad(6), *dice.good(8)])
    model, out = tmp_path / "m.npz", tmp_path / "out"
    command("fit", source, "--model", model, "--prevalence", "0.002")
    command("score", source, "--model", model, "--out", out, "--cluster", "serial")
    told = json.loads(command("evaluate", out, "--json").out)
    assert (told["expected"]["from"], told["expected"]["prevalence"]) == ("model", 0.002)
    # All of these taught it: what they promise is what fit found cross-fitted.
    assert told["seen"] == told["images"] == 30
    assert (told["f1_unseen"], told["unseen"]["images"]) == (None, 0)
    other = json.loads(command("evaluate", out, "--prevalence", "0.5", "--json").out)
    assert other["expected"]["precision"] > told["expected"]["precision"]


# Exit codes


def test_many_rejects_end_with_3_unless_they_may_be(score, tmp_path):
    listed = [*dice.good(3, seed=7), ("00/empty.jpg", b""), ("00/text.jpg", b"some text")]
    lot = samples.write_tar(tmp_path / "lot.tar", listed)
    ran = score(lot, "--out", tmp_path / "out")
    assert ran.code == 3
    assert "rejected: 1 empty" in ran.out
    assert score(lot, "--out", tmp_path / "out", "--max-rejects", "100%").code == 0
    assert score(lot, "--out", tmp_path / "out", "--max-rejects", "1").code == 3
    assert score(lot, "--out", tmp_path / "out", "--max-rejects", "2").code == 0


def strangers(count):
    """Photographs that show no die: noise, gradients, stripes."""
    y, x = np.mgrid[: dice.SIZE, : dice.SIZE]
    for number in range(count):
        rng = np.random.default_rng(number)
        shown = [
            rng.integers(0, 256, x.shape),
            255 * x // dice.SIZE,
            128 + 127 * np.sin((x + 2 * y) / (2 + number)),
        ]
        yield f"00/stranger{number}.jpg", dice.encode_jpeg(shown[number % 3].astype(np.uint8))


def test_photographs_of_other_things_end_with_5(score, tmp_path):
    few = samples.write_tar(tmp_path / "few.tar", [*dice.good(8, seed=7), *strangers(6)])
    assert score(few, "--out", tmp_path / "few").code == 0
    many = samples.write_tar(tmp_path / "many.tar", [*dice.good(4, seed=7), *strangers(9)])
    ran = score(many, "--out", tmp_path / "many")
    assert ran.code == 5
    assert "9 of unknown kind" in ran.out


def test_members_that_are_no_image_are_a_row_each_and_the_job_goes_on(score, tmp_path):
    whole = dice.photograph("00", 7, 1)
    nested = samples.write_tar(tmp_path / "inner.tar", dice.good(1))
    members = [
        ("00/a.jpg", whole, ("ok", None)),
        ("00/b.jpg", whole[: len(whole) // 2], ("rejected", "truncated")),
        ("00/c.jpg", b"", ("rejected", "empty")),
        ("00/d.jpg", b"neither image nor archive", ("rejected", "not_an_image")),
        ("00/e.jpg", dice.photograph("00", 7, 2, None, 96), ("rejected", "wrong_size")),
        ("00/f.tar", Path(nested).read_bytes(), ("rejected", "nested_archive")),
        ("00/g.gif", b"GIF89a and more", ("rejected", "unsupported")),
        ("00/.DS_Store", b"junk", ("ignored", "archive_junk")),
        ("__MACOSX/00/._a.jpg", b"junk", ("ignored", "archive_junk")),
        ("00/Thumbs.db", b"junk", ("ignored", "archive_junk")),
        ("00/z.jpg", dice.photograph("00", 7, 3), ("ok", None)),
    ]
    lot = samples.write_tar(tmp_path / "lot.tar", [(name, data) for name, data, _ in members])
    assert score(lot, "--out", tmp_path / "out").code == 3
    rows = samples.rows(tmp_path / "out").to_pylist()
    assert [(row["member"], (row["status"], row["reason"])) for row in rows] == [
        (name, told) for name, _, told in members
    ]
    for row in rows:
        assert (row["defect_score"] is None) == (row["verdict"] is None) == (row["status"] != "ok")


def test_a_growing_job_on_the_command_line(command, score, tmp_path):
    (tmp_path / "in").mkdir()
    lot = samples.write_tar(tmp_path / "in" / "lot.tar", dice.good(4, seed=7))
    more = ("--out", tmp_path / "out", "--source-root", f"{tmp_path}/in=line3")
    early = score(lot, *more, "--settle", "1h")
    assert early.code == 0
    assert f"one source; a later run scores them\nleft alone: {lot}\n" in early.out
    assert score(lot, *more).code == 0
    samples.write_tar(lot, dice.good(3, seed=8))
    assert "line3/lot.tar: changed since the rows" in score(lot, *more).refusal
    assert score(lot, *more, "--replace-changed").code == 0
    counted = command(
        "query", tmp_path / "out", "SELECT archive, count(*) n FROM scores GROUP BY 1", "--format", "json"
    )
    assert json.loads(counted.out) == [{"archive": "line3/lot.tar", "n": 9}]


# Refusals


@pytest.fixture
def there(tmp_path, lot, dice_model, job, monkeypatch):
    """The names that the refused commands below are told with."""
    (tmp_path / "text.npz").write_text("my notes")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "notes.txt").touch()
    (tmp_path / "empty").mkdir()
    known = Bank.read(io.BytesIO(Path(dice_model).read_bytes()))
    with monkeypatch.context() as patch, (tmp_path / "old.npz").open("wb") as stream:
        patch.setattr(bank, "VERSION", 99)
        known.write(stream)
    dice.teach(tmp_path / "empty", dice.good(2))
    return {"tmp": tmp_path, "lot": lot, "model": dice_model, "job": job}


SCORE = "score {lot} --cluster serial --model {model} --out {tmp}/out"


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("nonsense", ["nonsense", "--help"]),
        ("--nonsense", ["--nonsense", "--help"]),
        ("score --nonsense", ["--nonsense", "score --help"]),
        ("score", ["SOURCE", "score --help"]),
        ("score {lot} --model {model}", ["--out", "score --help"]),
        ("fit {lot}", ["--model", "fit --help"]),
        ("fit --model {tmp}/m.npz", ["no source", "name archives"]),
        ("fit --size many --model {tmp}/m.npz", ["--size", "integer"]),
        ("query {job}", ["SELECT"]),
        # Sources
        (
            "score {tmp}/none.tar --model {model} --out {tmp}/out",
            ["none.tar: no such file", "name an archive"],
        ),
        ("fit {tmp}/none.tar --model {tmp}/m.npz", ["none.tar: no such file", "name an archive"]),
        ("score {tmp}/none*.tar --model {model} --out {tmp}/out", ["none*.tar: matches nothing", "name an"]),
        ("fit {tmp}/none*.tar --model {tmp}/m.npz", ["none*.tar: matches nothing", "name an"]),
        ("score {tmp}/text.npz --model {model} --out {tmp}/out", ["text.npz: neither tar", "name archives"]),
        ("fit {tmp}/text.npz --model {tmp}/m.npz", ["text.npz: neither tar", "name archives"]),
        ("score https://host/a.tar --model {model} --out {tmp}/out", ["https://", "name a local"]),
        # Limits
        ("score {lot} --model {model} --out {tmp}/out --max-pixels 0", ["--max-pixels 0", "from 1 up"]),
        ("score {lot} --model {model} --out {tmp}/out --on-size stretch", ["--on-size", "'resize'"]),
        ("fit {lot} --model {tmp}/m.npz --max-expansion -1", ["--max-expansion -1", "from 1 up"]),
        # Models
        ("score {lot} --model {tmp}/none.npz --out {tmp}/out", ["none.npz: No such file", "that fit wrote"]),
        ("score {lot} --model {tmp} --out {tmp}/out", ["Is a directory", "that fit wrote"]),
        (
            "score {lot} --model {tmp}/text.npz --out {tmp}/out",
            ["text.npz: no template bank", "that fit wrote"],
        ),
        ("score {lot} --model {lot} --out {tmp}/out", ["lot.tar: no template bank", "that fit wrote"]),
        ("score {lot} --model {tmp}/old.npz --out {tmp}/out", ["old.npz", "version 99", "that fit wrote"]),
        # Folders
        ("score {lot} --model {model} --out {tmp}/full", ["full: not empty and not a job", "--out"]),
        ("score {lot} --model {model} --out {lot}", ["lot.tar: is a file", "--out"]),
        ("score {lot} --model {tmp}/empty/model.npz --out {job}", ["model was", "--out", "--overwrite"]),
        ("score {job} --model {model} --out {tmp}/out", ["a job folder is no source"]),
        ("fit {lot} --model {tmp}/none/m.npz", ["none/m.npz: its folder does not exist", "make it"]),
        ("fit {lot} --model {tmp}", ["is a folder", "name a file"]),
        ("fit {lot} --model {tmp}/text.npz", ["text.npz: exists and is no model", "name another"]),
        ("synth {tmp}/none/dice.tar", ["none/dice.tar: its folder does not exist", "make it"]),
        ("synth {tmp}/dice.zip", ["dice.zip: synth writes a tar"]),
        ("demo --out {lot}", ["lot.tar", "--out"]),
        (SCORE + " --log-json {tmp}/none/log", ["none/log: No such file", "name a file"]),
        (SCORE + " --log-json {tmp}/out/log", ["out/log: is or lies in {tmp}/out", "name another"]),
        (SCORE + " --log-json {lot}", ["lot.tar: is or lies in", "name another"]),
        (SCORE + " --log-json {tmp}/text.npz", ["text.npz: exists and is no log", "name another"]),
        # Values
        (SCORE + " --max-rejects some", ["--max-rejects some", "1%"]),
        (SCORE + " --max-rejects 101%", ["--max-rejects 101%", "1%"]),
        (SCORE + " --max-rejects -1", ["--max-rejects -1", "1%"]),
        (SCORE + " --workers 0", ["--workers 0", "from 1 up"]),
        (SCORE + " --settle soon", ["--settle soon", "such as 90s, 10m or 1h"]),
        (SCORE + " --source-root {tmp}", ["--source-root", "give PREFIX=NAME"]),
        (SCORE + " --source-root {tmp}=line3", ["--source-root /", ": no source lies there"]),
        ("score {lot} --model {model} --out {tmp}/out --cluster moon", ["--cluster moon", "tcp://"]),
        ("fit {lot} --model {tmp}/m.npz --threshold best", ["--threshold 'best'", "recall=R"]),
        ("fit {lot} --model {tmp}/m.npz --threshold recall=2", ["--threshold 'recall=2'", "between 0 and 1"]),
        (
            "fit {lot} --model {tmp}/m.npz --threshold cost=miss:50,alarm:1",
            ["--threshold cost=miss:50,alarm:1", "give --prevalence"],
        ),
        ("fit {lot} --model {tmp}/m.npz --threshold fpr=0", ["--threshold 'fpr=0'", "allow a small share"]),
        ("fit {lot} --model {tmp}/m.npz --prevalence 5", ["--prevalence 5", "between 0 and 1"]),
        (
            "evaluate {job} --threshold cost=miss:50,alarm:1",
            ["--threshold cost=miss:50,alarm:1", "give --prevalence"],
        ),
        ("evaluate {job} --threshold budget=9/5", ["--threshold 'budget=9/5'", "fewer than the images"]),
        ("evaluate {job} --prevalence 0", ["--prevalence 0", "between 0 and 1"]),
        ("evaluate {job} --per-face", ["--per-face", "give --threshold too"]),
        ("fit {lot} --model {tmp}/m.npz --size 7", ["--size 7", "from 32"]),
        ("fit {lot} --model {tmp}/m.npz --size 512", ["--size 512", "only 64 pixels"]),
        ("synth {tmp}/dice.tar --images 0", ["--images 0", "from 1 up"]),
        ("synth {tmp}/dice.tar --defects 1.5", ["--defects 1.5", "0 to 1"]),
        ("demo --out {tmp}/demo --images 0", ["--images 0", "from 1 up"]),
        # Rows
        ("evaluate {tmp}", ["not a job folder", "--out"]),
        ("evaluate {tmp}/none", ["none: not a job folder", "--out"]),
        ("status {tmp}", ["not a job folder", "score wrote"]),
        ("verify {tmp}", ["not a job folder", "score wrote"]),
        ("query {tmp} SELECT", ["not a job folder", "--out"]),
        ("evaluate {job} --score size", ["--score size", "defect_score"]),
        ("evaluate {job} --threshold best", ["--threshold 'best'", "recall=R"]),
        ("report {tmp}/none --out {tmp}/r.html", ["none: not a job folder", "--out"]),
        ("report {job}", ["--out", "report --help"]),
        ("report {job} --out {job}/r.html", ["in the job folder", "name a file outside"]),
        ("report {job} --out {tmp}/none/r.html", ["its folder does not exist", "make it"]),
        ("report {job} --out {lot}", ["lot.tar: exists and is no report", "name another"]),
        ("evaluate {job} --decided --score ncc", ["--decided", "leave out"]),
        ("explain {tmp} lot.tar 3", ["not a job folder", "--out"]),
        ("explain {job} lot.tar none.jpg", ["lot.tar none.jpg: no such row", "query lists"]),
        ("explain {job} lot.tar 3 --picture {tmp}/none/a.png", ["--picture", "name a file"]),
        ("export {job} --what everything --out {tmp}/a.csv", ["--what", "anomalies"]),
        ("export {job} --what nearest --out {lot}", ["lot.tar: exists", "name another"]),
        ("export {job} --what nearest --out {tmp}/none/a.csv", ["none/a.csv: No such file", "name a place"]),
        ("export {job} --what nearest --out {tmp}/a.csv --limit 0", ["--limit 0", "from 1 up"]),
        ("export {job} --what nearest --out {job}/a.csv", ["in the job folder", "name a place outside"]),
        ("review {job} {tmp}/none.csv", ["none.csv: No such file", "name the CSV"]),
        ("review {job} {tmp}/text.npz", ["text.npz: has the columns my notes", "give content_hash and"]),
        ("review {job} {lot}", ["lot.tar: not UTF-8", "save it as CSV"]),
        ("decide {job} --threshold best", ["--threshold 'best'", "recall=R"]),
        ("decide {tmp} --threshold f1", ["not a job folder", "--out"]),
        ("compact {tmp} --out {tmp}/new", ["not a job folder", "--out"]),
        ("compact {job}", ["--out", "compact --help"]),
        ("compact {job} --out {job}/new", ["new: one folder lies in the other", "name one outside"]),
        ("query {job} DROP+VIEW+scores", ["one SELECT"]),
        ("query {job} SELECT+1;SELECT+2", ["one SELECT"]),
        ("query {job} SELECT+nothing+FROM+scores", ["nothing"]),
        ("query {job} SELECT+1+FROM+rows", ["rows does not exist", "scores, verdicts, parts"]),
        ("query {tmp}/none* SELECT+1", ["no job folder", "--out"]),
        ("query {job} SELECT+1 --format xml", ["--format", "table"]),
    ],
)
def test_a_refusal_is_one_line_that_names_the_thing_and_the_way_out(command, there, line, told):
    before = samples.names(there["tmp"]), samples.names(there["job"])
    refusal = command(*(word.format(**there).replace("+", " ") for word in line.split())).refusal
    for words in told:
        assert words.format(**there) in refusal
    assert (samples.names(there["tmp"]), samples.names(there["job"])) == before


@pytest.mark.parametrize("label", ["bad", "nok", "NG", "Defect", "scratch", "deep_scratches", "broken"])
def test_an_undeclared_label_that_reads_as_defective_is_refused(command, tmp_path, label):
    source = samples.write_tar(tmp_path / "dice.tar", [*dice.good(3), *dice.bad(3, folder=label)])
    refusal = command("fit", source, "--model", tmp_path / "m.npz").refusal
    assert f"the label {label!r} reads as defective" in refusal
    assert f"add --anomaly-label {label}" in refusal
    assert not (tmp_path / "m.npz").exists()
    # The way out is one.
    assert command("fit", source, "--anomaly-label", label, "--model", tmp_path / "m.npz").code == 0


def test_names_in_archives_reach_no_terminal_raw(command, tmp_path):
    listed = [(f"[red]\x1b[31m{name}", data) for name, data in dice.good(2, faces=("00",))]
    ran = command("fit", samples.write_tar(tmp_path / "dice.tar", listed), "--model", tmp_path / "m.npz")
    assert ran.code == 0
    assert r"taken as good: [red]\x1b[31m00 (2)" in ran.err
    assert r"[red]\x1b[31m00" in ran.out
    assert "\x1b" not in ran.out + ran.err
    bad = samples.write_tar(tmp_path / "bad.tar", [("bad\x1b[31m/a.jpg", dice.photograph("00", 0, 1))])
    refusal = command("fit", bad, "--model", tmp_path / "n.npz").refusal
    assert "\x1b" not in refusal


# The program


def test_images_lists_and_globs_through_folders_are_sources(score, tmp_path):
    kept, other = dice.good(1)[0][1], dice.bad(1)[0][1]
    photographs = [("a/b/00/1.jpg", kept), ("a/04/2.jpg", other), ("a/07/3.png", b"")]
    samples.write_folder(tmp_path, photographs)
    (tmp_path / "list").write_text(f"{tmp_path}/a/b/00/1.jpg\n{tmp_path}/a/04/*\n")
    score(f"@{tmp_path}/list", "--out", tmp_path / "out")
    score(f"{tmp_path}/a/**/*.*g", "--out", tmp_path / "out", "--max-rejects", "1")
    rows = samples.rows(tmp_path / "out").to_pylist()
    told = [(row["archive"], row["index"], row["member"], row["folder"], row["reason"]) for row in rows]
    assert told == [
        (f"{tmp_path}/a/04/2.jpg", 0, "04/2.jpg", "04", None),
        (f"{tmp_path}/a/07/3.png", 0, "07/3.png", "07", "empty"),
        (f"{tmp_path}/a/b/00/1.jpg", 0, "00/1.jpg", "00", None),
    ]
    assert [row["label"] for row in rows] == ["04", "07", "00"]
    assert f"@{tmp_path}/none: No such file" in score(f"@{tmp_path}/none", "--out", tmp_path / "o").refusal


def relabelled(tmp_path, name, listed):
    """An archive without folders, and the lines of a table that say what its photographs show."""
    flat = [(f"{number:03d}.jpg", data) for number, (_, data) in enumerate(listed)]
    archive = samples.write_tar(tmp_path / name, flat)
    lines = [f"{name},{at:03d}.jpg,{label.split('/')[0]}" for at, (label, _) in enumerate(listed)]
    return archive, lines


def test_labels_of_a_table_are_as_good_as_folders_and_what_they_miss_is_told(command, score, tmp_path):
    head, table = "archive,member,label", tmp_path / "taught.csv"
    taught, lines = relabelled(tmp_path, "taught.tar", [*dice.bad(10), *dice.good(30)])
    table.write_text("\n".join([head, *lines[1:], "taught.tar,none.jpg,ano", "x,y,ano"]))
    fitted = command("fit", taught, "--labels", table, "--model", tmp_path / "m.npz")
    assert "left out: 1 without a line in the table of labels" in fitted.err
    assert "NO IMAGE for 2 lines of that table, first line 101: taught.tar none.jpg" in fitted.err
    asked = [*dice.bad(4, seed=7), *dice.good(12, seed=7)]
    lot, lines = relabelled(tmp_path, "lot.tar", asked)
    table = tmp_path / "lot.csv"
    table.write_text("\n".join([head, *lines[:-1], "x,y,ano", "x,z,nonsense"]))
    more = ("--labels", table, "--out", tmp_path / "out")
    told = score(lot, *more)
    labels = [name.split("/")[0] for name, _ in asked]
    assert samples.rows(tmp_path / "out")["label"].to_pylist() == [*labels[:-1], None]
    matched = len(asked) - 1
    assert f"labels: {matched} of {matched + 2} lines name an image that is there" in told.out
    assert f"NO IMAGE for 2 lines, first line {matched + 2}: x y" in told.out
    assert "label that the model does not know: nonsense (1)" in told.out
    summary = json.loads((tmp_path / "out" / "_summary.json").read_text())
    assert (summary["labels"]["unmatched"], summary["unlabelled"]) == (2, 1)
    assert command("verify", tmp_path / "out").code == 0
    assert "nothing new to score" in score(lot, *more).out
    table.write_text(f"{head}\nlot.tar,000.jpg,00\n")
    assert "labels was" in score(lot, *more).refusal
    table.write_text(f"{head}\nlot.tar,000.jpg,fine\n")
    assert "the model knows none of its labels, fine: it knows 00, 04, 07" in score(lot, *more).refusal
    refused = command("fit", "--good", taught, "--labels", table, "--model", tmp_path / "m.npz").refusal
    assert "--labels: labels images of plain sources" in refused


def test_the_program_refuses_as_the_function_does():
    process = samples.start(["-m", "jobs", "evaluate", "none"])
    out, err = process.communicate(timeout=60)
    assert process.returncode == 2
    assert Ran(process.returncode, out, err).refusal.startswith("none: not a job folder")


def test_a_source_whose_name_is_no_text_is_refused_in_one_line():
    process = samples.start(
        ["-m", "jobs", "score", os.fsdecode(b"/none\xff.tar"), "--model", "m", "--out", "o"]
    )
    out, err = process.communicate(timeout=60)
    assert Ran(process.returncode, out, err).refusal


def test_a_job_that_storage_lets_not_end_is_one_line_and_exit_code_4(monkeypatch, capsys):
    def unfinished(*_, **__):
        raise UnfinishedError("out/_parts.parquet: No space left on device: the same command goes on")

    monkeypatch.setattr(commands_job, "run_score", unfinished)
    with pytest.raises(SystemExit) as ended:
        main(["score", "a.tar", "--model", "m.npz", "--out", "out"])
    assert ended.value.code == 4
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("dice-inspect: out/_parts.parquet: No space left on device")
