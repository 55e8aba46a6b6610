"""What a model is worth on another day: fitted on one capture session, scored on another, both ways."""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from jobs.config import ScoreSettings
from jobs.evaluate import evaluate
from jobs.fit import FitSettings, fit
from jobs.score import score
from jobs.teaching import Sources
from tests.bench.photographs import Photograph, days, write_tar
from tests.bench.report import Report


def run(*, tiny: bool) -> Report:
    """Carry models and thresholds from each day to the other, with and without defects to learn from."""
    about, sessions = days(tiny=tiny)
    (first, second) = sessions
    rows: list[dict[str, Any]] = []
    for taught, scored in ((first, second), (second, first)):
        for labelled in (True, False):
            rows.extend(
                {"fitted on": taught, "defects known": "yes" if labelled else "no", **row}
                for row in _carry(sessions[taught], sessions[scored], labelled=labelled, serial=tiny)
            )
    sizes = ", ".join(
        f"{name}: {len(day)} of which {sum(photograph.bad for photograph in day)} defective"
        for name, day in sessions.items()
    )
    return Report("transfer", f"Thresholds carried to another day, on {about} ({sizes}).", {"transfer": rows})


def _carry(
    taught: list[Photograph], scored: list[Photograph], *, labelled: bool, serial: bool
) -> list[dict[str, Any]]:
    lessons = taught if labelled else [photograph for photograph in taught if not photograph.bad]
    with TemporaryDirectory() as name:
        folder = Path(name)
        model, out = str(folder / "model.npz"), str(folder / "rows")
        source = str(write_tar(folder / "taught.tar", lessons))
        fit(FitSettings(Sources(labelled=(source,)), model, threads=2))
        unseen = str(write_tar(folder / "scored.tar", scored))
        score(
            ScoreSettings(sources=(unseen,), model=model, out=out, cluster="serial" if serial else None),
            evaluate=evaluate,
        )
        comparison = evaluate(out)["comparison"]
    return [
        {
            "score": column,
            "threshold": told["threshold"],
            "false alarms": told["fp"],
            "misses": told["fn"],
            "errors": told["fp"] + told["fn"],
            "F1": told["f1"],
            "AUROC": told["auroc"],
        }
        for column, told in comparison.items()
    ]
