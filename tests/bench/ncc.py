"""What normalised cross-correlation of dice with templates takes, beside scikit-image's and OpenCV's."""

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from skimage.feature import match_template
from threadpoolctl import threadpool_limits

from dice_core.die import FACES
from dice_core.lot import draw_lot
from dice_core.match import ShiftTemplates, Templates, ncc, ncc_shift
from dice_core.synth import render
from tests.bench.report import Report
from tests.bench.timing import ROUNDS, Timing, measure, ratio

Pixels = NDArray[np.uint8]
Scores = NDArray[Any]
Candidate = tuple[Callable[[], object], int]

SHIFT, TEMPLATES, BATCH = 4, (11, 110), 256
# What the slow ones do in a round: templates times images.
PAIRS_OF_OPENCV, PAIRS_OF_SCIKIT_IMAGE = 440, 110
TOLERANCE, OPENCV_TOLERANCE = 1e-5, 1e-3  # OpenCV's own transforms are float32

OURS, OPENCV, SCIKIT_IMAGE = "dice_core", "OpenCV", "scikit-image"


def run(*, tiny: bool) -> Report:
    """Score synthetic dice of 128 px against few and many templates, with and without shift, one thread."""
    cv2.setNumThreads(1)
    counts, batch, rounds = ((3,), 4, 1) if tiny else (TEMPLATES, BATCH, ROUNDS)
    images = _dice(batch, seed=1)
    ratios: dict[str, float] = {}
    rows: list[dict[str, Any]] = []
    errors: list[dict[str, Any]] = []
    with threadpool_limits(1):
        for count in counts:
            templates = _dice(count, seed=2)
            for shift in (SHIFT, 0):
                setting = f"{f'±{shift} px' if shift else 'no shift'}, {count} templates"
                errors.append({"what": setting, "greatest error": _assert_equal(images, templates, shift)})
                timings = measure(_candidates(images, templates, shift), rounds)
                for other in (SCIKIT_IMAGE, OPENCV):
                    ratios[f"{setting}, over {other}"] = ratio(timings[other], timings[OURS])
                rows += [timing.row(f"{setting}: {name}") for name, timing in timings.items()]
        products = _products(images, _dice(counts[-1], seed=2), rounds)
        limits = [_limit(name, timing) for name, timing in products.items()]
    about = (
        f"Synthetic dice of 128 px, one thread, ours in batches of {batch} with templates made ready before; "
        "one item is one image with one template. "
        f"Scores asserted within {TOLERANCE:g} of scikit-image's before."
    )
    figures = {"ncc": rows, "against scikit-image": errors, "limits of the machine": limits}
    return Report("ncc", about, figures, ratios)


def _dice(count: int, seed: int) -> Pixels:
    lots = [draw_lot(np.random.default_rng([seed, number])) for number in range(3)]
    return np.stack(
        [
            render(
                FACES[number % len(FACES)], lots[number % 3], np.random.default_rng([seed, 9, number])
            ).pixels
            for number in range(count)
        ]
    )


def _by_opencv(images: Pixels, templates: Pixels, shift: int) -> Scores:
    crop = slice(shift, -shift or None)
    return np.array(
        [
            [
                cv2.matchTemplate(image, template[crop, crop], cv2.TM_CCOEFF_NORMED).max()
                for template in templates
            ]
            for image in images
        ]
    )


def _by_scikit_image(images: Pixels, templates: Pixels, shift: int) -> Scores:
    crop = slice(shift, -shift or None)
    return np.array(
        [[match_template(image, template[crop, crop]).max() for template in templates] for image in images]
    )


def _ready(images: Pixels, templates: Pixels, shift: int) -> Callable[[], Scores]:
    if shift:
        moved = ShiftTemplates.of(templates, shift)
        return lambda: ncc_shift(images, moved, shift)[0]
    still = Templates.of(templates)
    return lambda: ncc(images, still)


def _assert_equal(images: Pixels, templates: Pixels, shift: int) -> float:
    """Compare as many images as the slow ones do in a round; return our greatest error."""
    few = images[: max(1, PAIRS_OF_SCIKIT_IMAGE // len(templates))]
    expected = _by_scikit_image(few, templates, shift)
    error = float(np.abs(_ready(few, templates, shift)() - expected).max())
    assert error < TOLERANCE
    assert np.abs(_by_opencv(few, templates, shift) - expected).max() < OPENCV_TOLERANCE
    return error


def _candidates(images: Pixels, templates: Pixels, shift: int) -> dict[str, Candidate]:
    count = len(templates)
    some = images[: PAIRS_OF_OPENCV // count]
    few = images[: max(1, PAIRS_OF_SCIKIT_IMAGE // count)]
    return {
        OURS: (_ready(images, templates, shift), len(images) * count),
        OPENCV: (lambda: _by_opencv(some, templates, shift), len(some) * count),
        SCIKIT_IMAGE: (lambda: _by_scikit_image(few, templates, shift), len(few) * count),
    }


def _products(images: Pixels, templates: Pixels, rounds: int) -> dict[str, Timing]:
    """Time sgemm at its best, and on the pixels as they are: what scores without shift cannot fall below."""
    square = np.random.default_rng(0).random((1024, 1024), np.float32)
    rows, columns = (stack.reshape(len(stack), -1).astype(np.float32) for stack in (images, templates))
    return measure(
        {
            "sgemm, 1024 x 1024 x 1024": (lambda: square @ square, 2 * 1024**3),
            f"sgemm, {len(rows)} x {len(columns)} x {rows.shape[1]}": (
                lambda: rows @ columns.T,
                2 * len(rows) * len(columns) * rows.shape[1],
            ),
        },
        rounds,
    )


def _limit(name: str, timing: Timing) -> dict[str, Any]:
    return {"what": name, "GFLOP/s": round(1e-3 / timing.microseconds, 1)}
