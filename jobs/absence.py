"""Why no worker came: where the scheduler listens, what the queue says, what a worker wrote last."""

import re
import subprocess
from pathlib import Path
from typing import Any

from jobs.managers import Manager
from jobs.spec import ClusterSpec

_QUEUE_SECONDS = 10.0


def absence(cluster: Any, spec: ClusterSpec) -> str:
    """Tell why no worker came: where the scheduler listens, what the queue says, what a worker wrote last."""
    interface = spec.arguments.get("interface")
    over = f" (interface {interface})" if interface else ""
    told = [f"the scheduler listens on {cluster.scheduler_address}{over}"]
    if spec.manager and spec.manager.is_queue:
        jobs = [job.job_id for job in cluster.workers.values() if job.job_id]
        told += [f"queue: {_queue(spec.manager, jobs)}", f"worker's log: {_log(spec, jobs)}"]
    return "; ".join(told)


def _queue(manager: Manager, jobs: list[str]) -> str:
    if not jobs:
        return "no job was taken"
    numbers = [",".join(jobs)] if manager.queue[0] == "squeue" else jobs
    try:
        asked = subprocess.run(  # noqa: S603 - a command of the table, and numbers
            [*manager.queue, *numbers], capture_output=True, text=True, timeout=_QUEUE_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"{manager.queue[0]} does not answer ({error})"
    return "; ".join(asked.stdout.split("\n")[:3]).strip("; ") or f"jobs {', '.join(jobs)} are no more in it"


def _log(spec: ClusterSpec, jobs: list[str]) -> str:
    folder = Path(str(spec.arguments.get("log_directory", ".")))
    logs = [re.compile(rf"[^.].*[-._oe]{re.escape(job)}(\.out|\.err|\.log)?") for job in jobs]
    listed = sorted(folder.iterdir()) if folder.is_dir() else []
    found = [path for path in listed if any(log.fullmatch(path.name) for log in logs) and path.stat().st_size]
    if not found:
        return f"nothing in {folder.absolute()}"
    last = found[-1].read_text(errors="replace").strip().splitlines()[-1:]
    return f"{found[-1]}: {' '.join(last)}"
