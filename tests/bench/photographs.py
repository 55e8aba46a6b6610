"""The known photographs, by capture session; or synthetic stand-ins, which say that they are."""

import io
import os
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dice_core.defects import draw_defect
from dice_core.die import FACES
from dice_core.lot import draw_lot
from dice_core.synth import encode_jpeg, render

VARIABLE = "DICE_PHOTOGRAPHS"
ANOMALIES = "ano"


@dataclass(frozen=True)
class Photograph:
    """One member of an archive of labelled photographs."""

    label: str
    name: str
    content: bytes

    @property
    def bad(self) -> bool:
        return self.label == ANOMALIES


def known() -> list[Photograph] | None:
    """All known photographs; None where the environment does not say where they are."""
    folder = os.environ.get(VARIABLE)
    if not folder:
        return None
    with tarfile.open(Path(folder) / "dice_known.tar") as archive:
        members = [member for member in archive if member.isfile() and not member.name.endswith(".DS_Store")]
        return [
            Photograph(label, name, content.read())
            for member in members
            for label, _, name in [member.name.partition("/")]
            if (content := archive.extractfile(member))
        ]


def synthetic_day(
    day: int, images: int, defects: float = 0.05, faces: tuple[str, ...] = FACES, size: int = 128
) -> list[Photograph]:
    """Photographs of synthetic dice from three lots that belong to one day alone."""
    lots = [draw_lot(np.random.default_rng([day, lot])) for lot in range(3)]
    photographs = []
    for number in range(images):
        rng = np.random.default_rng([day, 99, number])
        face = faces[number % len(faces)]
        defect = draw_defect(rng, face) if rng.random() < defects else None
        content = encode_jpeg(render(face, lots[number % 3], rng, defect, size).pixels)
        photographs.append(Photograph(ANOMALIES if defect else face, f"day{day}_{number:06d}.jpg", content))
    return photographs


def write_tar(path: Path, photographs: list[Photograph]) -> Path:
    """Write photographs as an archive of folders by label."""
    with tarfile.open(path, "w") as archive:
        for photograph in sorted(photographs, key=lambda photograph: photograph.label):
            entry = tarfile.TarInfo(f"{photograph.label}/{photograph.name}")
            entry.size = len(photograph.content)
            archive.addfile(entry, io.BytesIO(photograph.content))
    return path


def days(*, tiny: bool) -> tuple[str, dict[str, list[Photograph]]]:
    """Divide what there is into two days that share no photograph, and say what it is."""
    photographs = None if tiny else known()
    if photographs is None:
        count = 330 if tiny else 3000
        about = f"SYNTHETIC dice ({VARIABLE} names no photographs, or the run is tiny): a self-test"
        return about, {"one": synthetic_day(1, count), "other": synthetic_day(2, count)}
    return "real photographs", {
        "25_10_21 and img_*": list(_of(photographs, lambda name: name.startswith(("25_10_21", "img_")))),
        "16_09_21 and 17_11_21": list(
            _of(photographs, lambda name: name.startswith(("16_09_21", "17_11_21")))
        ),
    }


def _of(photographs: list[Photograph], chosen: Callable[[str], bool]) -> Iterator[Photograph]:
    return (photograph for photograph in photographs if chosen(photograph.name))
