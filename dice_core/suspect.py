"""Suspects: images among the good ones of a face that look mislabelled, found before they can teach.

What lies far from the face's median image is left out while variation templates are learnt, and then held
against them: a rare light is explained by what the others teach, a defect or another face is not.
"""

import numpy as np
import numpy.typing as npt

from dice_core.alignment import Alignment
from dice_core.components import gram_matrix, principal_components
from dice_core.residual import band_pass, rebuild
from dice_core.sample import Sample
from dice_core.score import resize
from dice_core.spread import Spreads

TRUSTED = 0.8
"""Share of the images, the nearest to the median one, that the variation templates are learnt from."""
COMPONENTS = 30
FOLDS = 3
FEWEST = 12
"""Images of a face under which none is suspected: too few to tell what is usual."""
USUAL = 0.99
"""Quantile of the trusted images' scores that the others are measured by."""
FACTOR = 4.0
"""How many times as high as that a score makes an image a suspect; the oddest good ones of a day come near
it, and to leave one of them out costs little."""

ROUNDS = 3
"""How often suspects are looked for, at most: where many are mislabelled the odder ones hide others."""

_MOST_FOR_MEDIAN = 200
_LEAST_DEVIATION = 4.0
_NORMAL = 1.4826


def suspicion(sample: Sample, size: tuple[int, int], rng: np.random.Generator) -> npt.NDArray[np.float64]:
    """Tell how odd each image of a face is among its own.

    Suspects have no part in what is usual: once some are found, the others are looked at again without them.

    Parameters
    ----------
    sample
        Images that are labelled good, of one face.
    size
        Height and width to work in, pixels.
    rng
        The source of chance.

    Returns
    -------
    ndarray
        (N,): an image's highest evidence over what is usual; from `FACTOR` up it is a suspect. 0 where there
        are fewer than `FEWEST` images.
    """
    odd = np.zeros(len(sample))
    for _ in range(ROUNDS):
        left = odd < FACTOR
        odd[left] = _oddity(sample.only(left), size, rng)
        if (odd[left] < FACTOR).all():
            break
    return odd


def _oddity(sample: Sample, size: tuple[int, int], rng: np.random.Generator) -> npt.NDArray[np.float64]:
    """Tell how odd each image is among those that are taken for good so far."""
    count = len(sample)
    if count < FEWEST:
        return np.zeros(count)
    images = resize(sample.images, size)
    alignment = Alignment.of(images)
    aligned = alignment.align(images)
    trusted = _near_the_median(aligned, alignment.part)
    folds = np.where(trusted, sample.folds(FOLDS), -1)
    flat = aligned.reshape(count, -1)
    gram = gram_matrix(flat)
    passed = np.empty_like(aligned)
    for fold in np.unique(folds):
        own = folds == fold
        taught = trusted & ~own
        if not taught.any():
            taught = trusted
        centre, components = principal_components(flat, gram, taught, COMPONENTS, rng)
        passed[own] = band_pass(
            aligned[own] - rebuild(aligned[own], centre.reshape(aligned.shape[1:]), components)
        )
    spreads = Spreads(aligned.shape[1:])
    spreads.add(passed[trusted])
    spread = spreads.close()
    scores = np.maximum(-passed / spread.dark, passed / spread.bright)[:, alignment.part].max(axis=1)
    return np.asarray(scores / np.quantile(scores[trusted], USUAL), np.float64)


def _near_the_median(aligned: npt.NDArray[np.float32], part: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Tell which images are the nearest to the median one, by their greatest robust deviation, (N,)."""
    some = aligned[:: -(-len(aligned) // _MOST_FOR_MEDIAN)]
    passed = band_pass(aligned - np.median(some, axis=0).astype(np.float32))
    spread = np.hypot(_NORMAL * np.median(np.abs(passed), axis=0), _LEAST_DEVIATION)
    farthest = (np.abs(passed) / spread)[:, part].max(axis=1)
    return np.asarray(farthest <= np.quantile(farthest, TRUSTED))
