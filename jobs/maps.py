"""Heat maps: what was held against an image, painted over its photograph."""

from dataclasses import dataclass
from io import BytesIO

import imageio.v3 as imageio
import numpy as np
import numpy.typing as npt

from jobs import plan, storage
from jobs.errors import Refusal

DARK, BRIGHT = (0, 90, 255), (255, 40, 0)
"""Colours of what is too dark and what is too bright: told apart also by those who confuse red and green."""
FULL = 2.0
"""Multiples of the threshold from which on a colour covers the photograph as much as it may."""
LEAST = 0.25
"""And under which it does not show."""
MOST_COVERED = 0.7


@dataclass(frozen=True, slots=True)
class Maps:
    """Where the heat maps of one archive go: one PNG for each image that was not found good."""

    folder: str
    archive: str

    def write(self, index: int, image: npt.NDArray[np.uint8], evidence: npt.NDArray[np.float32]) -> None:
        """Write the map of a member: its photograph under its evidence, both (H, W)."""
        stream = BytesIO()
        imageio.imwrite(stream, paint(image, evidence), extension=".png")
        storage.write(storage.join(self.folder, plan.map_name(self.archive, index)), stream.getvalue())


def paint(image: npt.NDArray[np.uint8], evidence: npt.NDArray[np.float32]) -> npt.NDArray[np.uint8]:
    """Paint evidence over a photograph, both (H, W): RGB, uint8 (H, W, 3).

    Too dark is blue, too bright red, and the stronger the evidence the less of the photograph shows.
    """
    cover = np.clip((np.abs(evidence) - LEAST) / (FULL - LEAST), 0, 1)[..., None] * MOST_COVERED
    colour = np.where(evidence[..., None] < 0, np.array(DARK), np.array(BRIGHT))
    return np.rint(image[..., None] * (1 - cover) + colour * cover).astype(np.uint8)


def make_folder(maps: str | None) -> str | None:
    """Make the folder for heat maps, where there are to be any, and give its one name.

    Raises
    ------
    Refusal
        Where it cannot be made.
    """
    if maps is None:
        return None
    try:
        storage.make_folder(maps)
    except OSError as error:
        raise Refusal(f"--maps {maps}: {error.strerror or error}: name a folder to write to") from error
    return storage.absolute(maps)
