"""The classic method as a user would write it: every template by NCC over a few translations, and by SSIM."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import imageio.v3 as iio
import numpy as np
from numpy.typing import NDArray
from skimage.feature import match_template
from skimage.metrics import structural_similarity
from skimage.transform import resize

Pixels = NDArray[Any]

_C1, _C2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2


@dataclass(frozen=True)
class Naive:
    """A loop of scikit-image over images and templates, (F, H, W), translated by up to `shift` pixels."""

    templates: Pixels
    shift: int

    def __call__(self, files: Sequence[bytes]) -> tuple[Pixels, Pixels]:
        """Score JPEGs: NCC and SSIM, (N, F) each."""
        return _pairs([self._scores(self._read(data)) for data in files])

    def _read(self, data: bytes) -> Pixels:
        image = iio.imread(data)
        if image.shape == self.templates.shape[1:]:
            return image.astype(np.float64)
        return np.asarray(resize(image, self.templates.shape[1:], anti_aliasing=True, preserve_range=True))

    def _scores(self, image: Pixels) -> list[tuple[float, float]]:
        cut = slice(self.shift, -self.shift)
        return [
            (
                match_template(image, template[cut, cut]).max(),
                structural_similarity(
                    image,
                    template,
                    data_range=255,
                    gaussian_weights=True,
                    sigma=1.5,
                    use_sample_covariance=False,
                ),
            )
            for template in self.templates.astype(np.float64)
        ]


class OpenCv:
    """The same with OpenCV, what belongs to the templates and to the image computed once."""

    def __init__(self, templates: Pixels, shift: int) -> None:
        self._templates = templates.astype(np.float32)
        self._cropped = [template[shift:-shift, shift:-shift].copy() for template in self._templates]
        self._means = [_blurred(template) for template in self._templates]
        self._squares = [_blurred(template * template) for template in self._templates]

    def __call__(self, files: Sequence[bytes]) -> tuple[Pixels, Pixels]:
        """Score JPEGs: NCC and SSIM, (N, F) each."""
        cv2.setNumThreads(1)
        return _pairs([self._scores(data) for data in files])

    def _scores(self, data: bytes) -> list[tuple[float, float]]:
        image: Pixels = np.asarray(cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_GRAYSCALE))
        if image.shape != self._templates.shape[1:]:
            height, width = self._templates.shape[1:]
            image = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
        image = image.astype(np.float32)
        mean, square = _blurred(image), _blurred(image * image)
        found = []
        for number, template in enumerate(self._templates):
            similarity = cv2.matchTemplate(image, self._cropped[number], cv2.TM_CCOEFF_NORMED).max()
            other = self._means[number]
            product, power = mean * other, mean * mean + other * other
            joint = _blurred(image * template) - product
            both = square + self._squares[number] - power
            similar = ((2 * product + _C1) * (2 * joint + _C2)) / ((power + _C1) * (both + _C2))
            found.append((float(similarity), float(similar[5:-5, 5:-5].mean())))
        return found


def _blurred(image: Pixels) -> Pixels:
    return np.asarray(cv2.GaussianBlur(image, (11, 11), 1.5, borderType=cv2.BORDER_REFLECT))


def _pairs(scores: list[list[tuple[float, float]]]) -> tuple[Pixels, Pixels]:
    pairs = np.array(scores, np.float64)
    return pairs[..., 0], pairs[..., 1]
