"""What the verdicts are worth: every case of the target table, with its errors of either kind."""

from collections.abc import Mapping

from tests.bench.photographs import Photograph, days, synthetic_day
from tests.bench.quality import carried
from tests.bench.quality.carried import Carried
from tests.bench.quality.disturbances import disturbances
from tests.bench.quality.few import SEEDS, few
from tests.bench.quality.lots import lots
from tests.bench.quality.masks import masks
from tests.bench.quality.material import Material
from tests.bench.quality.mislabelled import mislabelled
from tests.bench.quality.spots import spots
from tests.bench.quality.taught import Taught
from tests.bench.report import Report

ERRORS = (2, 4)
"""That may be when the first session's bank judges the second, and the other way round."""
TINY_FACES = ("00", "04", "07")


def run(*, tiny: bool) -> Report:
    """Run every case; no image is judged by a bank or a model that it, or a frame of its run, taught."""
    about, sessions = _tiny_days() if tiny else days(tiny=False)
    first, second = map(Material.of, sessions.values())
    everything = Taught.by(Material.of(photograph for day in sessions.values() for photograph in day))
    ways = [
        Carried.of("A on B", Taught.by(first), second, ERRORS[0]),
        Carried.of("B on A", Taught.by(second), first, ERRORS[1]),
    ]
    seeds = SEEDS[:1] if tiny else SEEDS
    face_cases, faces = carried.per_face(everything, ways)
    few_cases, handfuls = few(everything.material, ways, (10,) if tiny else (10, 30), seeds)
    wrong_cases, wrong = mislabelled(ways, (0.1,) if tiny else (0.03, 0.1), seeds)
    change_cases, changes = disturbances(ways)
    spot_cases, detection = spots(ways, 60 if tiny else 600)
    mask_cases, found = masks(*((90, 3, TINY_FACES) if tiny else (1100, 60)))
    lot_cases, of_lots = lots(ways, 20 if tiny else 200)
    table = [
        *carried.cross_fitted(everything),
        *carried.carried(ways),
        *carried.runs_left_out(everything),
        *few_cases,
        *wrong_cases,
        *change_cases,
        *spot_cases,
        *mask_cases,
        *lot_cases,
        *face_cases,
    ]
    return Report(
        "quality",
        f"Verdicts on {about}: {_told(sessions, (first, second))}. Distinct photographs are counted.",
        {
            "quality": table,
            "scores": carried.scores(ways),
            **({"errors carried": wronged} if (wronged := carried.errors(ways)) else {}),
            "few images": handfuls,
            "mislabelled": wrong,
            "changes": changes,
            "spots": detection,
            "masks": found,
            "lots": of_lots,
            "faces, false alarms + misses": faces,
        },
    )


def _tiny_days() -> tuple[str, dict[str, list[Photograph]]]:
    about = "SYNTHETIC dice of three faces: a self-test"
    return about, {f"day {day}": synthetic_day(day, 90, 0.15, TINY_FACES) for day in (1, 2)}


def _told(sessions: Mapping[str, object], materials: tuple[Material, Material]) -> str:
    return "; ".join(
        f"{letter} is {name}, {int((~material.is_bad).sum()):,} good and {len(material.bad)} defective"
        for letter, name, material in zip("AB", sessions, materials, strict=True)
    )
