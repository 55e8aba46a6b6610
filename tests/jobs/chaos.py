"""Jobs whose processes are killed as they go, in small for the tests and at length for the benchmark."""

import json
import os
import random
import signal
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import fake_scorer
import psutil
import samples

DEADLINE = 600


@dataclass
class Chaos:
    """Archives of small images, their rows as a serial run gives them, and jobs on local workers."""

    folder: Path
    archives: int
    images: int
    delay: float
    """Seconds for each shard, so that there is time to kill."""
    sources: list = field(default_factory=list)

    def __post_init__(self):
        self.model = str(self.folder / "model.npz")
        Path(self.model).write_bytes(fake_scorer.MODEL)
        self.sources = [
            samples.write_tar(self.folder / f"lot{number:04d}.tar", samples.images(self.images, number))
            for number in range(self.archives)
        ]
        options = self.options(self.folder / "serial", cluster="serial")
        with samples.running([fake_scorer.__file__, json.dumps(options)]) as process:
            assert process.wait(DEADLINE) == 0, process.communicate()
        self.expected = samples.rows(self.folder / "serial")

    def options(self, out, **more):
        return {
            "sources": self.sources,
            "model": self.model,
            "out": str(out),
            "workers": 4,
            "shard_size": self.images,
            "task_images": self.images,
            "max_rejects": "100%",
            **more,
        }

    def start(self, out, *, environ=None, **more):
        """Start the command, in a process group of its own."""
        environ = {fake_scorer.DELAY: str(self.delay)} if environ is None else environ
        command = [fake_scorer.__file__, json.dumps(self.options(out, **more))]
        return samples.start(command, group=True, **environ)

    def halted(self, log, shards):
        """What has the one worker of a job go no further than so many shards, until it is killed."""
        return {fake_scorer.LOG: str(log), fake_scorer.STOP_AFTER: str((shards + 1) * self.images)}

    def finish(self, out, **more):
        """Run the same command to its end, and tell its exit code."""
        process = self.start(out, **more)
        try:
            stderr = process.communicate(timeout=DEADLINE)[1]
        finally:
            kill_group(process)
        return process.returncode, stderr

    def differences(self, out):
        """Count what is not as it was to be at the end: nothing, where all is well."""
        rows, expected = (
            Counter(map(str, table.to_pylist())) for table in (samples.rows(out), self.expected)
        )
        found = {
            "rows": sum((rows - expected).values()) + sum((expected - rows).values()),
            "wrongly named": samples.rows(out)["reason"].to_pylist().count("killed_worker"),
            "stray files": sum(name.startswith(".") for name in samples.names(out)),
        }
        return {what: count for what, count in found.items() if count}


def committed(out):
    return sum(name.startswith("part-") for name in samples.names(out)) if Path(out).exists() else 0


def wait_until(told, process, seconds=DEADLINE):
    """Wait until something is so, or the process has ended; tell whether it goes on."""
    deadline = time.monotonic() + seconds
    while not told():
        if process.poll() is not None:
            return False
        assert time.monotonic() < deadline, "no progress"
        time.sleep(0.005)
    return process.poll() is None


def workers_of(process):
    """The worker processes of a job, and those it tries things in."""
    found = []
    for child in psutil.Process(process.pid).children(recursive=True):
        try:
            if "spawn_main" in " ".join(child.cmdline()):
                found.append(child)
        except psutil.Error:
            pass
    return found


def kill_workers(process, out, every, most, seed):
    """Kill a worker each time that so many more parts are committed; tell how many were."""
    chance, killed, at = random.Random(seed), 0, every  # noqa: S311 - of no secret
    while killed < most and wait_until(lambda at=at: committed(out) >= at, process):
        alive = workers_of(process)
        if alive:
            victim = chance.choice(alive)
            try:
                victim.kill()
                killed += 1
            except psutil.Error:
                pass
        at = committed(out) + every
    return killed


def kill_group(process):
    """Kill a process with all it has started, at once."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.communicate()


def kill_client(process):
    """Kill the process that gave the command, and nothing it has started."""
    process.kill()
    process.wait()
