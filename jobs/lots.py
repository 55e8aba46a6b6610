"""The lots of a job folder, judged one after the other from the rows: no label is needed."""

import heapq
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from itertools import groupby
from operator import itemgetter
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

from dice_core.bank import Bank
from dice_core.drift import Counts, Drift, most_called
from dice_core.rows import Status, Verdict
from dice_core.threshold import Confusion
from jobs import parquet
from jobs.labelled import Labelled

LOTS_TOLD = 100
"""Lots that are listed, the gravest first; all are counted."""

LOTS_HELD = 10_000
"""Lots whose counts, of about 8 KiB each, are held at once."""

_COLUMNS = ("lot", "face", "defect_score", "verdict", "content_hash")
_SCORED = ds.field("status") == Status.OK.value


@dataclass(frozen=True)
class Lots:
    """What is told of the lots of a job.

    Attributes
    ----------
    told
        The counts, and the gravest lots, as JSON has them.
    corrections
        What the thresholds of a lot may be multiplied by, where that is not 1.
    """

    told: dict[str, Any]
    corrections: Mapping[str, float]

    @classmethod
    def of(cls, judged: Iterable[tuple[str, Drift]], bank: Bank) -> "Lots":
        """Count lots as they come; only the gravest are held."""
        counts = dict.fromkeys(("count", "alarmed", "too_few"), 0)
        corrections: dict[str, float] = {}
        gravest: list[tuple[tuple[bool, float, float], str, dict[str, Any]]] = []
        for lot, drift in judged:
            counts["count"] += 1
            counts["alarmed"] += drift.alarm is not None
            counts["too_few"] += not drift.enough
            if drift.correction != 1:
                corrections[lot] = drift.correction
            entry = (_gravity(drift), lot, {"lot": lot, **asdict(drift)})
            (heapq.heappush if len(gravest) < LOTS_TOLD else heapq.heappushpop)(gravest, entry)
        listed = [line for _, _, line in sorted(sorted(gravest, key=itemgetter(1)), key=_gravest_first)]
        told = {
            **counts,
            "corrected": len(corrections),
            "reference": bank.reference is not None,
            "listed": listed,
        }
        return cls(told, corrections)

    @property
    def alarms(self) -> dict[str, Any]:
        """The lots with an alarm, as the summary has them."""
        names = {
            "lot": "lot",
            "reason": "alarm",
            "shift": "shift",
            "images": "images",
            "share_called": "share_called",
        }
        return {
            "alarmed_lots": self.told["alarmed"],
            "lot_alarms": [
                {name: line[own] for name, own in names.items()}
                for line in self.told["listed"]
                if line["alarm"]
            ],
        }


def _gravest_first(entry: tuple[tuple[bool, float, float], str, dict[str, Any]]) -> tuple[bool, float, float]:
    (alarmed, called, shift), _, _ = entry
    return not alarmed, -called, -shift


def _gravity(drift: Drift) -> tuple[bool, float, float]:
    return drift.alarm is not None, drift.share_called or 0.0, abs(drift.shift or 0.0)


def judge_lots(rows: ds.Dataset, bank: Bank) -> Iterator[tuple[str, Drift]]:
    """Judge every lot that has a scored image, by its name, in the order they are met.

    The counts of one lot at a time are held where the rows of each follow each other, as those of an archive
    do; otherwise those of `LOTS_HELD` lots, and the rows are read once for as many.

    Parameters
    ----------
    rows
        The rows, in any order.
    bank
        The model that scored them.
    """
    expected = bank.expected.get("defect_score")
    may_be_called = most_called(expected.alarms.most if expected else None, bank.prevalence)
    for lot, counts in _gather(rows, bank):
        yield lot, Drift.of(counts, bank.reference, may_be_called)


def _gather(rows: ds.Dataset, bank: Bank) -> Iterator[tuple[str, Counts]]:
    zero = Counts.zero(len(bank.faces))
    scattered = _scattered(rows)
    if not scattered:
        for lot, counted in groupby(_count(rows, bank, _SCORED), itemgetter(0)):
            yield lot, sum((counts for _, counts in counted), zero)
    for first in range(0, len(scattered), LOTS_HELD):
        held = dict.fromkeys(scattered[first : first + LOTS_HELD], zero)
        own = _SCORED if len(held) == len(scattered) else _SCORED & ds.field("lot").isin(list(held))
        for lot, counts in _count(rows, bank, own):
            held[lot] += counts
        yield from held.items()


def _scattered(rows: ds.Dataset) -> list[str]:
    """List the lots where the rows of one do not all follow each other; none where they do."""
    met: dict[str, None] = {}
    last, apart = None, False
    for batch in parquet.scan(rows, ("lot",), _SCORED):
        for lot in pc.run_end_encode(batch["lot"]).values.to_pylist():
            if lot != last:
                apart = apart or lot in met
                met[lot] = None
                last = lot
    return list(met) if apart else []


def _count(rows: ds.Dataset, bank: Bank, which: pc.Expression) -> Iterator[tuple[str, Counts]]:
    faces = pa.array([face.name for face in bank.faces])
    for lot, own in _by_lot(parquet.scan(rows, _COLUMNS, which)):
        unknown = _is(own["verdict"], Verdict.UNKNOWN_PART)
        seen = np.array([content in bank.taught for content in own["content_hash"].to_pylist()], bool)
        yield (
            lot,
            Counts.of(
                bank.reference,
                len(faces),
                scores=own["defect_score"].to_numpy(zero_copy_only=False),
                face=pc.index_in(own["face"], faces).to_numpy(zero_copy_only=False).astype(np.int64),
                called=unknown | _is(own["verdict"], Verdict.ANOMALY),
                # A model knows the very images that taught it too well to be surprised by them.
                fit=~unknown & ~seen,
            ),
        )


def _by_lot(batches: Iterable[pa.RecordBatch]) -> Iterator[tuple[str, pa.RecordBatch]]:
    for batch in batches:
        lots = batch["lot"].dictionary_encode()
        numbers = lots.indices.to_numpy()
        ordered = batch.take(pa.array(np.argsort(numbers, kind="stable")))
        first = 0
        for lot, count in zip(lots.dictionary.to_pylist(), np.bincount(numbers).tolist(), strict=True):
            yield lot, ordered.slice(first, count)
            first += count


def _is(verdict: pa.Array, word: Verdict) -> npt.NDArray[np.bool_]:
    return np.asarray(pc.equal(verdict, word.value).to_numpy(zero_copy_only=False), bool)


def correct(
    labelled: Labelled, limits: npt.NDArray[np.float64], corrections: Mapping[str, float]
) -> Confusion:
    """Count what ``defect_score`` would call with the thresholds of faces, (F,), corrected lot by lot."""
    of_lot = np.array([corrections.get(lot, 1.0) for lot in labelled.lots])
    own = (limits[labelled.face] * of_lot[labelled.lot]).astype(np.float32)
    return Confusion.of(labelled.bad, (labelled.scores["defect_score"] >= own) | labelled.unknown)
