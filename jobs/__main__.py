"""The command line: the commands, and how each of them ends."""

import os
import sys
from typing import Any, NoReturn

import typer

from jobs import commands_cluster, commands_job, commands_model, commands_review, commands_rows
from jobs.commands import Finish, say
from jobs.errors import ExitCode, Refusal, UnavailableError, UnfinishedError

PROGRAM = "dice-inspect"

COMMANDS = (
    commands_model.demo,
    commands_model.synth,
    commands_model.fit,
    commands_job.score,
    commands_job.merge,
    commands_rows.evaluate,
    commands_rows.report,
    commands_review.explain,
    commands_review.export,
    commands_review.review,
    commands_review.decide,
    commands_job.status,
    commands_job.verify,
    commands_rows.query,
    commands_job.compact,
    commands_cluster.estimate,
)
"""In the order that help lists them."""

app = typer.Typer(
    name=PROGRAM,
    help="Find the rare bad part in very large archives of photographs.",
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
for command in COMMANDS:
    app.command()(command)
app.add_typer(commands_cluster.cluster, name="cluster")

# Newer releases bring their own copy of click, whose errors are not click's; the base is found through one.
UsageError: type[Exception] = typer.BadParameter.__mro__[1]


def _told(error: Any) -> str:
    """Give the message of a refusal, and for wrong usage where the right one is told."""
    if isinstance(error, Refusal):
        return str(error)
    command = error.ctx.command_path if error.ctx else PROGRAM
    return f"{error.format_message().rstrip('.')}: {command} --help tells more"


def _code(error: BaseException) -> ExitCode:
    """Tell a refusal from what a store that is down let nobody look at."""
    down = isinstance(error, UnavailableError) or isinstance(error.__cause__, UnavailableError)
    return ExitCode.SHARDS_FAILED if down else ExitCode.REFUSED


def main(arguments: list[str] | None = None) -> NoReturn:
    """Run the command line; wrong usage and refusals are one line on standard error and exit code 2."""
    try:
        code = app(args=arguments, prog_name=PROGRAM, standalone_mode=False)
        if code == ExitCode.INTERRUPTED:  # what an interrupted command returns here rather than raises
            raise KeyboardInterrupt  # noqa: TRY301
    except (Refusal, UsageError) as error:
        say(f"{PROGRAM}: {' '.join(_told(error).split())}")
        sys.exit(_code(error))
    except UnfinishedError as error:
        say(f"{PROGRAM}: {error}")
        sys.exit(ExitCode.SHARDS_FAILED)
    except (KeyboardInterrupt, typer.Abort):
        say("interrupted")
        sys.exit(ExitCode.INTERRUPTED)
    except BrokenPipeError:
        # Whoever read the output has enough; Python would complain once more when it closes it.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(ExitCode.DONE)
    except OSError as error:
        # A disk that is full, a folder that is gone: nothing in this program mends it.
        say(f"{PROGRAM}: {error.filename or 'storage'}: {error.strerror or error}: the same command goes on")
        sys.exit(_code(error))
    except Finish as finished:
        sys.exit(finished.code)
    sys.exit(ExitCode.DONE)


if __name__ == "__main__":
    main()
