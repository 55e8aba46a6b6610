"""The job ``demo``: the whole way on synthetic dice, from archives to F1, in about a minute."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from jobs import storage
from jobs.config import ScoreSettings
from jobs.errors import Refusal
from jobs.evaluate import evaluate
from jobs.events import Listener
from jobs.fit import FitResult, FitSettings, fit
from jobs.score import ScoreResult, score
from jobs.synth import SynthSettings, synth
from jobs.teaching import Sources

TRAINING_IMAGES = 2200
TRAINING_SEED = 1
SCORED_SEED = 2

Say = Callable[[str], None]


@dataclass(frozen=True)
class DemoResult:
    """What the demo made, and where it lies."""

    fitted: FitResult
    scored: ScoreResult
    evaluation: Mapping[str, Any]
    model: str
    rows: str


def demo(out: str, images: int, *, threads: int, say: Say, listener: Listener) -> DemoResult:
    """Render dice for teaching and others, of other lots, for scoring; fit, score, evaluate.

    Parameters
    ----------
    out
        Folder for archives, model and rows; what an earlier demo left there is replaced.
    images
        Photographs to score.
    threads
        Faces to learn at once.
    say
        Told each step, a line at a time.
    listener
        Hears how far the scoring is.

    Raises
    ------
    Refusal
        Where `images` or the folder is not taken.
    """
    training = SynthSettings(storage.join(out, "training.tar"), TRAINING_IMAGES, TRAINING_SEED)
    inspected = SynthSettings(storage.join(out, "inspected.tar"), images, SCORED_SEED)
    try:
        storage.make_folder(out)
    except OSError as error:
        raise Refusal(f"{out}: {error.strerror or error}: name a folder to write to with --out") from error
    for archive in (training, inspected):
        say(f"rendering {archive.images:,} dice into {archive.out}")
        synth(archive)
    model = storage.join(out, "model.npz")
    fitted = fit(FitSettings(Sources(labelled=(training.out,)), model, threads=threads), say)
    rows = storage.join(out, "rows")
    settings = ScoreSettings(sources=(inspected.out,), model=model, out=rows, overwrite=True)
    scored = score(settings, evaluate=evaluate, listener=listener)
    return DemoResult(fitted, scored, evaluate(rows), model, rows)
