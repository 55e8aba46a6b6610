"""How a run was made: model, settings, sources and versions, section by section, as a report tells it."""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata
from typing import Any

from dice_core.bank import Bank
from jobs import folder, memory, storage
from jobs.corrections import Corrections
from jobs.decisions import Decision
from jobs.limits import Limits
from jobs.text import minute, utc

_SOURCES_TOLD = 200
"""Sources that are named; all are counted."""
_WORDS = {
    "schema_version": "version of the job folder",
    "rows_version": "version of the rows",
    "model": "model",
    "source_roots": "--source-root",
}
"""What is no option, or none of that name."""
_UNITS = {
    "max_pixels": " px",
    "max_members": " members",
    "max_expansion": " times the packed size",
    "shard_size": " images",
    "task_images": " images",
    "task_timeout": " s",
}
_LIBRARIES = ("dice-inspect", "numpy", "numba", "scikit-image", "pyarrow", "dask")


@dataclass(frozen=True)
class InForce:
    """What verdicts go by and what they are compared with: the decision, None without, and the review."""

    decision: Decision | None
    limits: Limits
    corrected: Corrections

    def lines(self, bank: Bank) -> list[str]:
        """Tell it in a line each for thresholds, the note on them, and labels."""
        policy = bank.policy if self.decision is None else self.decision.policy
        whose, note = "the model's, no decision is in force", None
        if self.decision is not None:
            whose = f"decision {self.decision.number} of {minute(self.decision.time)}"
            note = self.decision.note
        own = len(self._own(bank))
        faces = f"; faces with one of their own: {own:,}" if own else ""
        lines = [f"Thresholds: {whose}; policy {policy}, defect_score {self.limits.threshold:.4g}{faces}."]
        if note:
            lines.append(f"Note: {note}")
        return [*lines, f"Labels: {self._labels()}."]

    def section(self, bank: Bank) -> dict[str, Any]:
        """Tell it key by key."""
        decision = self.decision
        told: dict[str, Any] = {"decision": "none: the model's thresholds count"}
        if decision is not None:
            told = {
                "decision": decision.number,
                "decided": decision.time,
                "policy": decision.policy,
                "prevalence": decision.prevalence,
                "note": decision.note,
                "labels it was chosen by": _labels_of(decision.review),
            }
        told["threshold of defect_score"] = f"{self.limits.threshold:.6g}"
        told |= {f"threshold of face {face}": f"{value:.6g}" for face, value in self._own(bank).items()}
        return {**told, "labels": self._labels()}

    def _labels(self) -> str:
        if not self.corrected.number:
            return "those of folders or of the table given to score; none was reviewed"
        return f"{len(self.corrected):,} reviewed, in force by review {self.corrected.number}"

    def _own(self, bank: Bank) -> dict[str, float]:
        values = zip((face.name for face in bank.faces), self.limits.faces.tolist(), strict=True)
        return {face: value for face, value in values if value != self.limits.threshold}


def made(out: str, bank: Bank, in_force: InForce, now: float) -> dict[str, Mapping[str, Any]]:
    """Tell how the run was made, section by section."""
    job = folder.read_job(out) or {"decides": {}, "sources": []}
    try:
        summary = folder.read_summary(out)
    except (OSError, ValueError):
        summary = {}
    policy = {
        "policy it was fitted for": bank.policy,
        "prevalence": bank.prevalence,
        "NCC floor": f"{bank.ncc_floor:.4g}",
    }
    return {
        "In force": in_force.section(bank),
        "Model": {
            "hash": job["decides"].get("model"),
            "size of images": "{1} x {0} px".format(*bank.image_size),
            "size worked in": "{1} x {0} px".format(*bank.size),
            "faces": f"{len(bank.faces)}, taught by {sum(face.images for face in bank.faces):,} images",
            "labels of defective parts": ", ".join(bank.anomaly_labels) or "none",
            **policy,
            **{f"threshold of {column}": f"{value:.6g}" for column, value in bank.thresholds.items()},
        },
        "What decides the rows": {"fingerprint": job.get("fingerprint"), **_options(job["decides"])},
        "Sources": {
            "in all": f"{len(job['sources']):,}",
            **{str(at): source for at, source in enumerate(job["sources"][:_SOURCES_TOLD], 1)},
        },
        "Settings of the last start": _options(summary.get("settings", {})),
        "This report": {"made": utc(now), "of": storage.absolute(out), **_versions()},
    }


def _labels_of(review: int) -> str:
    return f"as of review {review}" if review else "none reviewed"


def _options(told: Mapping[str, Any]) -> dict[str, str]:
    """Write settings as the command line names them, in words and units; those that were not given last."""
    flat = {**told, **told.get("limits", {})}
    flat = {key: value for key, value in flat.items() if key not in {"limits", "sources"}}
    names = {key: _WORDS.get(key, f"--{key.replace('_', '-')}") for key in flat}
    # Not by equality, which takes 0 for False.
    given = {key for key, value in flat.items() if value is not None and value is not False and value != []}
    lines = {names[key]: _written(key, flat[key]) for key in flat if key in given}
    left = [names[key] for key in flat if key not in given]
    return {**lines, "not given": ", ".join(left)} if left else lines


def _written(key: str, value: Any) -> str:
    if value is True:
        return "yes"
    if isinstance(value, list):
        return ", ".join(map(str, value))
    if key == "max_bytes":
        return f"{value:,} bytes" if value % (1 << 20) else memory.told(value)
    if isinstance(value, float):
        return f"{value:g}{_UNITS.get(key, '')}"
    if isinstance(value, int):
        return f"{value:,}{_UNITS.get(key, '')}"
    return str(value)


def _versions() -> dict[str, str]:
    return {f"version of {name}": metadata.version(name) for name in _LIBRARIES}
