"""What rows tell of each face: how well it is judged, and what it is taken for."""

from typing import Any

import numpy as np

from dice_core.bank import Bank
from dice_core.interval import Groups
from dice_core.threshold import Confusion, Truth
from jobs.labelled import Labelled
from jobs.limits import Limits


def told(confusion: Confusion) -> dict[str, Any]:
    """Tell a confusion as JSON does."""
    return {
        "tp": confusion.tp,
        "fp": confusion.fp,
        "fn": confusion.fn,
        "tn": confusion.tn,
        "precision": confusion.precision,
        "recall": confusion.recall,
        "f1": confusion.f1,
    }


def counted(labelled: Labelled, called: Truth, group: Groups, own: Truth) -> dict[str, Any]:
    """Judge some of the rows, with what it takes to read their F1.

    Parameters
    ----------
    labelled
        The rows.
    called
        Which were called, (N,).
    group
        Number of each row's independent part, (N,).
    own
        Which to judge, (N,).
    """
    bad = labelled.bad[own]
    return {
        "images": len(bad),
        "prevalence": float(bad.mean()) if len(bad) else None,
        "independent_parts": len(np.unique(group[own])),
        **told(Confusion.of(bad, called[own])),
    }


def per_face(
    labelled: Labelled, called: Truth, group: Groups, bank: Bank, limits: Limits
) -> dict[str, dict[str, Any]]:
    """Judge the rows of each predicted face."""
    return {
        face.name: {
            "threshold": float(limits.faces[number]),
            **counted(labelled, called, group, labelled.face == number),
        }
        for number, face in enumerate(bank.faces)
    }


def face_confusion(labelled: Labelled, bank: Bank) -> dict[str, dict[str, int]]:
    """Count the good rows of each face by the face they were taken for, where there are any."""
    names = [face.name for face in bank.faces]
    good = ~labelled.bad
    pairs, counts = np.unique(
        np.stack([labelled.label[good], labelled.face[good]]), axis=1, return_counts=True
    )
    confusion: dict[str, dict[str, int]] = {}
    for true, taken, count in zip(*pairs.tolist(), counts.tolist(), strict=True):
        confusion.setdefault(names[true], {})[names[taken]] = count
    return confusion


def wrong_face(labelled: Labelled, called: Truth) -> dict[str, int]:
    """Count the good rows that were taken for another face, and the false alarms among them."""
    wrong = ~labelled.bad & (labelled.label != labelled.face)
    return {"images": int(wrong.sum()), "fp": int((wrong & called).sum())}
