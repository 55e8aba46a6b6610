"""One class of good parts, as it was learnt."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from dice_core.exposure import Exposure


@dataclass(frozen=True)
class Face:
    """Templates and spread of one class of good parts.

    All but the mean template are of the grid that images are judged on, (H, W).

    Attributes
    ----------
    name
        The class's label.
    images
        How many distinct images taught it.
    mean
        Mean template, float32, grey levels 0..255 as photographed, of the size images are worked on in.
    part
        Which places are the part, bool (H, W).
    exposure
        How its images are evened.
    target
        Mean of the evened images laid on each other: what an image is registered to, float32 (H, W).
    centre
        Mean of the aligned images and their augmented copies, float32 (H, W).
    components
        Variation templates: orthonormal principal components, float32 (K, H * W).
    spread_dark, spread_bright
        Root mean square of held-out good images' band-passed residuals below and above zero, float32 (H, W),
        grey levels.
    """

    name: str
    images: int
    mean: npt.NDArray[np.float32]
    part: npt.NDArray[np.bool_]
    exposure: Exposure
    target: npt.NDArray[np.float32]
    centre: npt.NDArray[np.float32]
    components: npt.NDArray[np.float32]
    spread_dark: npt.NDArray[np.float32]
    spread_bright: npt.NDArray[np.float32]
