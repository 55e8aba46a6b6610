"""The job ``cluster check``: what one worker of a cluster is, reads and writes, before a job is sent."""

import os
import platform
import socket
from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple
from uuid import uuid4

from jobs import storage
from jobs.cluster import open_cluster
from jobs.errors import Refusal
from jobs.fitness import PACKAGES, limits, make_probe
from jobs.spec import Kind, parse


class Checked(NamedTuple):
    """What a worker told of itself."""

    worker: str
    """Its address."""
    host: str
    python: str
    versions: dict[str, str | None]
    threads: int
    memory: int
    """Bytes it may hold; 0 where nothing limits it."""
    environment: dict[str, str]
    """Of its variables, those that decide how many threads it computes with, and how it takes memory."""
    reads: list[str]
    writes: str | None


_TOLD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "PYTHONSAFEPATH", "MALLOC_TRIM_THRESHOLD_")


def check(spec: str, sources: Sequence[str], out: str | None, *, insecure: bool = False) -> list[Checked]:
    """Start one worker, or take those of a scheduler that is there, and ask what they are and reach.

    Parameters
    ----------
    sources
        Archives and folders that they have to read; none is fine.
    out
        Job folder that they have to write to, made where it is not there.

    Raises
    ------
    Refusal
        Where there is no such cluster, or a worker is not fit, or cannot read or write.
    """
    chosen = parse(spec)
    paths = storage.expand(sources) if sources else []
    ask = partial(look, paths, None if out is None else storage.absolute(out))
    if chosen.kind is Kind.SERIAL:
        return [_checked("this process", ask(), 1, 0)]
    one = None if chosen.kind is Kind.ADDRESS else 1
    with open_cluster("local" if chosen.kind is Kind.LOCAL else spec, one, insecure=insecure) as client:
        if client is None:
            raise TypeError(f"{spec} has no client")
        answers, held = client.run(ask), limits(client)
        return [_checked(worker, told, *held.get(worker, (1, 0))) for worker, told in sorted(answers.items())]


def _checked(worker: str, told: dict[str, Any], threads: int, memory: int) -> Checked:
    if told["problem"]:
        raise Refusal(f"worker {worker} on {told['host']} {told['problem']}")
    keys = ("host", "python", "versions", "environment", "reads", "writes")
    return Checked(worker=worker, threads=threads, memory=memory, **{key: told[key] for key in keys})


def look(paths: Sequence[str], out: str | None) -> dict[str, Any]:
    """Tell what this process is, and try to read and write; run where the worker is."""
    told: dict[str, Any] = {
        "host": socket.gethostname(),
        "python": platform.python_version(),
        "versions": make_probe(PACKAGES, ())()["versions"],
        "environment": {name: os.environ[name] for name in _TOLD if name in os.environ},
        "reads": list(paths),
        "writes": out,
        "problem": None,
    }
    path = ""
    try:
        for path in paths:
            if storage.is_folder(path):
                storage.list_names(path)
            else:
                with storage.open_read(path) as stream:
                    stream.read(1)
    except OSError as error:
        told["problem"] = f"cannot read {path}: {error.strerror or error}"
        return told
    try:
        if out is not None:
            storage.make_folder(out)
            trial = storage.join(out, f".dice-inspect-check-{uuid4().hex}")
            storage.write(trial, b"")
            storage.remove(trial)
    except OSError as error:
        told["problem"] = f"cannot write to {out}: {error.strerror or error}"
    return told
