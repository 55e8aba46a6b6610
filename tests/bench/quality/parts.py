"""The faces' parts in the pixels of the photographs, where defects are painted and peers look."""

import numpy as np

from dice_core.bank import Bank
from dice_core.grid import Grid
from tests.bench.quality.material import Flags


def parts_of(bank: Bank) -> dict[str, Flags]:
    """Tell by face which pixels of an image of the size it is worked on in are the part, (H, W)."""
    height, width = bank.size
    square = np.ones((Grid.of(bank.size).pixels,) * 2, bool)
    return {face.name: np.kron(face.part, square)[:height, :width] for face in bank.faces}
