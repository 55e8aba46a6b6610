"""The scoring command that ends at a chosen step of a commit, as a kill or a power cut would end it.

Run as a program, it goes through failpoints, each in a folder of its own: a start of the job in a process of
its own that ends there, and another that goes on. Arguments are JSON: the fields of the settings, and a list
of failpoints as `[out, step, name of the file, sources that are scored before]`.
"""

import gc
import io
import json
import os
import sys
from fnmatch import fnmatch
from pathlib import Path

import fake_scorer

from dice_core.tar import read_tar
from jobs import files
from jobs.config import ScoreSettings
from jobs.score import score

STEPS = (
    *("before it is made", "made", "half written", "written", "flushed", "synced"),
    *("closed", "renamed", "folder synced"),
)
"""Of writing one file, in order."""

REMOVED = "removed"
FULL = "disk full"
"""Half of it is written, and the process lives on with an error."""

CRASHED = 77


class Failpoint:
    """Ends this process at a step of writing or removing a file whose name matches."""

    def __init__(self, step, pattern):
        self.step, self.pattern = step, pattern
        self.paths = {}
        """Of the files that are open, by their descriptors; and of the last that was renamed."""

    def reach(self, step, path):
        name = Path(path).name.removeprefix(".")
        if step != self.step or not (fnmatch(name, self.pattern) or fnmatch(name, f"{self.pattern}.*.tmp")):
            return
        if step == FULL:
            self.step = None  # once: there is space for the next
            raise OSError(28, "No space left on device", str(path))
        os._exit(CRASHED)

    def set(self):
        """Stand between the storage and its files, in this process for good."""
        fsync, sync_folder = os.fsync, files._sync_folder

        def sync(descriptor):
            fsync(descriptor)
            if descriptor in self.paths:
                self.reach("synced", self.paths[descriptor])

        def sync_after_rename(folder):
            sync_folder(folder)
            self.reach("folder synced", self.paths["renamed"])

        Watched.point = Writer.point = self
        files.Path, files.os.fsync, files._sync_folder = Watched, sync, sync_after_rename


class Watched(type(Path())):
    """A path that tells a failpoint what is done with it."""

    point = None

    def open(self, mode="r", **options):
        if mode != "xb":
            return super().open(mode, **options)
        self.point.reach("before it is made", self)
        file = Writer(io.FileIO(self, mode))
        self.point.paths[file.fileno()] = self
        self.point.reach("made", self)
        return file

    def replace(self, target):
        self.point.reach("closed", self)
        super().replace(target)
        self.point.paths["renamed"] = target
        self.point.reach("renamed", target)

    def hardlink_to(self, target):
        self.point.reach("closed", target)
        super().hardlink_to(target)
        self.point.paths["renamed"] = self
        self.point.reach("renamed", self)

    def unlink(self, missing_ok=False):  # noqa: FBT002 - as it is
        super().unlink(missing_ok)
        self.point.reach(REMOVED, self)


class Writer(io.BufferedWriter):
    """A file that tells a failpoint what is done with it."""

    point = None

    def write(self, data):
        path = self.point.paths[self.fileno()]
        if self.point.step in ("half written", FULL):
            half = super().write(bytes(data)[: len(data) // 2])
            super().flush()
            self.point.reach("half written", path)
            self.point.reach(FULL, path)
            return half + super().write(bytes(data)[half:])
        written = super().write(data)
        self.point.reach("written", path)
        return written

    def flush(self):
        super().flush()
        self.point.reach("flushed", self.point.paths[self.fileno()])


def run(options, failpoint=None):
    """Score in a process of its own; its exit code."""
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    code = 1
    try:
        if failpoint:
            failpoint.set()
        settings = ScoreSettings(**options)
        code = score(settings, evaluate=fake_scorer.evaluate, load=fake_scorer.load).exit_code
    except OSError as error:
        sys.stderr.write(f"{error}\n")
    finally:
        os._exit(code)


def main():
    options, points = map(json.loads, sys.argv[1:])
    options["sources"] = tuple(options["sources"])
    with Path(options["sources"][0]).open("rb") as file:  # what is compiled is loaded once, for all
        list(read_tar(file, 1 << 20))
    gc.freeze()  # or every child copies what it walks through
    ended = {}
    for out, step, pattern, before in points:
        first = run({**options, "out": out, "sources": tuple(before)}) if before else 0
        ended[out] = (
            first,
            run({**options, "out": out}, Failpoint(step, pattern)),
            run({**options, "out": out}),
        )
    print(json.dumps(ended))  # noqa: T201


if __name__ == "__main__":
    main()
