"""What the commands share: options that several take, and ways to speak and to end."""

import os
import pydoc
import shutil
import sys
from typing import Annotated

import typer

from dice_core.policy import Policy
from jobs.errors import Refusal
from jobs.reader import Limits
from jobs.text import plain

Prevalence = Annotated[
    float | None,
    typer.Option(
        metavar="SHARE",
        help="Share of defective parts in service, such as 0.0005; tells what alarms are worth.",
    ),
]
SourceRoot = Annotated[
    list[str] | None,
    typer.Option(metavar="PREFIX=NAME", help="Where archives lie now, if no longer where scored."),
]
MaxBytes = Annotated[int, typer.Option(metavar="N", help="Bytes that a member may have.")]
MaxPixels = Annotated[int, typer.Option(metavar="N", help="Pixels that an image may have, by its header.")]
MaxMembers = Annotated[int, typer.Option(metavar="N", help="Members that are read of one source.")]
MaxExpansion = Annotated[
    int, typer.Option(metavar="N", help="Bytes that may come of each compressed one, in zip and gzip.")
]
LIMITS = Limits()
Job = Annotated[str, typer.Argument(metavar="DIR", help="A job folder, as score wrote it.")]


class Finish(Exception):  # noqa: N818 - the way out, not an error
    """Ends the process with a code, past the command line's own handling."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


def finish(code: int) -> None:
    """End with an exit code, where it is not 0."""
    if code:
        raise Finish(code)


def say(line: str) -> None:
    """Write a line about the work, on standard error: standard output is for results."""
    typer.echo(plain(line), err=True)


def page(text: str) -> None:
    """Write text to standard output, on a terminal through the user's pager where it is longer than that."""
    if sys.stdout.isatty() and text.count("\n") >= shutil.get_terminal_size().lines:
        # Lines that are wider than the terminal are cut rather than broken, and moved to by the arrows.
        os.environ.setdefault("LESS", "-SX")
        pydoc.pager(text)
    else:
        typer.echo(text, nl=False)


def policy(text: str) -> Policy:
    """Read a threshold policy."""
    try:
        return Policy.parse(text)
    except ValueError as error:
        raise Refusal(f"--threshold {error}") from error
