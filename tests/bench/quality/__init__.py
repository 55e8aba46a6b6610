"""What the verdicts are worth: every case of the target table, with its errors of either kind."""

from collections.abc import Mapping

from tests.bench.photographs import days
from tests.bench.quality import carried
from tests.bench.quality.carried import Carried
from tests.bench.quality.disturbances import disturbances
from tests.bench.quality.material import Material
from tests.bench.quality.spots import spots
from tests.bench.quality.taught import Taught
from tests.bench.report import Report

ERRORS = (2, 4)
"""That may be when the first session's bank judges the second, and the other way round."""


def run(*, tiny: bool) -> Report:
    """Run every case; no image is judged by a bank or a model that it, or a frame of its run, taught."""
    about, sessions = days(tiny=tiny)
    first, second = map(Material.of, sessions.values())
    everything = Taught.by(Material.of(photograph for day in sessions.values() for photograph in day))
    ways = [
        Carried.of("A on B", Taught.by(first), second, ERRORS[0]),
        Carried.of("B on A", Taught.by(second), first, ERRORS[1]),
    ]
    face_cases, faces = carried.per_face(everything, ways)
    change_cases, changes = disturbances(ways)
    spot_cases, detection = spots(ways, 60 if tiny else 600)
    table = [
        *carried.cross_fitted(everything),
        *carried.carried(ways),
        *carried.runs_left_out(everything),
        *change_cases,
        *spot_cases,
        *face_cases,
    ]
    return Report(
        "quality",
        f"Verdicts on {about}: {_told(sessions, (first, second))}. Distinct photographs are counted.",
        {
            "quality": table,
            "scores": carried.scores(ways),
            "errors carried": carried.errors(ways),
            "changes": changes,
            "spots": detection,
            "faces, false alarms + misses": faces,
        },
    )


def _told(sessions: Mapping[str, object], materials: tuple[Material, Material]) -> str:
    return "; ".join(
        f"{letter} is {name}, {int((~material.is_bad).sum()):,} good and {len(material.bad)} defective"
        for letter, name, material in zip("AB", sessions, materials, strict=True)
    )
