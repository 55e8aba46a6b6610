"""Registers photographs to a face's target, so that a part's pose is no difference and its edges stay sharp.

An affine transform and a linear change of light are found together, by iterated least squares on the target's
strongest edges alone (Lucas and Kanade, IJCAI 1981, in the inverse form of Baker and Matthews, IJCV 56,
2004). Tukey's biweight lets no defect pull, and a prior holds what the edges do not tell, such as the turn of
a disc.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from dice_core.affine import Images, Transforms, identity
from dice_core.gaussian import half_gaussian, smooth
from dice_core.reduction import reduce
from dice_core.register_kernel import follow

MOST_EDGES = 300
"""Edge pixels that are looked at in each level."""
PRIOR_SHIFT, PRIOR_LINEAR = 2 / 64, 0.05
"""Standard deviations that are believed of the shift, as a share of the longer side, and the linear part."""
PRIOR_NOISE = 100.0
"""Grey levels of one edge pixel's noise that the prior is weighed against."""
FARTHEST, MOST_LINEAR = 8 / 64, 0.15
"""What is beyond them is no pose of a part but a failure: the image stays as it is."""
LEAST_EDGE = 1.0
"""Grey levels per pixel under which a target has no edge to go by."""


class _Level(NamedTuple):
    """One pass, from coarse to fine, over images reduced by a factor: in their pixels, and in grey levels."""

    factor: int
    sigma: float
    iterations: int
    affine: bool
    noise: float
    least_share: float
    still: float


_LEVELS = (_Level(2, 1.5, 8, False, 120.0, 0.3, 0.1), _Level(1, 1.0, 8, True, 60.0, 0.4, 0.05))


class _Edges(NamedTuple):
    """The target's M edge pixels in one level, float32.

    Attributes
    ----------
    offsets
        Places about the middle, y before x, (2, M).
    basis
        What a pixel answers to: its slope for each unknown of the pose, its value, 1; (U + 2, M).
    products
        Of every two rows of the basis, the lower triangle row by row, (T, M).
    """

    offsets: Images
    basis: Images
    products: Images


@dataclass(frozen=True)
class Registration:
    """How images of one face are brought to lie as its target does.

    Attributes
    ----------
    edges
        The target's edges in each level; None where it has none, and then no image is moved.
    """

    edges: tuple[_Edges, ...] | None

    @classmethod
    def to(cls, target: Images, part: npt.NDArray[np.bool_]) -> "Registration":
        """Prepare a target.

        Parameters
        ----------
        target
            What images are brought to, evened, (H, W).
        part
            Which pixels are the part, (H, W): edges are sought inside.
        """
        edges = [_find_edges(target, part, level) for level in _LEVELS]
        found = tuple(edge for edge in edges if edge is not None)
        return cls(found if len(found) == len(edges) else None)

    def transforms(self, images: Images) -> Transforms:
        """Find how each image lies: affine transforms, (N, 2, 3), from target to image about their middles.

        Parameters
        ----------
        images
            Evened images of the target's size, (N, H, W).

        Returns
        -------
        ndarray
            float32 (N, 2, 3): linear part and shift in pixels; identity where the image does not follow.
        """
        found = identity(len(images))
        if self.edges is None or not len(images):
            return found
        light = np.empty((len(images), 2))
        light[:] = 1, 0
        side = max(images.shape[1:])
        for level, edges in zip(_LEVELS, self.edges, strict=True):
            smoothed, prior = _seen(images, level), _prior(side, level.factor)
            found[:, :, 2] /= level.factor
            follow(smoothed, tuple(edges), prior, (level.noise, level.iterations, level.still), found, light)
            found[:, :, 2] *= level.factor
        moved = np.abs(found - identity(1))
        found[(moved > [MOST_LINEAR, MOST_LINEAR, FARTHEST * side]).any(axis=(1, 2))] = identity(1)
        return found


@lru_cache
def _prior(side: int, factor: int) -> npt.NDArray[np.float64]:
    """Weigh the prior of each unknown, (6,), against edge pixels of images reduced by a factor."""
    deviations = [PRIOR_SHIFT * side / factor] * 2 + [PRIOR_LINEAR] * 4
    # Reduced images have fewer edge pixels to outweigh it.
    return (PRIOR_NOISE / factor / np.array(deviations)) ** 2


def _seen(images: Images, level: _Level) -> Images:
    return smooth(reduce(images, level.factor), half_gaussian(level.sigma), mirror=True)


def _find_edges(target: Images, part: npt.NDArray[np.bool_], level: _Level) -> _Edges | None:
    seen = _seen(target[None], level)[0]
    inside = reduce(part[None], level.factor)[0] > 0.5  # noqa: PLR2004 - most of the square
    down, across = np.gradient(seen)
    steepness = np.hypot(down, across) * inside
    if steepness.max() < LEAST_EDGE:
        return None
    places = np.argwhere(steepness > level.least_share * steepness.max())
    places = places[:: -(-len(places) // MOST_EDGES)]
    y, x = places.T
    dy, dx = down[y, x], across[y, x]
    from_y, from_x = y - (seen.shape[0] - 1) / 2, x - (seen.shape[1] - 1) / 2
    # Of x by x and y, then of y; in a similarity the size and the turn.
    linear = [dx * from_x, dx * from_y, dy * from_x, dy * from_y]
    if not level.affine:
        linear = [linear[0] + linear[3], linear[2] - linear[1]]
    basis = np.stack([dx, dy, *linear, seen[y, x], np.ones(len(places))])
    products = np.stack([basis[i] * basis[j] for i in range(len(basis)) for j in range(i + 1)])
    offsets = np.stack([from_y, from_x])
    return _Edges(*(np.ascontiguousarray(rows, np.float32) for rows in (offsets, basis, products)))
