"""Standard output and standard error, whose reader may leave before the work is done."""

import io
import os
import sys
from typing import Any, TextIO


class _Lasting(io.FileIO):
    """A file that takes whatever is written to it, also where nobody reads it any more."""

    def write(self, data: Any, /) -> int:
        try:
            return super().write(data)
        except BrokenPipeError:
            with open(os.devnull, "wb") as nowhere:  # noqa: PTH123 - a device
                os.dup2(nowhere.fileno(), self.fileno())
            return memoryview(data).nbytes


def outlast_readers() -> None:
    """Let no command end because of a reader that has enough, so that its exit code is its own.

    Left to itself, the command line would end with 1 at the first line that nobody reads, and a job with it.
    """
    sys.stdout = _lasting(sys.stdout)
    sys.stderr = _lasting(sys.stderr)


def _lasting(stream: TextIO) -> TextIO:
    # What a test or another program put there is not ours, and without a terminal there may be none.
    if stream not in (sys.__stdout__, sys.__stderr__) or not isinstance(stream, io.TextIOWrapper):
        return stream
    stream.flush()
    return io.TextIOWrapper(
        io.BufferedWriter(_Lasting(stream.fileno(), "w", closefd=False)),
        stream.encoding,
        stream.errors,
        line_buffering=stream.line_buffering,
        write_through=stream.write_through,
    )
