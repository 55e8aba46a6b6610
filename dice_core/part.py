"""Tells the part from the ground it lies on."""

import numpy as np
import numpy.typing as npt
from scipy import ndimage
from skimage.filters import threshold_otsu
from skimage.morphology import convex_hull_image

MARGIN = 4 / 128
"""How much of the part's outline is left out, as a share of the longer side: it moves with the crop."""

LEAST_SHARE = 0.25
"""Share of the frame under which what was found is not believed to be the whole part."""


def find_part(mean: npt.NDArray[np.float32]) -> npt.NDArray[np.bool_]:
    """Tell the part from the ground in a mean template, (H, W) bool.

    The ground is what the corners show, by Otsu's threshold (IEEE Trans. SMC 9, 1979); the part is the convex
    hull of the rest less a thin rim. Where corners disagree or the part would be less than a quarter of the
    frame, the whole frame less the rim is the part: to look at too much costs little, at too little a defect.
    """
    rim = max(1, round(MARGIN * max(mean.shape)))
    frame = np.zeros(mean.shape, bool)
    frame[rim:-rim, rim:-rim] = True
    if np.ptp(mean) < 1:
        return frame
    bright = mean > threshold_otsu(mean)
    corners = {bool(bright[y, x]) for y in (0, -1) for x in (0, -1)}
    if len(corners) > 1:
        return frame
    hull = convex_hull_image(bright != corners.pop())
    part: npt.NDArray[np.bool_] = ndimage.binary_erosion(hull, iterations=rim) & frame
    return part if part.mean() >= LEAST_SHARE else frame
