"""The job ``synth``: an archive of synthetic dice, with the truth about every one beside it."""

import io
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from dice_core.defects import draw_defect
from dice_core.die import FACES
from dice_core.lot import draw_lot
from dice_core.synth import encode_jpeg, render
from jobs import storage
from jobs.errors import Refusal

LOT_SIZE = 250
"""Photographs of one capture session."""

ANOMALY_FOLDER = "ano"

TRUTH_SCHEMA = pa.schema(
    [
        pa.field("member", pa.string(), nullable=False),
        pa.field("face", pa.string(), nullable=False),
        pa.field("lot", pa.int32(), nullable=False),
        pa.field("defect", pa.string()),
        pa.field("size", pa.float32()),
        pa.field("contrast", pa.float32()),
        pa.field("x", pa.int32()),
        pa.field("y", pa.int32()),
        pa.field("width", pa.int32()),
        pa.field("height", pa.int32()),
        pa.field("area", pa.int32()),
    ]
)
"""What each photograph shows: its face and lot, and the defect's kind, strength, box and area in pixels."""


@dataclass(frozen=True)
class SynthSettings:
    """What is to be rendered; checked here and nowhere else.

    Raises
    ------
    Refusal
        Naming the first value that is not taken.
    """

    out: str
    images: int = 2000
    seed: int = 0
    defects: float = 0.05

    def __post_init__(self) -> None:
        if not self.out.endswith(".tar"):
            raise Refusal(f"{storage.told(self.out)}: synth writes a tar: let the name end in .tar")
        if self.images < 1:
            raise Refusal(f"--images {self.images}: give a number from 1 up")
        if self.seed < 0:
            raise Refusal(f"--seed {self.seed}: give a number from 0 up")
        if not 0 <= self.defects <= 1:
            raise Refusal(f"--defects {self.defects:g}: give a share from 0 to 1")
        if storage.is_folder(self.out):
            raise Refusal(f"{self.out}: is a folder: name a file")

    @property
    def truth(self) -> str:
        """Where the truth goes: beside the archive."""
        return self.out.removesuffix(".tar") + ".truth.parquet"


def synth(settings: SynthSettings, advance: Callable[[int], None] = lambda done: None) -> None:
    """Render an archive and its truth; the same settings give the same bytes.

    Parameters
    ----------
    settings
        What to render and where to write it.
    advance
        Told how many photographs were rendered since it was last told.

    Raises
    ------
    Refusal
        Where there is no folder to write to, or a file of another origin would be lost.
    """
    storage.check_parent(settings.out, settings.out)
    if storage.exists(settings.out) and not storage.exists(settings.truth):
        raise Refusal(f"{settings.out}: exists and is no archive of synth's: name another file")
    truth: list[dict[str, Any]] = []
    with storage.writing(settings.out) as stream, tarfile.open(fileobj=stream, mode="w") as archive:
        for member, content, told in _photographs(settings):
            entry = tarfile.TarInfo(member)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
            truth.append({"member": member, **told})
            advance(1)
    with storage.writing(settings.truth) as stream:
        pq.write_table(pa.Table.from_pylist(truth, TRUTH_SCHEMA), stream)


def _photographs(settings: SynthSettings) -> Iterator[tuple[str, bytes, dict[str, Any]]]:
    """Render one photograph after the other, each from a generator of its own number."""
    for number in range(settings.images):
        lot_number = number // LOT_SIZE
        lot = draw_lot(np.random.default_rng([settings.seed, 0, lot_number]))
        rng = np.random.default_rng([settings.seed, 1, number])
        face = FACES[number % len(FACES)]
        defect = draw_defect(rng, face) if rng.random() < settings.defects else None
        photograph = render(face, lot, rng, defect)
        folder = face if defect is None else ANOMALY_FOLDER
        told: dict[str, Any] = {"face": face, "lot": lot_number}
        if defect is not None:
            told |= {"defect": defect.kind, "size": defect.size, "contrast": defect.contrast}
        if photograph.box is not None:
            told |= dict(zip(("x", "y", "width", "height"), photograph.box, strict=True))
            told["area"] = int(photograph.mask.sum())
        yield f"{folder}/lot{lot_number:04d}_{number:07d}.jpg", encode_jpeg(photograph.pixels), told
