"""A cheap scorer with the protocol of the real one, and the scoring command that uses it.

Run as a program, it scores as the command line would: arguments are the fields of the settings as JSON.
"""

import json
import os
import signal
import sys
import time
from pathlib import Path

import numpy as np

from jobs.config import ScoreSettings
from jobs.progress import make_listener
from jobs.rows import BATCH
from jobs.score import score

MODEL = b"a model that tells dark from bright"
SIZE = 16
LOG = "FAKE_SCORER_LOG"
STOP_AFTER = "FAKE_SCORER_STOP_AFTER"
DIE_ONCE = "FAKE_SCORER_DIE_ONCE"


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
            "defect_x": whole % 7,
            "defect_y": whole % 5,
            "defect_width": whole % 3,
            "defect_height": whole % 2,
            "defect_area": whole,
            "verdict": np.select([mean < 10, spread > 60], ["unknown_part", "anomaly"], "good"),
        }


def load(path, _model_hash):
    if Path(path).read_bytes() != MODEL:
        raise ValueError("no model of this version")
    return BrightnessScorer()


def told(images):
    """Write one line per image, and stop for good after so many, until someone kills this process."""
    log = os.environ.get(LOG)
    if log is None or not images.any():  # all black: the call that warms the kernels
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
    if mark is not None and images.any() and not Path(mark).exists():
        Path(mark).touch()
        os.kill(os.getpid(), signal.SIGKILL)


def evaluate(out):
    return {"evaluated": Path(out).name}


def main(load=load, evaluate=evaluate):
    options = json.loads(sys.argv[1])
    settings = ScoreSettings(**{**options, "sources": tuple(options["sources"])})
    return score(settings, evaluate=evaluate, listener=make_listener(), load=load).exit_code


if __name__ == "__main__":
    sys.exit(main())
