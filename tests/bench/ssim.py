"""Mean structural similarity of every image with every template, against what a user would pick."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from skimage.metrics import structural_similarity
from threadpoolctl import threadpool_limits

from dice_core.decode import decode
from dice_core.ssim import Reference, Window, ssim_all, ssim_map, ssim_mean, ssim_pair_scores
from tests.bench.photographs import synthetic_day
from tests.bench.report import Report
from tests.bench.timing import ROUNDS, Timing, measure, ratio

Images = npt.NDArray[Any]
Scores = npt.NDArray[np.floating[Any]]

IMAGES = 32
SLOW_PAIRS = 11  # that scikit-image compares in a round
OPENCV_PAIRS = 110
LARGEST_ERROR = 1e-5
_C1, _C2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2

SCIKIT_IMAGE: Mapping[Window, Mapping[str, Any]] = {
    "gaussian": {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "data_range": 255},
    "uniform": {"data_range": 255},
}


def run(*, tiny: bool) -> Report:
    """Compare synthetic dice with 11 and 110 others, Gaussian and uniform window; then as `score` does."""
    with threadpool_limits(1):
        cv2.setNumThreads(1)
        rounds = 1 if tiny else ROUNDS
        dice = _dice(14 if tiny else 110 + IMAGES)
        images = dice[: 3 if tiny else IMAGES]
        ratios: dict[str, float] = {}
        rows: list[dict[str, Any]] = []
        for templates in (dice[len(images) :][:count] for count in ((11,) if tiny else (11, 110))):
            for window in SCIKIT_IMAGE:
                told = _compare(images, templates, window, rounds)
                ratios |= told.ratios
                rows += told.rows
        alone = _as_scored(images, rounds)
    about = (
        "Mean similarity of an image with a template, synthetic dice of 128x128, one thread: microseconds a "
        f"pair, every candidate's error against scikit-image asserted below {LARGEST_ERROR:g} before."
    )
    return Report("ssim", about, {"pairs": rows, "as scored, per image": alone}, ratios)


@dataclass(frozen=True)
class _Told:
    ratios: Mapping[str, float]
    rows: list[dict[str, Any]]


def _dice(count: int) -> npt.NDArray[np.uint8]:
    return np.stack([decode(photograph.content, 1 << 20) for photograph in synthetic_day(1, count)])


def _compare(
    images: npt.NDArray[np.uint8],
    templates: npt.NDArray[np.uint8],
    window: Window,
    rounds: int,
) -> _Told:
    """Time every candidate at one window and number of templates, after their errors were looked at."""
    reference = Reference.of(templates, window)
    slow = templates[:SLOW_PAIRS]
    candidates: dict[str, tuple[Callable[[], Scores], int]] = {
        "dice-inspect": (partial(ssim_all, images, reference), len(images) * len(templates)),
        "scikit-image": (partial(_scikit_image, images[:1], slow, window), len(slow)),
    }
    if window == "gaussian":
        few = images[: max(1, OPENCV_PAIRS // len(templates))]
        pairs = len(few) * len(templates)
        for precision in (np.float32, np.float64):
            name = f"OpenCV in {np.dtype(precision).name}"
            candidates[name] = (partial(_opencv, few, templates, precision), pairs)
            ready = _Precomputed.of(templates, precision)
            candidates[f"{name} with precomputed statistics"] = (partial(ready.compare, few), pairs)
    expected = _scikit_image(images[:1], slow, window)
    errors = {name: _error(run_one(), expected) for name, (run_one, _) in candidates.items()}
    if max(errors.values()) >= LARGEST_ERROR:
        raise AssertionError(errors)
    timings: Mapping[str, Timing] = measure(candidates, rounds)
    title = f"{'Gaussian' if window == 'gaussian' else window}, {len(templates)} templates"
    ours = timings["dice-inspect"]
    ratios = {
        f"{title}, over {name}": ratio(timing, ours) for name, timing in timings.items() if timing is not ours
    }
    rows = [
        {"case": title, **timing.row(name), "largest error": errors[name]} for name, timing in timings.items()
    ]
    return _Told(ratios, rows)


def _error(found: Scores, expected: Scores) -> float:
    """Largest difference in the pairs that both have."""
    return float(np.abs(found[: len(expected), : expected.shape[1]] - expected).max())


def _scikit_image(images: Images, templates: Images, window: Window) -> Scores:
    settings = SCIKIT_IMAGE[window]
    return np.array(
        [[structural_similarity(image, other, **settings) for other in templates] for image in images]
    )


def _blur(image: Images) -> Images:
    return np.asarray(cv2.GaussianBlur(image, (11, 11), 1.5))[5:-5, 5:-5]


def _opencv(images: Images, templates: Images, precision: Any) -> Scores:
    """Compare pair by pair, everything anew."""
    return np.array(
        [
            [_Precomputed.of(other[None], precision).compare(image[None])[0, 0] for other in templates]
            for image in images
        ]
    )


@dataclass(frozen=True)
class _Precomputed:
    """OpenCV as one uses it who has read the formula: templates and the image are filtered once."""

    templates: Images
    statistics: list[tuple[Images, Images, Images]]

    @classmethod
    def of(cls, templates: Images, precision: Any) -> "_Precomputed":
        templates = templates.astype(precision)
        return cls(templates, [cls._filtered(template) for template in templates])

    @staticmethod
    def _filtered(image: Images) -> tuple[Images, Images, Images]:
        mean = _blur(image)
        square = mean * mean
        return mean, square, _blur(image * image) - square

    def compare(self, images: Images) -> Scores:
        result = np.empty((len(images), len(self.templates)))
        for row, image in zip(result, images.astype(self.templates.dtype), strict=True):
            mean, square, variance = self._filtered(image)
            square, variance = square + _C1, variance + _C2
            for number, (template, told) in enumerate(zip(self.templates, self.statistics, strict=True)):
                other, other_square, other_variance = told
                product = mean * other
                shared = (2 * product + _C1) * (2 * (_blur(image * template) - product) + _C2)
                row[number] = np.mean(shared / ((square + other_square) * (variance + other_variance)))
        return result


def _as_scored(images: npt.NDArray[np.uint8], rounds: int) -> list[dict[str, Any]]:
    """Time what `score` asks of an image: the mean with a face, mean and low rank with its own template."""
    reference, which = Reference.of(images), (np.arange(len(images)) + 11) % len(images)
    grey = images.astype(np.float32)
    rebuilt = np.clip(grey + np.random.default_rng(0).normal(0, 3, grey.shape), 0, 255).astype(np.float32)
    means, _ = ssim_map(images, reference, which)
    np.testing.assert_allclose(ssim_mean(images, reference, which), means, rtol=0, atol=LARGEST_ERROR)
    candidates: dict[str, tuple[Callable[[], object], int]] = {
        "mean": (partial(ssim_mean, images, reference, which), len(images)),
        "mean and low rank of a pair": (partial(ssim_pair_scores, grey, rebuilt), len(images)),
        "mean and map": (partial(ssim_map, images, reference, which), len(images)),
    }
    return [timing.row(name) for name, timing in measure(candidates, rounds).items()]
