"""What a report says first: its figures with what bounds them, what they rest on, and what was rejected."""

from collections.abc import Mapping
from typing import Any

from jobs import caveats
from jobs.caveats import number
from jobs.scanned import Scanned
from jobs.show_lots import lot_lines


def headline(evaluation: Mapping[str, Any]) -> list[str]:
    """Give the lines that tell what the verdicts are worth."""
    if not evaluation["images"]:
        return ["No image: the sources held none, or none was scored yet."]
    lines = lot_lines(evaluation["lots"])
    if evaluation["prevalence"] is None:
        return [*lines, "no labelled images: nothing to compare the verdicts with"]
    return [
        *lines,
        f"{caveats.weight(evaluation)} ({evaluation['intervals']['over']})",
        *caveats.seen(evaluation),
        *caveats.expected(evaluation["expected"]),
        *caveats.wrong_faces(evaluation),
        caveats.duplicates(evaluation["duplicates"]),
    ]


def counts(scanned: Scanned, called: Any, evaluation: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """Give the headline figures: name, value, and the interval or what else there is to say."""
    unknown = int(scanned.unknown.sum())
    anomalies = int(called.sum()) - unknown
    images = len(scanned.score)
    figures = [
        ("images", f"{images:,}", f"and {evaluation['rejected']:,} rejected"),
        ("anomalies", f"{anomalies:,}", _share(anomalies, images)),
        ("parts of unknown kind", f"{unknown:,}", _share(unknown, images)),
    ]
    for key, name in (("f1", "F1"), ("precision", "precision"), ("recall", "recall")):
        if evaluation[key] is not None:
            bounds = evaluation["intervals"][key]
            between = "95 % between {} and {}".format(*map(number, bounds)) if bounds else "no interval"
            figures.append((name, number(evaluation[key]), between))
    if evaluation["auroc"] is not None:
        figures.append(("AUROC", number(evaluation["auroc"]), "of the ranking, whatever the threshold"))
    return figures


def _share(count: int, images: int) -> str:
    return f"{100 * count / images:.2f} % of the images" if images else ""


def reasons(scanned: Scanned) -> list[tuple[str, int, int]]:
    """Count rejected members by reason, and the lots they are in."""
    names = sorted({reason for _, reason in scanned.rejected})
    by_reason = {
        reason: [count for (_, own), count in scanned.rejected.items() if own == reason] for reason in names
    }
    return [(reason, sum(counts), len(counts)) for reason, counts in by_reason.items()]
