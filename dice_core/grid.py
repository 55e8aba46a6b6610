"""The grid images are judged on: coarser than the photograph, as fine as the smoothing of evidence needs.

A defect is sought with filters that span several hundredths of the part, so that what lies between two places
of the grid tells nothing more; the finer pixels still count, for every place shows the mean of a square.
"""

from typing import NamedTuple

FINEST = 128
"""Pixels along the longer side, at least, that are looked at where the image has as many."""
COARSEST = 64
"""Places along the longer side, at least, where the image has as many pixels."""
NARROWEST = 16
"""Places along the shorter side, at least, where the image has as many pixels."""


class Grid(NamedTuple):
    """A grid and the pixels it stands for.

    Attributes
    ----------
    reduction
        Pixels along each side of the squares that large images are reduced by before anything else.
    factor
        Pixels of the reduced image along each side of the square that a place shows.
    shape
        Places down and across; the squares cover the image, and may reach beyond its last row and column.
    """

    reduction: int
    factor: int
    shape: tuple[int, int]

    @classmethod
    def of(cls, size: tuple[int, int]) -> "Grid":
        """Lay the grid over images of a height and width, pixels."""
        reduction = _factor(size, FINEST)
        reduced = -(-size[0] // reduction), -(-size[1] // reduction)
        factor = _factor(reduced, COARSEST)
        return cls(reduction, factor, (-(-reduced[0] // factor), -(-reduced[1] // factor)))

    @property
    def pixels(self) -> int:
        """Pixels of the image along each side of the square that a place shows."""
        return self.reduction * self.factor


def _factor(size: tuple[int, int], longer: int) -> int:
    return max(1, min(max(size) // longer, min(size) // NARROWEST))
