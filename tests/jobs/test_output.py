import os
import subprocess
import sys

import pytest


def ended(*arguments, closed=("stdout",)):
    """Run the command line with nobody at the other end of its pipes; the exit code and what was said."""
    reading, writing = os.pipe()
    os.close(reading)
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **dict.fromkeys(closed, writing)}
    try:
        done = subprocess.run([sys.executable, *arguments], **pipes, text=True, check=False)
    finally:
        os.close(writing)
    return done.returncode, done.stderr or ""


def test_a_command_ends_well_and_quietly_though_nobody_reads_what_it_writes():
    assert ended("-m", "jobs", "--help") == (0, "")


@pytest.mark.parametrize("closed", [("stdout",), ("stderr",), ("stdout", "stderr")])
def test_a_command_that_nobody_reads_ends_with_its_own_code(closed):
    code = (
        "import typer; from jobs.commands import finish, say; from jobs.__main__ import app, main\n"
        "@app.command()\n"
        "def speak():\n"
        "    for number in range(20_000):\n"
        "        typer.echo(number)\n"
        "    say('told')\n"
        "    finish(3)\n"
        "main(['speak'])\n"
    )
    assert ended("-c", code, closed=closed) == (3, "told\n" if closed == ("stdout",) else "")


def test_a_refusal_that_nobody_reads_is_a_refusal():
    assert ended("-m", "jobs", "status", "gone", closed=("stdout", "stderr"))[0] == 2
