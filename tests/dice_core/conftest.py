"""Small parts to learn from: two faces on a dark ground, of 32x32 pixels, and what is learnt of them."""

import hashlib

import numpy as np
import pytest

from dice_core.bank import Bank
from dice_core.crossfit import choose_thresholds, cross_fit, ncc_floor
from dice_core.exposure import Exposure
from dice_core.face import Face
from dice_core.learn import Learning, learn
from dice_core.policy import Policy
from dice_core.rows import SCORE_DIRECTIONS
from dice_core.sample import Sample

SIDE = 32


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture(scope="session")
def draw_faces():
    """Photographs of one face, uint8 (N, SIDE, SIDE): a bright disc with dark pips, moved and noisy."""

    def draw(face, count, seed=0, side=SIDE):
        rng = np.random.default_rng([seed, face])
        y, x = np.mgrid[:side, :side] * (SIDE / side)
        drawn = np.empty((count, side, side), np.uint8)
        for image in drawn:
            v, u = rng.uniform(-0.5, 0.5, 2) + (SIDE - 1) / 2
            light = rng.uniform(0.95, 1.05)
            scene = 25 + 150 / (1 + np.exp((np.hypot(y - v, x - u) - 13) * 2))
            for dy, dx in ([(0, 0)], [(-5, -5), (5, 5)], [(-5, 5), (5, -5), (0, 0)])[face]:
                scene -= 110 * np.exp(-((y - v - dy) ** 2 + (x - u - dx) ** 2) / 6)
            image[:] = np.clip(light * scene + rng.normal(0, 2, scene.shape), 0, 255)
        return drawn

    return draw


@pytest.fixture(scope="session")
def sample_of():
    """A sample of images in runs of four, or in the runs that are given."""

    def make(images, runs=None):
        count = len(images)
        return Sample(
            images=images,
            runs=np.arange(count) // 4 if runs is None else np.asarray(runs, np.int64),
            repeats=np.ones(count, np.int64),
            hashes=tuple(hashlib.blake2b(image.tobytes(), digest_size=16).hexdigest() for image in images),
            names=tuple(f"{number}.png" for number in range(count)),
        )

    return make


@pytest.fixture(scope="session")
def nothing():
    """A sample without images, as a sampler that met none gives it."""
    return Sample(np.empty((0, 0, 0), np.uint8), np.empty(0, np.int64), np.empty(0, np.int64), (), ())


@pytest.fixture(scope="session")
def learning():
    return Learning((SIDE, SIDE), components=4, draws=3)


@pytest.fixture(scope="session")
def samples(draw_faces, sample_of):
    return {name: sample_of(draw_faces(face, 24)) for face, name in enumerate(("one", "two"))}


@pytest.fixture(scope="session")
def lessons(samples, learning):
    return learn(samples, learning)


@pytest.fixture(scope="session")
def crossfit(samples, lessons, nothing, learning):
    return cross_fit(samples, lessons, nothing, learning)


@pytest.fixture(scope="session")
def learnt(samples, lessons, crossfit):
    """A bank as fitting makes it, from good images alone."""
    return Bank(
        image_size=(SIDE, SIDE),
        size=(SIDE, SIDE),
        faces=tuple(lesson.face for lesson in lessons),
        anomaly_labels=("ano",),
        ncc_floor=ncc_floor(crossfit),
        thresholds=choose_thresholds(crossfit, Policy()),
        taught=frozenset(content for sample in samples.values() for content in sample.hashes),
    )


@pytest.fixture(scope="session")
def make_face():
    """A face of arbitrary numbers, 12x12 and with two components unless told otherwise."""

    def make(name="a", components=2, side=12, **changes):
        rng = np.random.default_rng(1)

        def numbers(*shape):
            return rng.random(shape, np.float32) + 1

        face = {
            "name": name,
            "images": 3,
            "mean": numbers(side, side),
            "part": rng.random((side, side)) > 0.5,
            "exposure": Exposure(150.5, 160.25),
            "target": numbers(side, side),
            "centre": numbers(side, side),
            "components": numbers(components, side * side) / 2,
            "spread_dark": numbers(side, side),
            "spread_bright": numbers(side, side),
        }
        return Face(**{**face, **changes})

    return make


@pytest.fixture(scope="session")
def make_bank(make_face):
    def make(**changes):
        bank = {
            "image_size": (24, 24),
            "size": (12, 12),
            "faces": (make_face("a"), make_face("ß", components=0)),
            "anomaly_labels": ("ano", "nok"),
            "ncc_floor": 0.3,
            "thresholds": {**dict.fromkeys(SCORE_DIRECTIONS, 0.75), "defect_score": 4.1},
            "taught": frozenset({"00" * 16, "0f" * 16, "ab" * 16}),
        }
        return Bank(**{**bank, **changes})

    return make
