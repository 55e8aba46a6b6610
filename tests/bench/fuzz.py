"""Whether any mutated archive or image crashes, hangs, or loses a row."""

import importlib
import multiprocessing
import os
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import psutil

from dice_core.scale import OnSize
from jobs.errors import Refusal
from tests.bench.report import Report

CASES, SEED = 100_000, 0
HANG = 5.0
"""Seconds after which a case is taken to hang."""
_START = 120.0

_TESTS = Path(__file__).parents[1] / "jobs"
_SPAWN = multiprocessing.get_context("spawn")


class _Case(NamedTuple):
    """How one case ended; `problem` is empty where it did well."""

    number: int
    kind: str
    seconds: float
    reasons: Counter[str]
    problem: str
    mib: int


@dataclass
class _Found:
    """What the cases of one kind came to."""

    cases: int = 0
    seconds: float = 0.0
    slowest: float = 0.0
    slowest_case: int = 0
    mib: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)

    def add(self, case: _Case) -> None:
        """Take one more."""
        self.cases += 1
        self.seconds += case.seconds
        self.mib = max(self.mib, case.mib)
        self.reasons += case.reasons
        if case.seconds > self.slowest:
            self.slowest, self.slowest_case = case.seconds, case.number
        if case.problem:
            self.problems.append(f"case {case.number}: {case.problem}")


def run(*, tiny: bool, cases: int | None = None) -> Report:
    """Make, plan, read, decode and score so many archives, in a process that may die of it."""
    cases = cases or (80 if tiny else CASES)
    found: dict[str, _Found] = {}
    began = time.monotonic()
    with TemporaryDirectory() as place:
        for case in _run(cases, place):
            found.setdefault(case.kind, _Found()).add(case)
    seconds = time.monotonic() - began
    worst = max(found.values(), key=lambda one: one.slowest)
    problems = [problem for one in found.values() for problem in one.problems]
    reasons: Counter[str] = sum((one.reasons for one in found.values()), Counter())
    about = (
        f"{cases:,} cases of seed {SEED}, each an archive that was planned, read in every way there is, "
        f"decoded, scored by brightness and laid out as rows: {seconds:,.0f} s, the slowest "
        f"{worst.slowest:.2f} s (case {worst.slowest_case}). Crashes, hangs above {HANG:g} s and rows that "
        f"disagree: {len(problems)}."
    )
    figures: dict[str, list[dict[str, Any]]] = {
        "kinds": [
            {
                "kind": kind,
                "cases": one.cases,
                "rows": one.reasons.total() - one.reasons["refused"],
                "refused": one.reasons["refused"],
                "ms": round(1000 * one.seconds / one.cases, 2),
                "slowest ms": round(1000 * one.slowest, 1),
                "MiB": one.mib,
                "problems": len(one.problems),
            }
            for kind, one in sorted(found.items())
        ],
        "reasons": [{"reason": reason, "rows": count} for reason, count in reasons.most_common()],
    }
    if problems:
        figures["problems"] = [{"problem": problem} for problem in problems]
    return Report("fuzz", about, figures)


def _run(cases: int, place: str) -> Iterator[_Case]:
    """Run all cases, in another process after each that killed one or had to be ended."""
    number = 0
    while number < cases:
        here, there = _SPAWN.Pipe(duplex=False)
        process = _SPAWN.Process(target=_examine, args=(number, cases, place, there))
        process.start()
        there.close()
        problem = f"hung: nothing for {HANG:g} s"
        try:
            patience = _START
            while here.poll(patience):
                case = here.recv()
                patience = HANG
                if case is not None:
                    yield case
                    number = case.number + 1
                if number == cases:
                    break
        except EOFError:
            process.join()
            problem = f"crashed: exit code {process.exitcode}"
        process.kill()
        process.join()
        if number < cases:
            yield _Case(number, "killed", HANG, Counter(), problem, 0)
            number += 1


def _examine(first: int, stop: int, place: str, told: Connection) -> None:
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # libtiff complains there, of thousands of images
    sys.path.append(str(_TESTS))  # the helpers of the tests are no package
    fuzzing, mutations = (importlib.import_module(name) for name in ("fuzzing", "mutations"))
    process = psutil.Process()
    told.send(None)
    for number in range(first, stop):
        kind, suffix, data = mutations.mutated(SEED, number)
        path = Path(place) / f"lot{suffix}"
        path.write_bytes(data)
        problem, reasons = "", Counter[str]()
        began = time.monotonic()
        try:
            reasons = fuzzing.examine(path, OnSize.RESIZE if number % 2 else OnSize.REJECT)
        except Refusal:
            reasons["refused"] = 1
        except Exception as error:  # noqa: BLE001 - whatever it is, it is what is looked for
            problem = f"{type(error).__name__}: {error}"[:300]
        seconds = time.monotonic() - began
        told.send(_Case(number, kind, seconds, reasons, problem, process.memory_info().rss >> 20))
