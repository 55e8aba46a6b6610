"""How a run was made: model, settings, sources and versions, section by section, as a report tells it."""

from collections.abc import Mapping
from importlib import metadata
from typing import Any

from dice_core.bank import Bank
from jobs import folder, storage
from jobs.text import utc

_SOURCES_TOLD = 200
"""Sources that are named; all are counted."""
_LIBRARIES = ("dice-inspect", "numpy", "numba", "scikit-image", "pyarrow", "dask")


def made(out: str, bank: Bank, now: float) -> dict[str, Mapping[str, Any]]:
    """Tell how the run was made, section by section."""
    job = folder.read_job(out) or {"decides": {}, "sources": []}
    try:
        summary = folder.read_summary(out)
    except (OSError, ValueError):
        summary = {}
    policy = {"policy": bank.policy, "prevalence": bank.prevalence, "NCC floor": f"{bank.ncc_floor:.4g}"}
    return {
        "Model": {
            "hash": job["decides"].get("model"),
            "size of images": "{1} x {0} px".format(*bank.image_size),
            "size worked in": "{1} x {0} px".format(*bank.size),
            "faces": f"{len(bank.faces)}, taught by {sum(face.images for face in bank.faces):,} images",
            "labels of defective parts": ", ".join(bank.anomaly_labels) or "none",
            **policy,
            **{f"threshold of {column}": f"{value:.6g}" for column, value in bank.thresholds.items()},
        },
        "What decides the rows": {"fingerprint": job.get("fingerprint"), **job["decides"]},
        "Sources": {
            "in all": f"{len(job['sources']):,}",
            **{str(at): source for at, source in enumerate(job["sources"][:_SOURCES_TOLD], 1)},
        },
        "Settings of the last start": {
            key: value for key, value in summary.get("settings", {}).items() if key != "sources"
        },
        "This report": {"made": utc(now), "of": storage.absolute(out), **_versions()},
    }


def _versions() -> dict[str, str]:
    return {f"version of {name}": metadata.version(name) for name in _LIBRARIES}
