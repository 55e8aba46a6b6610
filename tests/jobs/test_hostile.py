"""Names that others gave members, folders and archives are text in whatever any command writes."""

import csv
import io
import json
import re

import dice
import pyarrow.parquet as pq
import pytest
import samples

from jobs.__main__ import main

NAMES = (
    "00/<script>alert(1)</script>.png",
    '00/"onerror=alert(1) x="',
    "=cmd()",
    "@SUM(1)",
    "00/\u202egnp.exe",
    "00/\x1b[2J\x1b]0;title\x07\x9b31m.jpg",
    "\x1b[31m/a\nb.jpg",
    "00/[red]{braces}%s.jpg",
)
LOT = "<b>=lot\u202e\x1b[1m.tar"


def is_text(written):
    return all(letter.isprintable() or letter == "\n" for letter in written)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("hostile")
    hostile = [(name, dice.photograph("00", 7, at)) for at, name in enumerate(NAMES)]
    rejected = [(f"00/=\x1b[5m{at}\u202e", b"no image") for at in range(2)]
    samples.write_tar(folder / LOT, [*dice.bad(2, seed=8, folder="\x1b[7m"), *hostile, *rejected])
    return folder


@pytest.fixture
def run(capsys):
    """Run a command; give what it wrote on both streams."""

    def run(*arguments):
        with pytest.raises(SystemExit) as ended:
            main([str(argument) for argument in arguments])
        written = capsys.readouterr()
        assert not str(written.err).count("Traceback"), written.err
        assert is_text(written.out), arguments
        assert is_text(written.err), arguments
        assert int(ended.value.code or 0) in {0, 2, 3, 5}, (arguments, written.err)
        return written

    return run


@pytest.fixture
def out(run, folder, dice_model):
    """Score once, and check what that writes and logs."""
    place = folder / "out"
    if not place.exists():
        source = folder / LOT
        log = folder / "log.jsonl"
        run("score", source, "--model", dice_model, "--out", place, "--cluster", "serial", "--log-json", log)
        assert is_text(log.read_text())
        assert all(json.loads(line) for line in log.read_text().splitlines())
    return place


@pytest.mark.parametrize(
    "command",
    [
        ("evaluate", "OUT"),
        ("status", "OUT"),
        ("verify", "OUT"),
        ("explain", "OUT", LOT, NAMES[5]),
        ("explain", "OUT", LOT, "\x1b[2Jnone"),
        ("explain", "OUT", "\x1b[2Jnone", "0"),
        ("decide", "OUT", "--threshold", "value=3", "--note", "\x1b[2J=note"),
        ("decide", "OUT", "--threshold", "\x1b[2J"),
        ("query", "OUT", "SELECT archive, member, lot, folder FROM scores"),
        ("query", "OUT", "SELECT * FROM verdicts"),
        ("query", "OUT", "SELECT \x1b[2J"),
        ("query", "\x1b[2J*", "SELECT 1"),
        ("fit", "\x1b[2Jnone.tar", "--model", "m.npz"),
        ("\x1b[2J",),
    ],
)
def test_no_command_steers_the_terminal(run, out, command):
    run(*(str(out) if part == "OUT" else part for part in command))


@pytest.mark.parametrize("command", ["evaluate", "status"])
def test_json_of_a_command_is_json(run, out, command):
    assert json.loads(run(command, out, "--json").out)


def test_rows_have_the_names_themselves(run, out):
    told = json.loads(run("query", out, "SELECT member FROM scores", "--format", "json").out)
    held = {row["member"] for row in told}
    assert set(NAMES) <= held
    (part,) = out.glob("part-*")
    assert set(pq.read_table(part)["member"].to_pylist()) == held


def test_no_cell_of_any_csv_is_a_formula(run, out, tmp_path):
    written = [run("query", out, "SELECT * FROM scores", "--format", "csv").out]
    for what in ("anomalies", "nearest"):
        path = tmp_path / f"{what}.csv"
        run("export", out, "--what", what, "--out", path, "--thumbnails", tmp_path / what)
        written.append(path.read_text("utf-8-sig"))
    for text in written:
        lines = list(csv.reader(io.StringIO(text)))
        assert len(lines) > 1
        assert not [cell for line in lines for cell in line if cell.startswith(("=", "@", "\t", "\r"))]
        assert is_text(text.replace("\r\n", "\n"))
    assert any("'=cmd()" in text for text in written)


def test_a_review_that_conflicts_says_so_in_text(run, out, tmp_path):
    path = tmp_path / "look.csv"
    run("export", out, "--what", "nearest", "--out", path)
    lines = list(csv.DictReader(io.StringIO(path.read_text("utf-8-sig"))))
    with path.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, lines[0].keys())
        writer.writeheader()
        writer.writerows({**line, "correction": "anomaly"} for line in lines)
    assert "CONFLICT" in "".join(run("review", out, path, "--note", "\x1b[2J"))
    run("report", out, "--out", tmp_path / "r.html")
    text = (tmp_path / "r.html").read_text()
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", text)
