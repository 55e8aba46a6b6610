"""The classic peer: the mean-and-spread variation model on the photographs as they are.

Each pixel has a tolerance, its standard deviation over the good images of a face; an image's score is the
largest multiple of it that a pixel is off by, after a median of 3x3, inside the part.
"""

import cv2
import numpy as np
import numpy.typing as npt

from dice_core.bank import Bank
from dice_core.learn import Learning
from tests.bench.quality.material import Grey, Material
from tests.bench.quality.parts import parts_of

SPREAD_FLOOR = 0.02 * 255
"""Grey levels below which a spread is not believed."""

Scores = npt.NDArray[np.float32]
Model = tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]


def variation_score(
    images: Grey, faces: npt.NDArray[np.str_], taught: Material, bank: Bank, but_fold: int | None = None
) -> Scores:
    """Score images, (N, H, W), that were taken for these faces, (N,).

    With a fold the model is made of the other folds' images, for scores of those that taught it.
    """
    parts = parts_of(bank)
    scores = np.zeros(len(images), np.float32)
    for name, sample in taught.good.items():
        kept = np.ones(len(sample), bool)
        if but_fold is not None:
            kept = sample.folds(Learning((1, 1)).folds) != but_fold
        if not kept.any():
            kept[:] = True
        mean, spread = _model(sample.images[kept])
        for at in np.flatnonzero(faces == name):
            off = cv2.medianBlur(np.abs(images[at] - mean) / spread, 3)
            scores[at] = off[parts[name]].max()
    return scores


def cross_fitted_variation_score(taught: Material, faces: npt.NDArray[np.str_], bank: Bank) -> Scores:
    """Score the images that taught, each by a model without its fold."""
    folds = Learning((1, 1)).folds
    fold_of = np.concatenate([sample.folds(folds) for sample in (*taught.good.values(), taught.bad)])
    images = taught.images
    scores = np.empty(len(images), np.float32)
    for fold in range(folds):
        own = np.flatnonzero(fold_of == fold)
        scores[own] = variation_score(images[own], faces[own], taught, bank, fold)
    return scores


def _model(images: Grey) -> Model:
    mean = images.mean(axis=0, dtype=np.float64).astype(np.float32)
    spread = images.std(axis=0, dtype=np.float64).astype(np.float32)
    return mean, np.maximum(spread, np.float32(SPREAD_FLOOR))
