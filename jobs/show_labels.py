"""What came of a table of labels, as lines for a person."""

from collections.abc import Mapping
from typing import Any


def label_lines(told: Mapping[str, Any] | None) -> list[str]:
    """Tell how many lines found their image, and which labels the model does not know."""
    if told is None:
        return []
    lines = [f"labels: {told['matched']:,} of {told['lines']:,} lines name an image that is there"]
    if told["unmatched"]:
        lines.append(f"NO IMAGE for {told['unmatched']:,} lines, first {told['first_unmatched'][0]}")
    lines += [
        f"label that the model does not know: {label} ({count:,})" for label, count in told["unknown"].items()
    ]
    return lines
