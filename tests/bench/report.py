"""What a benchmark found: one object, the same for people and for scripts."""

import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import psutil


def machine() -> dict[str, Any]:
    """The limits that figures of time and memory are to be read with."""
    return {
        "cores": len(os.sched_getaffinity(0)),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "processor": platform.machine(),
        "python": platform.python_version(),
    }


class MissingError(Exception):
    """A real part that a benchmark needs is not on this machine."""


@dataclass(frozen=True)
class Report:
    """The outcome of one benchmark.

    Attributes
    ----------
    name
        The benchmark's.
    about
        What was measured on what, in a sentence.
    ratios
        Speed or size against what a user would pick instead, by label; empty where nothing was timed.
    figures
        Tables by name: rows of equal keys.
    """

    name: str
    about: str
    figures: Mapping[str, Sequence[Mapping[str, Any]]]
    ratios: Mapping[str, float] = field(default_factory=dict)
    machine: Mapping[str, Any] = field(default_factory=machine)

    def as_object(self) -> dict[str, Any]:
        return asdict(self)

    def as_text(self) -> str:
        lines = [self.about]
        lines += [f"{label}: {ratio:.2f} times" for label, ratio in self.ratios.items()]
        for name, rows in self.figures.items():
            lines += ["", name, *_table(rows)]
        return "\n".join(lines)


def _table(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    if not rows:
        return []
    cells = [[str(key) for key in rows[0]], *([_cell(value) for value in row.values()] for row in rows)]
    widths = [max(len(line[column]) for line in cells) for column in range(len(cells[0]))]
    return [
        "  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip()
        for line in cells
    ]


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    return f"{value:.5g}" if isinstance(value, float) else str(value)
