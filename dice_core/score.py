"""Scores: images in, score columns out; how the parts of this package judge one image together."""

from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
from skimage.transform import resize as skimage_resize

from dice_core.affine import box_in_image, compose, identity, jitter, lay
from dice_core.bank import Bank
from dice_core.exhaustive import Exhaustive
from dice_core.exposure import Evened, even
from dice_core.grid import Grid
from dice_core.match import Templates, ncc
from dice_core.reduction import reduce, shrink
from dice_core.region import Defect, locate
from dice_core.register import Registration
from dice_core.residual import evidence, rebuild
from dice_core.rows import Verdict
from dice_core.ssim import Reference, ssim_mean, ssim_pair_scores
from dice_core.stages import Stages, as_photographed

Columns = Mapping[str, npt.NDArray[Any]]

CHUNK = 96
"""Images of one face rebuilt at once: they share the reading of its variation templates."""
FEW = 32
"""Images of one face aligned or judged at once: step after step finds them in the nearest caches."""

NO_RUNNER_UP = 0.0
"""NCC of the runner-up where a bank has a single face."""


def resize(images: npt.NDArray[np.uint8], size: tuple[int, int]) -> npt.NDArray[np.uint8]:
    """Bring images, uint8 (N, H, W), to `size` (height, width), if it is another.

    By means of squares of pixels where they divide evenly, or else with scikit-image's anti-aliasing.
    """
    if images.shape[1:] == size:
        return images
    factor = images.shape[1] // size[0]
    if images.shape[1:] == (factor * size[0], factor * size[1]):
        return shrink(images, factor)
    resized = np.empty((len(images), *size), np.uint8)
    for image, target in zip(images, resized, strict=True):
        target[:] = np.rint(skimage_resize(image, size, anti_aliasing=True, preserve_range=True))
    return resized


class Scorer:
    """Judges images by a bank.

    Parameters
    ----------
    bank
        What was learnt from good parts.
    unsteady
        A source of chance, where images are to lie a little beside where they were found to: for scores as
        on a day whose pose is not found quite. By default they are not.
    """

    def __init__(self, bank: Bank, unsteady: np.random.Generator | None = None) -> None:
        self._bank = bank
        self._unsteady = unsteady
        self.image_size = bank.image_size
        self.faces = tuple(face.name for face in bank.faces)
        self.anomaly_labels = bank.anomaly_labels
        self._thresholds = bank.limits("defect_score").astype(np.float32)
        self._grid = Grid.of(bank.size)
        means = reduce(np.stack([face.mean for face in bank.faces]), self._grid.pixels)
        self._templates = Templates.of(means)
        self._means = Reference.of(means)
        self._registrations = [Registration.to(face.target, face.part) for face in bank.faces]

    def score(self, images: npt.NDArray[np.uint8]) -> dict[str, npt.NDArray[Any]]:
        """Score images of the bank's size.

        Parameters
        ----------
        images
            Photographs, uint8 (N, H, W) of the bank's image size; N may be 0.

        Returns
        -------
        dict
            Arrays of (N,): face, ncc and ncc_margin, ssim and ssim_rebuilt and ssim_low (-1..1, on the grid),
            defect_score (units of good parts' spread), the defect's peak, box and area (pixels of the
            photograph), regions beyond the threshold with their dark and bright area, verdict.
        """
        work, small, similarity, which = self._recognise(images)
        best = similarity[np.arange(len(work)), which]
        columns: dict[str, npt.NDArray[Any]] = {
            "face": np.array(self.faces)[which],
            "ncc": best,
            "ncc_margin": best - _runner_up(similarity),
            "ssim": ssim_mean(small, self._means, which),
        }
        columns |= self._residual_columns(work, small, which)
        bad = columns["defect_score"] >= self._thresholds[which]
        unknown = best < self._bank.ncc_floor
        columns["verdict"] = np.select(
            [unknown, bad], [Verdict.UNKNOWN_PART.value, Verdict.ANOMALY.value], Verdict.GOOD.value
        )
        return columns

    def compare(self, images: npt.NDArray[np.uint8]) -> dict[str, npt.NDArray[Any]]:
        """Compare images of the bank's size, uint8 (N, H, W), with every face, as `Exhaustive.compare` does.

        Translations are in pixels of the photograph.
        """
        columns = self._exhaustive.compare(resize(images, self._bank.size))
        for name, axis in (("shift_y", 0), ("shift_x", 1)):
            scale = self._bank.image_size[axis] / self._bank.size[axis]
            columns[name] = np.rint(columns[name] * scale).astype(np.int32)
        return columns

    @cached_property
    def _exhaustive(self) -> Exhaustive:
        return Exhaustive(np.stack([face.mean for face in self._bank.faces]))

    def maps(self, images: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """Draw the evidence against images over their faces' thresholds, as they were photographed.

        Parameters
        ----------
        images
            Photographs, uint8 (N, H, W) of the bank's image size.

        Returns
        -------
        ndarray
            float32 (N, H, W): beyond 1 or -1 is a defect; negative where too dark, 0 outside the part.
        """
        return self.stages(images).evidence

    def stages(self, images: npt.NDArray[np.uint8]) -> Stages:
        """Keep what the judgement of images of the bank's size, uint8 (N, H, W), goes by."""
        work, small, similarity, which = self._recognise(images)
        size = images.shape[1], images.shape[2]
        covered = self._covered
        seen = [np.zeros(images.shape, np.float32) for _ in range(3)]
        gain = np.ones(len(work))
        transforms = identity(len(work))
        for number in np.unique(which):
            face = self._bank.faces[number]
            own = np.flatnonzero(which == number)
            evened, transforms[own] = self._even(number, work[own], small[own])
            gain[own] = evened.gain
            aligned = lay(evened.squares, transforms[own])
            rebuilt = rebuild(aligned, face.centre, face.components)
            residual = aligned - rebuilt
            found = evidence(residual, face.spread_dark, face.spread_bright) * face.part
            rebuilt /= evened.gain[:, None, None]
            for kept, stage in zip(seen, (rebuilt, residual, found / self._thresholds[number]), strict=True):
                kept[own] = as_photographed(stage, transforms[own], covered)[:, : size[0], : size[1]]
        transforms[:, :, 2] *= self._grid.pixels
        return Stages(which, similarity, gain, transforms, *seen)

    def _recognise(
        self, images: npt.NDArray[np.uint8]
    ) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8], npt.NDArray[np.float32], npt.NDArray[np.intp]]:
        """Reduce photographs to what is looked at and to the grid, and find the face most like each."""
        work = shrink(resize(images, self._bank.size), self._grid.reduction)
        small = shrink(work, self._grid.factor)
        similarity = ncc(small, self._templates)
        return work, small, similarity, similarity.argmax(axis=1)

    def _even(
        self, number: int, work: npt.NDArray[np.uint8], small: npt.NDArray[np.uint8]
    ) -> tuple[Evened, npt.NDArray[np.float32]]:
        """Even images of one face, and tell by which transforms they are laid on its target."""
        face = self._bank.faces[number]
        evened = even(work, face.part, face.exposure, small)
        return evened, self._registrations[number].transforms(evened.reduced)

    @property
    def _covered(self) -> tuple[int, int]:
        """Height and width that the grid's squares cover, pixels of the photograph."""
        sides = zip(self._grid.shape, self._bank.image_size, self._bank.size, strict=True)
        down, across = (round(places * self._grid.pixels * side / size) for places, side, size in sides)
        return down, across

    def _moves(self, count: int) -> npt.NDArray[np.float32] | None:
        return None if self._unsteady is None else jitter(count, max(self._grid.shape), self._unsteady)

    def _residual_columns(
        self, work: npt.NDArray[np.uint8], small: npt.NDArray[np.uint8], which: npt.NDArray[np.intp]
    ) -> dict[str, npt.NDArray[Any]]:
        mean, low = np.empty((2, len(work)), np.float32)
        defect = Defect.room(len(work))
        transforms = np.empty((len(work), 2, 3), np.float32)
        aligned, rebuilt = np.empty((2, min(CHUNK, len(work)), *self._grid.shape), np.float32)
        for number in np.unique(which):
            everyone = np.flatnonzero(which == number)
            face, limit = self._bank.faces[number], float(self._thresholds[number])
            for start in range(0, len(everyone), CHUNK):
                own = everyone[start : start + CHUNK]
                moves = self._moves(len(own))
                for few in _slices(len(own), FEW):
                    evened, pose = self._even(number, work[own[few]], small[own[few]])
                    transforms[own[few]] = pose if moves is None else compose(pose, moves[few])
                    lay(evened.squares, transforms[own[few]], aligned[few])
                rebuild(aligned[: len(own)], face.centre, face.components, rebuilt[: len(own)])
                for few in _slices(len(own), FEW):
                    mean[own[few]], low[own[few]] = ssim_pair_scores(aligned[few], rebuilt[few])
                    residual = np.subtract(aligned[few], rebuilt[few], out=aligned[few])
                    maps = evidence(residual, face.spread_dark, face.spread_bright)
                    for values, found in zip(defect, locate(residual, maps, face.part, limit), strict=True):
                        values[own[few]] = found
        places = zip(_PLACES, self._in_photograph(defect, transforms), strict=True)
        return {"ssim_rebuilt": mean, "ssim_low": low, "defect_score": defect.score, **dict(places)}

    def _in_photograph(
        self, defect: Defect, transforms: npt.NDArray[np.float32]
    ) -> tuple[npt.NDArray[np.int32], ...]:
        """Places in the pixels of the photograph, as it was taken, rather than of the target."""
        down, across = (side / places for side, places in zip(self._covered, self._grid.shape, strict=True))
        high, wide = self._bank.image_size

        def send(x: Any, y: Any, width: Any, height: Any) -> tuple[npt.NDArray[np.float64], ...]:
            left, top, right, bottom = box_in_image(transforms, self._grid.shape, x, y, width, height)
            return left * across, top * down, right * across, bottom * down

        left, top, right, bottom = send(defect.peak_x, defect.peak_y, 1, 1)
        # The squares may reach beyond the photograph.
        peak = _middle(left, right, wide), _middle(top, bottom, high)
        # The edges are rounded rather than the lengths, so that no box leaves the photograph.
        left, top, right, bottom = map(np.rint, send(defect.x, defect.y, defect.width, defect.height))
        right, bottom = np.clip(right, left + 1, wide), np.clip(bottom, top + 1, high)
        left, top = np.minimum(left, right - 1), np.minimum(top, bottom - 1)
        box = left, top, right - left, bottom - top
        pixels, most = across * down, high * wide
        area = np.clip(np.rint(defect.area * pixels), 1, box[2] * box[3])
        beyond = (np.rint(np.minimum(count * pixels, most)) for count in (defect.dark, defect.bright))
        return tuple(value.astype(np.int32) for value in (*peak, *box, area, defect.regions, *beyond))


_PLACES = (
    *("defect_peak_x", "defect_peak_y", "defect_x", "defect_y", "defect_width", "defect_height"),
    *("defect_area", "defect_regions", "defect_dark", "defect_bright"),
)


def _slices(count: int, most: int) -> Iterator[slice]:
    """Cut a count into slices of at most so many."""
    return (slice(start, min(start + most, count)) for start in range(0, count, most))


def _middle(low: npt.NDArray[np.float64], high: npt.NDArray[np.float64], side: int) -> npt.NDArray[Any]:
    """Find the pixel in the middle between two edges, of a photograph with so many pixels along that side."""
    return np.minimum(np.floor((low + high) / 2), side - 1)


def _runner_up(similarity: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Second highest of each row, (N,)."""
    if similarity.shape[1] == 1:
        return np.full(len(similarity), NO_RUNNER_UP, np.float32)
    return np.asarray(np.partition(similarity, -2, axis=1)[:, -2])
