"""How a job ends: the exit codes that scripts rely on, and the refusal behind the second of them."""

from enum import IntEnum


class ExitCode(IntEnum):
    """What the process returns."""

    DONE = 0
    FAULT = 1
    """Of the program itself; also what verify and explain return where something does not agree."""
    REFUSED = 2
    """Wrong usage, or an input that is not taken."""
    TOO_MANY_REJECTS = 3
    SHARDS_FAILED = 4
    """Some rows are missing; the same command scores those alone."""
    UNKNOWN_PARTS = 5
    """More than a fifth of the images do not look like the model's parts."""
    DEADLINE = 75
    """The time was up, as ``EX_TEMPFAIL`` has it: the same command goes on."""
    INTERRUPTED = 130


class Refusal(Exception):  # noqa: N818 - nothing went wrong inside: the request was not taken
    """Wrong usage or an input that is refused: one line that names the thing and the way out."""


class UnfinishedError(Exception):
    """A job that could not be brought to its end: one line; the same command goes on."""


class SourceChangedError(Exception):
    """A source is no longer what was planned; its rows would mix two contents."""


class UnavailableError(OSError):
    """A store that does not answer, or not as it should: nothing is known of what was asked for."""


class StoppedError(Exception):
    """Nothing more can be scored now, whatever it is."""


class ClusterLostError(StoppedError):
    """The scheduler or every worker is gone, and with it every task that had not finished."""


class StorageDownError(StoppedError):
    """Storage fails for one shard after the other."""
