"""Registers photographs to a face's target, so that a part's pose is no difference and its edges stay sharp.

An affine transform and a linear change of light are found together, by iterated least squares on the target's
strongest edges alone (Lucas and Kanade, IJCAI 1981, in the inverse form of Baker and Matthews, IJCV 56,
2004). Tukey's biweight lets no defect pull, and a prior holds what the edges do not tell, such as the turn of
a disc.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from dice_core.compiled import compiled

Images = npt.NDArray[np.float32]
Transforms = npt.NDArray[np.float32]

COARSE = 64
"""Pixels of the longer side that transforms are found in: finer detail than that tells no more of a pose."""
MOST_EDGES = 600
"""Edge pixels that are looked at in each level."""
PRIOR_SHIFT, PRIOR_LINEAR = 2 / 64, 0.05
"""Standard deviations that are believed of the shift, as a share of the longer side, and the linear part."""
PRIOR_NOISE = 100.0
"""Grey levels of one edge pixel's noise that the prior is weighed against."""
JITTER_SHIFT, JITTER_LINEAR = 0.75 / 128, 0.012
"""Standard deviations of what `jitter` adds: the shift in shares of the longer side, the linear part."""
FARTHEST, MOST_LINEAR = 8 / 64, 0.15
"""What is beyond them is no pose of a part but a failure: the image stays as it is."""
LEAST_EDGE = 1.0
"""Grey levels per pixel under which a target has no edge to go by."""

_MOST_SPREAD, _LEAST_SPREAD = 1.5, 0.3
"""Contrast of an image over that of the target, at most and at least."""


class _Level(NamedTuple):
    """One pass, from coarse to fine: lengths in pixels of the reduced image, noise in grey levels."""

    sigma: float
    iterations: int
    affine: bool
    noise: float
    least_share: float


_LEVELS = (_Level(3.0, 8, False, 120.0, 0.3), _Level(1.0, 8, True, 60.0, 0.4))


class _Edges(NamedTuple):
    """The target's edges in one level: places (M, 2), values (M,), steepest-descent rows (M, 6)."""

    places: npt.NDArray[np.int64]
    values: Images
    steepest: Images


@dataclass(frozen=True)
class Registration:
    """How images of one face are brought to lie as its target does.

    Attributes
    ----------
    factor
        Pixels of the image to one of the reduced image that transforms are found in.
    edges
        The target's edges in each level; None where it has none, and then no image is moved.
    """

    factor: int
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
        factor = max(1, round(max(target.shape) / COARSE))
        reduced = reduce(target[None], factor)[0]
        inside = reduce(part[None].astype(np.float32), factor)[0] > 0.5  # noqa: PLR2004 - most of the pixel
        edges = [_find_edges(reduced, inside, level) for level in _LEVELS]
        found = tuple(edge for edge in edges if edge is not None)
        return cls(factor, found if len(found) == len(edges) else None)

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
        found = np.zeros((len(images), 2, 3), np.float32)
        found[:, 0, 0] = found[:, 1, 1] = 1
        if self.edges is None or not len(images):
            return found
        reduced = reduce(images, self.factor)
        light = np.tile(np.array([1, 0], np.float64), (len(images), 1))
        side = max(reduced.shape[1:])
        prior = PRIOR_NOISE**2 / np.array([PRIOR_SHIFT * side] * 2 + [PRIOR_LINEAR] * 4) ** 2
        for level, edges in zip(_LEVELS, self.edges, strict=True):
            smooth = ndimage.gaussian_filter(reduced, (0, level.sigma, level.sigma))
            _follow(smooth, *edges, prior, level.noise, level.iterations, level.affine, found, light)
        moved = np.abs(found - np.eye(2, 3, dtype=np.float32))
        lost = (moved[:, :, 2].max(axis=1) > FARTHEST * side) | (
            moved[:, :, :2].max(axis=(1, 2)) > MOST_LINEAR
        )
        found[lost] = np.eye(2, 3, dtype=np.float32)
        found[:, :, 2] *= self.factor
        return found


def reduce(images: Images, factor: int) -> Images:
    """Take means of squares of `factor` pixels, (N, H, W) to (N, H // factor, W // factor)."""
    height, width = (side // factor for side in images.shape[1:])
    squares = images[:, : height * factor, : width * factor].reshape(
        len(images), height, factor, width, factor
    )
    return np.asarray(squares.mean(axis=(2, 4), dtype=np.float32))


def warp(images: Images, transforms: Transforms) -> Images:
    """Look up each image where its transform sends the pixels of the target, bilinearly.

    Parameters
    ----------
    images
        (N, H, W).
    transforms
        (N, 2, 3), as `Registration.transforms` gives them.

    Returns
    -------
    ndarray
        float32 (N, H, W); beyond the edge the outermost pixels go on.
    """
    warped = np.empty(images.shape, np.float32)
    _warp(images, transforms, warped)
    return warped


def inverse(transforms: Transforms) -> Transforms:
    """Give the transforms, (N, 2, 3), from image to target."""
    linear = np.linalg.inv(transforms[:, :, :2].astype(np.float64))
    shift = -linear @ transforms[:, :, 2:]
    return np.concatenate([linear, shift], axis=2).astype(np.float32)


def jitter(transforms: Transforms, side: int, rng: np.random.Generator) -> Transforms:
    """Move transforms, (N, 2, 3), a little at random, of images whose longer side is so long."""
    count = len(transforms)
    linear = np.eye(2) + rng.normal(0, JITTER_LINEAR, (count, 2, 2))
    shift = rng.normal(0, JITTER_SHIFT * side, (count, 2, 1))
    moved = transforms[:, :, :2] @ np.concatenate([linear, shift], axis=2)
    moved[:, :, 2] += transforms[:, :, 2]
    return np.asarray(moved, np.float32)


def box_in_image(
    transforms: Transforms, shape: tuple[int, int], x: Any, y: Any, width: Any, height: Any
) -> tuple[npt.NDArray[np.float64], ...]:
    """Send boxes of the target, arrays of (N,), to the images they were found in.

    Returns
    -------
    tuple
        Left, top, right and bottom edge of the upright box around each, (N,), inside the image.
    """
    rows, columns = shape
    corners = np.array([[x, y], [x + width, y], [x, y + height], [x + width, y + height]], np.float64)
    middle = np.array([columns / 2, rows / 2])[:, None]
    # Transforms are written rows first: of x by x and y, then of y.
    sent = np.einsum("nij,kjn->kin", transforms[:, :, :2].astype(np.float64), corners - middle)
    sent += transforms[:, :, 2].T[None] + middle
    low, high = sent.min(axis=0), sent.max(axis=0)
    limits = np.array([columns, rows], np.float64)[:, None]
    low, high = np.clip(low, 0, limits - 1), np.clip(high, 1, limits)
    return low[0], low[1], high[0], high[1]


def _find_edges(reduced: Images, inside: npt.NDArray[np.bool_], level: _Level) -> _Edges | None:
    smooth = ndimage.gaussian_filter(reduced, level.sigma)
    down, across = np.gradient(smooth)
    steepness = np.hypot(down, across) * inside
    if steepness.max() < LEAST_EDGE:
        return None
    places = np.argwhere(steepness > level.least_share * steepness.max())
    places = places[:: -(-len(places) // MOST_EDGES)]
    y, x = places.T
    dy, dx = down[y, x], across[y, x]
    from_y, from_x = y - (reduced.shape[0] - 1) / 2, x - (reduced.shape[1] - 1) / 2
    steepest = np.stack([dx, dy, dx * from_x, dx * from_y, dy * from_x, dy * from_y], axis=1)
    return _Edges(places, smooth[y, x], steepest.astype(np.float32))


@compiled(fastmath={"contract"})
def _look_up(image: Any, y: Any, x: Any) -> Any:
    height, width = image.shape
    x = min(max(x, np.float32(0)), np.float32(width - 1))
    y = min(max(y, np.float32(0)), np.float32(height - 1))
    left, top = min(int(x), width - 2), min(int(y), height - 2)
    across, down = x - left, y - top
    upper = image[top, left] + (image[top, left + 1] - image[top, left]) * across
    lower = image[top + 1, left] + (image[top + 1, left + 1] - image[top + 1, left]) * across
    return upper + (lower - upper) * down


@compiled(fastmath={"contract"})
def _warp(images: Any, transforms: Any, warped: Any) -> None:
    count, height, width = images.shape
    middle_y, middle_x = np.float32((height - 1) / 2), np.float32((width - 1) / 2)
    for n in range(count):
        image, m = images[n], transforms[n]
        for row in range(height):
            dy = row - middle_y
            for column in range(width):
                dx = column - middle_x
                x = m[0, 0] * dx + m[0, 1] * dy + m[0, 2] + middle_x
                y = m[1, 0] * dx + m[1, 1] * dy + m[1, 2] + middle_y
                warped[n, row, column] = _look_up(image, y, x)


@compiled()
def _follow(
    images: Any,
    places: Any,
    values: Any,
    steepest: Any,
    prior: Any,
    noise: float,
    iterations: int,
    affine: bool,  # noqa: FBT001
    transforms: Any,
    light: Any,
) -> None:
    count, height, width = images.shape
    middle_y, middle_x = np.float32((height - 1) / 2), np.float32((width - 1) / 2)
    unknowns = 6 if affine else 4
    row = np.empty(unknowns + 2, np.float64)
    for n in range(count):
        image, own = images[n], transforms[n].copy()
        gain, offset = light[n, 0], light[n, 1]
        least = np.inf
        settled = False
        for step in range(iterations + 1):
            normal = np.zeros((unknowns + 2, unknowns + 2), np.float64)
            right = np.zeros(unknowns + 2, np.float64)
            misfit = 0.0
            for k in range(len(places)):
                dy, dx = places[k, 0] - middle_y, places[k, 1] - middle_x
                x = own[0, 0] * dx + own[0, 1] * dy + own[0, 2] + middle_x
                y = own[1, 0] * dx + own[1, 1] * dy + own[1, 2] + middle_y
                difference = _look_up(image, y, x) - gain * values[k] - offset
                left = 1 - (difference / noise) ** 2
                if left <= 0:
                    misfit += 1.0
                    continue
                misfit += 1 - left * left * left
                weight = left * left
                _fill(row, steepest[k], gain, values[k])
                for i in range(unknowns + 2):
                    weighed = weight * row[i]
                    right[i] += weighed * difference
                    for j in range(i + 1):
                        normal[i, j] += weighed * row[j]
            if misfit < least:
                least = misfit
                transforms[n] = own
                light[n, 0], light[n, 1] = gain, offset
            if settled or step == iterations:
                break
            _hold(normal, right, prior, own, unknowns)
            change = np.linalg.solve(normal, right)
            settled = _small(change, unknowns)
            _compose(own, change, unknowns)
            gain = min(max(gain + change[unknowns], _LEAST_SPREAD), _MOST_SPREAD)
            offset += change[unknowns + 1]


@compiled()
def _small(change: Any, unknowns: int) -> bool:
    """Tell whether a change of pose is not worth another: no pixel of a part moves by a fiftieth."""
    for i in range(unknowns):  # noqa: SIM110 - the compiler knows no generators
        if abs(change[i]) > (0.02 if i < 2 else 0.0005):  # noqa: PLR2004 - shift, and 32 pixels' linear part
            return False
    return True


@compiled()
def _fill(row: Any, steepest: Any, gain: float, value: float) -> None:
    """Write how one pixel answers to each unknown: an affine transform or a similarity, then the light."""
    unknowns = row.size - 2
    if unknowns == 6:  # noqa: PLR2004
        for i in range(unknowns):
            row[i] = steepest[i] * gain
    else:
        row[0], row[1] = steepest[0] * gain, steepest[1] * gain
        row[2] = (steepest[2] + steepest[5]) * gain
        row[3] = (steepest[4] - steepest[3]) * gain
    row[unknowns] = value
    row[unknowns + 1] = 1


@compiled()
def _hold(normal: Any, right: Any, prior: Any, own: Any, unknowns: int) -> None:
    """Complete the normal equations, and pull towards the pose of the target."""
    for i in range(unknowns + 2):
        for j in range(i):
            normal[j, i] = normal[i, j]
        normal[i, i] = normal[i, i] * 1.0001 + 1e-3  # solvable also where every pixel is left out
    for i in range(unknowns):
        normal[i, i] += prior[i]
    right[0] += prior[0] * own[0, 2]
    right[1] += prior[1] * own[1, 2]
    if unknowns == 6:  # noqa: PLR2004
        right[2] += prior[2] * (own[0, 0] - 1)
        right[3] += prior[3] * own[0, 1]
        right[4] += prior[4] * own[1, 0]
        right[5] += prior[5] * (own[1, 1] - 1)
    else:
        right[2] += prior[2] * ((own[0, 0] + own[1, 1]) / 2 - 1)
        right[3] += prior[3] * (own[1, 0] - own[0, 1]) / 2


@compiled()
def _compose(own: Any, change: Any, unknowns: int) -> None:
    """Let the inverse of a small change go before a transform."""
    if unknowns == 6:  # noqa: PLR2004
        a, b, c, d = 1 + change[2], change[3], change[4], 1 + change[5]
    else:
        a, b, c, d = 1 + change[2], -change[3], change[3], 1 + change[2]
    size = a * d - b * c
    if abs(size) < 0.1:  # noqa: PLR2004 - no small change
        return
    a, b, c, d = d / size, -b / size, -c / size, a / size
    e, f = -(a * change[0] + b * change[1]), -(c * change[0] + d * change[1])
    for i in range(2):
        one, two = own[i, 0], own[i, 1]
        own[i, 0], own[i, 1] = one * a + two * c, one * b + two * d
        own[i, 2] += one * e + two * f
