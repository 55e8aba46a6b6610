"""The command line: the commands, and how each of them ends."""

import sys
import traceback
from dataclasses import dataclass
from importlib.metadata import version
from typing import Annotated, Any, NoReturn

import typer

from jobs import commands_cluster, commands_job, commands_model, commands_review, commands_rows
from jobs.commands import Finish, say
from jobs.errors import ExitCode, Refusal, UnavailableError, UnfinishedError
from jobs.output import outlast_readers

PROGRAM = "dice-inspect"
_WAY_OUT = f"{PROGRAM} --debug, before the command, shows where it comes from"

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


@dataclass
class Debugging:
    """Whether the traceback of what went wrong is shown."""

    tells_all: bool = False

    def tell(self) -> None:
        """Show it for the exception that is handled, where it was asked for."""
        for line in traceback.format_exc().splitlines() if self.tells_all else ():
            say(line)


app = typer.Typer(
    name=PROGRAM,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
for command in COMMANDS:
    app.command()(command)
app.add_typer(commands_cluster.cluster, name="cluster")


def _tell_version(asked: bool) -> None:  # noqa: FBT001 - as typer calls it
    if asked:
        typer.echo(f"{PROGRAM} {version(PROGRAM)}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def _before(
    context: typer.Context,
    _version: Annotated[  # noqa: FBT002 - a flag
        bool, typer.Option("--version", help="Tell the version.", callback=_tell_version, is_eager=True)
    ] = False,
    debug: Annotated[  # noqa: FBT002 - a flag
        bool, typer.Option("--debug", help="Before the command: show the traceback of whatever goes wrong.")
    ] = False,
) -> None:
    """Find the rare bad part in very large archives of photographs.

    fit learns what good parts look like, score writes a row for each image, evaluate, report and query tell
    of them. demo goes the whole way on synthetic dice.
    """
    context.obj.tells_all = debug
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


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
    debugging = Debugging()
    outlast_readers()
    try:
        code = app(args=arguments, prog_name=PROGRAM, standalone_mode=False, obj=debugging)
        if code == ExitCode.INTERRUPTED:  # what an interrupted command returns here rather than raises
            raise KeyboardInterrupt  # noqa: TRY301
    except (Refusal, UsageError) as error:
        debugging.tell()
        say(f"{PROGRAM}: {' '.join(_told(error).split())}")
        sys.exit(_code(error))
    except UnfinishedError as error:
        debugging.tell()
        say(f"{PROGRAM}: {error}")
        sys.exit(ExitCode.SHARDS_FAILED)
    except (KeyboardInterrupt, typer.Abort):
        say("interrupted")
        sys.exit(ExitCode.INTERRUPTED)
    except OSError as error:
        # A disk that is full, a folder that is gone: nothing in this program mends it.
        debugging.tell()
        say(f"{PROGRAM}: {error.filename or 'storage'}: {error.strerror or error}: the same command goes on")
        sys.exit(_code(error))
    except Finish as finished:
        sys.exit(finished.code)
    except Exception as error:  # noqa: BLE001 - a fault of this program, told as one
        debugging.tell()
        at = traceback.extract_tb(error.__traceback__)[-1]
        said = " ".join(f"{type(error).__name__}: {error}".split())
        say(f"{PROGRAM}: a fault of the program: {said} ({at.filename}, line {at.lineno}): {_WAY_OUT}")
        sys.exit(ExitCode.FAULT)
    sys.exit(ExitCode.DONE)


if __name__ == "__main__":
    main()
