"""The stages of a judgement: what became of each image on the way to its scores, to be looked at."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from skimage.transform import resize as skimage_resize

from dice_core.affine import inverse, warp

Images = npt.NDArray[np.float32]


class Stages(NamedTuple):
    """What images of one size were compared with, as they were photographed; arrays of (N, H, W) or (N, ...).

    Attributes
    ----------
    face
        Number of the face each was taken for, (N,).
    similarity
        Normalised cross-correlation with the mean template of every face, (N, F), -1..1.
    gain
        What the light was multiplied by at the reference level, (N,).
    transforms
        From places of the target to those of the image it was worked on in, (N, 2, 3), pixels.
    rebuilt
        Its own rebuilt template, in the image's own light, grey levels.
    difference
        Image minus rebuilt template, evened, grey levels; negative where the image is too dark.
    evidence
        The band-passed difference over the face's threshold: beyond 1 or -1 is a defect; 0 outside the part.
    """

    face: npt.NDArray[np.intp]
    similarity: npt.NDArray[np.float32]
    gain: npt.NDArray[np.float64]
    transforms: npt.NDArray[np.float32]
    rebuilt: Images
    difference: Images
    evidence: Images


def as_photographed(images: Images, transforms: npt.NDArray[np.float32], size: tuple[int, int]) -> Images:
    """Lay aligned images back on their photographs.

    Parameters
    ----------
    images
        Aligned images, (N, H, W).
    transforms
        Those that aligned them, (N, 2, 3).
    size
        Height and width of the photographs.

    Returns
    -------
    ndarray
        float32, (N, *size).
    """
    back = warp(images, inverse(transforms))
    if back.shape[1:] == size:
        return back
    return np.stack([skimage_resize(image, size, order=1, preserve_range=True) for image in back])
