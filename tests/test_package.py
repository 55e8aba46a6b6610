"""What is tested is what is installed, and the README speaks of what there is."""

import os
import re
import subprocess
import sys
from dataclasses import fields
from importlib import metadata
from pathlib import Path
from typing import get_args

import pytest
import typer.main

import dice_core
import jobs
from dice_core.rows import SCHEMA, Reason, Verdict
from jobs import events
from jobs.__main__ import app
from jobs.errors import ExitCode
from jobs.status import State, Status

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
COMMAND_TABLE = README.partition("## Commands")[2].partition("\n## ")[0]
COMMANDS = typer.main.get_command(app).commands


def test_the_installed_package_is_the_tested_one():
    installed = os.environ.get("DICE_INSPECT_INSTALLED")
    if installed is None:
        pytest.skip("DICE_INSPECT_INSTALLED names no environment: testing whatever is imported")
    for package in (dice_core, jobs):
        assert Path(package.__file__).is_relative_to(installed)
    assert metadata.version("dice-inspect")


def test_top_level_holds_the_agreed_names_only():
    listed = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False
    ).stdout.split()
    if not listed:
        pytest.skip("not a git checkout")
    visible = {name.split("/")[0] for name in listed if not name.startswith(".")}
    agreed = {"pyproject.toml", "jobs", "dice_core", "deploy", "tests", "README.md", "LICENSE"}
    assert visible <= agreed


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_command_and_option_is_in_the_readme(name):
    (row,) = re.findall(rf"^\| `({name}[ `][^\n]*)", COMMAND_TABLE, re.MULTILINE)
    for parameter in COMMANDS[name].params:
        if parameter.param_type_name == "option" and parameter.name != "help":
            assert parameter.opts[0] in row, f"{name} {parameter.opts[0]} is not in the README"


def test_every_column_reason_verdict_and_exit_code_is_in_the_readme():
    words = [*SCHEMA.names, *(reason.value for reason in Reason), *(verdict.value for verdict in Verdict)]
    assert [word for word in words if f"`{word}`" not in README] == []
    assert [code for code in ExitCode if f"| {code.value} |" not in README] == []


def test_every_file_the_readme_names_is_there():
    named = set(re.findall(r"`((?:jobs|dice_core|tests|deploy|\.ci)/[\w./]*)`", README))
    assert named
    assert [name for name in named if not (ROOT / name).exists()] == []


def test_the_two_commands_are_in_the_readme():
    blocks = re.findall(r"```sh\n(.*?)\n```", README, re.DOTALL)
    assert blocks[0] == (
        "python3 -m venv .venv && .venv/bin/pip install --quiet '.[test]' && .venv/bin/dice-inspect demo"
    )
    assert blocks[-1] == ".venv/bin/pytest"


def test_the_demo_prints_what_the_readme_shows(tmp_path):
    """The figures may differ in their last digits from processor to processor; the words may not."""
    command = [sys.executable, "-P", "-m", "jobs", "demo", "--out", str(tmp_path / "dice-demo")]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=280, cwd=tmp_path)
    (shown,) = re.findall(r"```text\n(.*?)\n```", README, re.DOTALL)

    def words(text):
        text = text.replace(str(tmp_path) + "/", "")
        return [
            re.sub(r"[\d.,]+", "#", " ".join(line.split())) for line in text.splitlines() if line.strip(" ─")
        ]

    assert words(done.stdout) == words(shown)
    found, expected = (
        float(re.search(r"^F1 ([\d.]+)", text, re.MULTILINE)[1]) for text in (done.stdout, shown)
    )
    assert found == pytest.approx(expected, abs=0.01)


def test_every_event_and_every_figure_of_a_status_is_in_the_readme():
    kinds = get_args(events.Event)
    words = [
        *(events.name(kind.__new__(kind)) for kind in kinds),
        *(field.name for kind in kinds for field in fields(kind)),
        *(field.name for field in fields(Status)),
        *(state.value for state in State),
    ]
    assert [word for word in words if f"`{word}`" not in README] == []
