"""A cheap scorer with the protocol of the real one, and the scoring command that uses it.

Run as a program, it scores as the command line would: arguments are the fields of the settings as JSON.
"""

import io
import json
import math
import os
import signal
import sys
import time
from pathlib import Path

import numpy as np

from dice_core.bank import Bank
from dice_core.exposure import Exposure
from dice_core.face import Face
from dice_core.reference import FaceReference, Reference
from dice_core.rows import SCORE_DIRECTIONS
from jobs import storage
from jobs.config import ScoreSettings
from jobs.errors import ExitCode, Refusal, UnfinishedError
from jobs.progress import make_listener
from jobs.rows import BATCH
from jobs.score import score

SIZE = 16
LOG = "FAKE_SCORER_LOG"
STOP_AFTER = "FAKE_SCORER_STOP_AFTER"
DIE_ONCE = "FAKE_SCORER_DIE_ONCE"
DELAY = "FAKE_SCORER_DELAY"

# An image of one level alone does to its worker what the level says.
SUICIDAL, GREEDY, HANGING = 1, 2, 3


def _bank():
    """A bank file, for those who read one; this scorer goes by brightness whatever the bank holds."""
    pixels = np.ones((SIZE, SIZE), np.float32)
    faces = tuple(
        Face(
            name,
            3,
            pixels,
            pixels > 0,
            Exposure(1.0, 2.0),
            pixels,
            pixels,
            np.empty((0, SIZE**2), np.float32),
            pixels,
            pixels,
        )
        for name in BrightnessScorer.faces
    )
    good = {name: FaceReference(math.log(20), 0.05, 100.0) for name in BrightnessScorer.faces}
    bank = Bank(
        (SIZE, SIZE),
        (SIZE, SIZE),
        faces,
        BrightnessScorer.anomaly_labels,
        0.1,
        {**dict.fromkeys(SCORE_DIRECTIONS, 0.5), "defect_score": 60.0},
        frozenset(),
        reference=Reference(good, (-0.7, 0.0, 0.7, 1.3), 1.0, 1.0),
    )
    stream = io.BytesIO()
    bank.write(stream)
    return stream.getvalue()


class BrightnessScorer:
    image_size = (SIZE, SIZE)
    faces = ("bright", "dark")
    anomaly_labels = ("ano",)

    def score(self, images):
        assert images.dtype == np.uint8
        assert images.shape[1:] == self.image_size
        assert len(images) <= BATCH
        told(images)
        _die_once(images)
        time.sleep(0 if _warms(images) else float(os.environ.get(DELAY, "0")))
        for image in images:
            _poison(image)
        mean = images.mean(axis=(1, 2), dtype=np.float64)
        spread = images.std(axis=(1, 2), dtype=np.float64)
        whole = mean.astype(np.int64)
        return {
            "face": np.where(mean > 128, "bright", "dark"),
            "ncc": (mean / 255).astype(np.float32),
            "ncc_margin": np.abs(mean - 128) / 255,
            "ssim": mean / 300,
            "ssim_rebuilt": mean / 400,
            "ssim_low": mean / 500,
            "defect_score": spread,
            "defect_peak_x": whole % 7,
            "defect_peak_y": whole % 5,
            "defect_x": whole % 7,
            "defect_y": whole % 5,
            "defect_width": whole % 3,
            "defect_height": whole % 2,
            "defect_area": whole,
            "defect_regions": whole % 2,
            "defect_dark": whole % 11,
            "defect_bright": whole % 13,
            "verdict": np.select([mean < 10, spread > 60], ["unknown_part", "anomaly"], "good"),
        }

    def compare(self, images):
        mean = images.mean(axis=(1, 2), dtype=np.float64)
        both = np.stack([mean, 255 - mean], axis=1)
        return {
            "ncc_shifted": both / 255,
            "shift_x": both.astype(np.int64) % 3,
            "shift_y": both.astype(np.int64) % 2,
            "ssim_faces": both / 300,
        }

    def maps(self, images):
        return images.astype(np.float32) / 128 - 1


class Kernels:
    """Stands for kernels that take half a second to compile, in whatever process; notes which."""

    def __init__(self, folder):
        self.folder = folder

    def __call__(self, _settings):
        (self.folder / f"{os.getpid()}").touch()
        return 0.5


MODEL = _bank()


def load(path, _model_hash):
    if storage.read(path) != MODEL:
        raise ValueError("no model of this version")
    return BrightnessScorer()


def _warms(images):
    """Tell whether this is the call that makes the kernels ready: no other has a black image."""
    return not images[0].any()


def told(images):
    """Write one line per image, and stop for good after so many, until someone kills this process."""
    log = os.environ.get(LOG)
    if log is None or _warms(images):
        return
    lines = "".join(f"{image.tobytes().hex()[:64]}\n" for image in images)
    with Path(log).open("a") as file:
        file.write(lines)
    limit = os.environ.get(STOP_AFTER)
    if limit is not None and len(Path(log).read_text().splitlines()) >= int(limit):
        Path(f"{log}.reached").touch()
        time.sleep(300)


def _die_once(images):
    """Kill this process, unless the file that tells that this has been done is there."""
    mark = os.environ.get(DIE_ONCE)
    if mark is not None and not _warms(images) and not Path(mark).exists():
        Path(mark).touch()
        os.kill(os.getpid(), signal.SIGKILL)


def _poison(image):
    level = int(image[0, 0])
    if level not in (SUICIDAL, GREEDY, HANGING) or np.ptp(image):
        return
    if level == SUICIDAL:
        os.kill(os.getpid(), signal.SIGKILL)
    held = []
    while level == GREEDY:
        held.append(np.ones(8 << 20))
        time.sleep(0.01)
    while True:  # without ever giving the interpreter to another thread
        sum(range(10**9))


def evaluate(out):
    return {"evaluated": Path(out).name}


def main(load=load, evaluate=evaluate):
    options = json.loads(sys.argv[1])
    settings = ScoreSettings(**{**options, "sources": tuple(options["sources"])})
    try:
        result = score(settings, evaluate=evaluate, listener=make_listener(), load=load)
    except Refusal as error:
        print(error, file=sys.stderr)  # noqa: T201
        return ExitCode.REFUSED
    except UnfinishedError as error:
        print(error, file=sys.stderr)  # noqa: T201
        return ExitCode.SHARDS_FAILED
    for failure in result.summary.get("failures", ()):
        print(failure["error"], file=sys.stderr)  # noqa: T201
    return result.exit_code


if __name__ == "__main__":
    sys.exit(main())
