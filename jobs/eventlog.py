"""The log of events: a file of one JSON object per line, for programs that follow a job."""

import json
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import BinaryIO

from jobs import events, storage
from jobs.errors import Refusal
from jobs.events import Event
from jobs.text import in_json, utc

_HEAD = b'{"time":'
"""How every line begins."""


class EventLog:
    """Appends each event to a file, as soon as it happens.

    A disk that is full ends the log, never the job: `error` then tells why its end is missing.
    """

    def __init__(self, file: BinaryIO | None) -> None:
        self._file = file
        self.error: str | None = None

    def __call__(self, event: Event) -> None:
        """Write one line."""
        if self._file is None or self.error is not None:
            return
        line = {"time": utc(time.time()), "event": events.name(event), **events.told(event)}
        data = in_json(json.dumps(line, ensure_ascii=False, allow_nan=False)).encode() + b"\n"
        try:
            while data:  # a disk that is almost full takes the beginning alone
                data = data[self._file.write(data) :]
        except OSError as error:
            self.error = str(error)


@contextmanager
def opened(url: str | None, apart: Iterable[str]) -> Iterator[EventLog]:
    """Open a log to append to; what earlier starts wrote stays.

    Parameters
    ----------
    url
        None for no log.
    apart
        Files and folders that it may neither be nor lie in: what the job reads and writes.

    Raises
    ------
    Refusal
        Where it lies there, holds something else, or cannot be written.
    """
    if url is None:
        yield EventLog(None)
        return
    if place := storage.lies_in(url, apart):
        raise Refusal(f"--log-json {url}: is or lies in {place}, which the job uses: name another file")
    try:
        torn = storage.is_file(url) and _is_torn(url)
        file = storage.open_append(url)
    except OSError as error:
        raise Refusal(
            f"--log-json {url}: {error.strerror or error}: name a file that can be written"
        ) from error
    with file:
        if torn:
            file.write(b"\n")
        yield EventLog(file)


def _is_torn(url: str) -> bool:
    """Tell whether whoever wrote a log was killed within its last line; Refusal where it is no log."""
    with storage.open_read(url) as file:
        head = file.read(len(_HEAD))
        if not _HEAD.startswith(head):
            raise Refusal(f"--log-json {url}: exists and is no log of events: name another file")
        file.seek(-1 if head else 0, 2)
        return file.read(1) not in (b"\n", b"")
