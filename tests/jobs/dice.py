"""Synthetic dice for the tests of the jobs, and the scoring command with the real scorer counted.

Run as a program, it scores as `fake_scorer` does, with the real scorer.
"""

import sys
from functools import cache

import fake_scorer
import numpy as np
import samples

from dice_core.defects import Defect
from dice_core.die import FACES
from dice_core.lot import draw_lot
from dice_core.synth import encode_jpeg, render
from jobs.evaluate import evaluate
from jobs.fit import FitSettings, fit
from jobs.shard import load_scorer
from jobs.teaching import Sources

SIZE = 64
THREE = ("00", "04", "07")
GROSS = Defect("scribble", 0.6, 1.0)
LOTS = 3


@cache
def photograph(face, seed, number, defect=None, size=SIZE):
    lot = draw_lot(np.random.default_rng([seed, 0, number % LOTS]))
    rng = np.random.default_rng([seed, 1, FACES.index(face), number])
    return encode_jpeg(render(face, lot, rng, defect, size).pixels)


def good(each, faces=THREE, seed=0, size=SIZE):
    """Good dice in folders of their faces."""
    return [
        (f"{face}/{number:04d}.jpg", photograph(face, seed, number, None, size))
        for face in faces
        for number in range(each)
    ]


def bad(count, faces=THREE, seed=0, folder="ano", size=SIZE):
    """Grossly defective dice, all in one folder."""
    return [
        (
            f"{folder}/{number:04d}.jpg",
            photograph(faces[number % len(faces)], seed, 5000 + number, GROSS, size),
        )
        for number in range(count)
    ]


def teach(folder, listed, **options):
    """Fit on an archive of labelled photographs; the model's path."""
    source = samples.write_tar(folder / "teaching.tar", listed)
    settings = FitSettings(Sources(labelled=(source,)), str(folder / "model.npz"), threads=2, **options)
    fit(settings)
    return settings.model


class Counted:
    """The real scorer; tells of each image as the cheap one does."""

    def __init__(self, scorer):
        self._scorer = scorer
        self.image_size, self.faces, self.anomaly_labels = (
            scorer.image_size,
            scorer.faces,
            scorer.anomaly_labels,
        )

    def score(self, images):
        fake_scorer.told(images)
        return self._scorer.score(images)

    def compare(self, images):
        return self._scorer.compare(images)

    def maps(self, images):
        return self._scorer.maps(images)


def load(path, model_hash):
    return Counted(load_scorer(path, model_hash))


if __name__ == "__main__":
    sys.exit(fake_scorer.main(load, evaluate))
