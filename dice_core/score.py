"""Scores: images in, score columns out; how the parts of this package judge one image together."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from skimage.transform import resize as skimage_resize

from dice_core.bank import Bank
from dice_core.exposure import even
from dice_core.match import Templates, ncc
from dice_core.residual import locate, rebuild, smooth_squares
from dice_core.rows import Verdict
from dice_core.ssim import Reference, ssim_map, ssim_pair_scores

Columns = Mapping[str, npt.NDArray[Any]]

NO_RUNNER_UP = 0.0
"""NCC of the runner-up where a bank has a single face."""


def resize(images: npt.NDArray[np.uint8], size: tuple[int, int]) -> npt.NDArray[np.uint8]:
    """Bring images, uint8 (N, H, W), to `size` (height, width) with anti-aliasing, if it is another."""
    if images.shape[1:] == size:
        return images
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
    """

    def __init__(self, bank: Bank) -> None:
        self._bank = bank
        self.image_size = bank.image_size
        self.faces = tuple(face.name for face in bank.faces)
        self.anomaly_labels = bank.anomaly_labels
        self._thresholds = bank.limits("defect_score").astype(np.float32)
        means = np.stack([face.mean for face in bank.faces])
        self._templates = Templates.of(means)
        self._means = Reference.of(means)

    def score(self, images: npt.NDArray[np.uint8]) -> dict[str, npt.NDArray[Any]]:
        """Score images of the bank's size.

        Parameters
        ----------
        images
            Photographs, uint8 (N, H, W) of the bank's image size; N may be 0.

        Returns
        -------
        dict
            Arrays of (N,): face, ncc and ncc_margin (-1..1), ssim and ssim_rebuilt and ssim_low (-1..1),
            defect_score (units of good parts' spread), the defect's box and area (pixels of the photograph),
            verdict.
        """
        work = resize(images, self._bank.size)
        similarity = ncc(work, self._templates)
        which = similarity.argmax(axis=1) if len(work) else np.zeros(0, np.intp)
        best = similarity[np.arange(len(work)), which]
        columns: dict[str, npt.NDArray[Any]] = {
            "face": np.array(self.faces)[which],
            "ncc": best,
            "ncc_margin": best - _runner_up(similarity),
            "ssim": ssim_map(work, self._means, which)[0],
        }
        columns |= self._residual_columns(work, which)
        bad = columns["defect_score"] >= self._thresholds[which]
        unknown = best < self._bank.ncc_floor
        columns["verdict"] = np.select(
            [unknown, bad], [Verdict.UNKNOWN_PART.value, Verdict.ANOMALY.value], Verdict.GOOD.value
        )
        return columns

    def _residual_columns(
        self, work: npt.NDArray[np.uint8], which: npt.NDArray[np.intp]
    ) -> dict[str, npt.NDArray[Any]]:
        names = ("ssim_rebuilt", "ssim_low", "defect_score")
        boxes = ("defect_x", "defect_y", "defect_width", "defect_height", "defect_area")
        columns: dict[str, npt.NDArray[Any]] = {name: np.empty(len(work), np.float32) for name in names}
        columns |= {name: np.empty(len(work), np.int32) for name in boxes}
        for number in np.unique(which):
            face = self._bank.faces[number]
            own = np.flatnonzero(which == number)
            evened = even(work[own], face.part, face.exposure)
            rebuilt = rebuild(evened, face.centre, face.components)
            mean, low = ssim_pair_scores(evened, rebuilt)
            columns["ssim_rebuilt"][own], columns["ssim_low"][own] = mean, low
            maps = smooth_squares(evened - rebuilt, face.spread_dark, face.spread_bright)
            defect = locate(maps, face.part)
            columns["defect_score"][own] = defect.score
            for name, values in zip(boxes, self._in_photograph(*defect[1:]), strict=True):
                columns[name][own] = values
        return columns

    def _in_photograph(
        self, x: Any, y: Any, width: Any, height: Any, area: Any
    ) -> tuple[npt.NDArray[np.int32], ...]:
        """Boxes in the pixels of the photograph rather than of the working size."""
        down = self._bank.image_size[0] / self._bank.size[0]
        across = self._bank.image_size[1] / self._bank.size[1]
        left, top = np.rint(x * across), np.rint(y * down)
        # The far edges are rounded rather than the lengths, so that no box leaves the photograph.
        box = (left, top, np.rint((x + width) * across) - left, np.rint((y + height) * down) - top)
        return tuple(value.astype(np.int32) for value in (*box, np.rint(area * across * down)))


def _runner_up(similarity: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Second highest of each row, (N,)."""
    if similarity.shape[1] == 1:
        return np.full(len(similarity), NO_RUNNER_UP, np.float32)
    return np.asarray(np.partition(similarity, -2, axis=1)[:, -2])
