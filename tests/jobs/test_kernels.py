import json
import sys
from uuid import uuid4

import numpy as np
import pytest
import samples
from fake_scorer import SIZE, BrightnessScorer

from jobs import plan
from jobs.kernels import Ready, announced, examples, make_ready
from jobs.parquet import digest
from jobs.shard import ShardSettings, load_scorer, score_bundle


def variants():
    """How many kinds of arguments each kernel has been compiled for, or loaded for, in this process."""
    modules = [module for name, module in sys.modules.items() if name.startswith("dice_core.")]
    return {
        f"{module.__name__}.{name}": len(kernel.signatures)
        for module in modules
        for name, kernel in vars(module).items()
        if hasattr(kernel, "signatures")
    }


def settings_of(model, out, maps):
    with open(model, "rb") as file:  # noqa: PTH123
        model_hash = digest(file.read())
    return ShardSettings(out, model, model_hash, "f" * 32, maps=maps, exhaustive=True)


def main(model, source, out):
    settings = settings_of(model, out, out)
    make_ready(settings)
    ready = variants()
    score_bundle(settings, plan.Bundle(tuple(plan.shards([plan.survey(source, 100)]))))
    print(json.dumps({"ready": ready, "scored": variants()}))  # noqa: T201


def test_no_kernel_is_left_for_the_first_shard(dice_model, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    source = dice_model.replace("model.npz", "teaching.tar")
    process = samples.start([__file__, dice_model, source, str(out)])
    told, errors = process.communicate(timeout=200)
    assert process.returncode == 0, errors
    counted = json.loads(told)
    assert counted["ready"] == counted["scored"]
    assert sum(counted["ready"].values()) >= 10


class Compiling:
    """A scorer that has a kernel of its own."""

    image_size = (8, 8)
    faces = ("a",)
    anomaly_labels = ()

    def __init__(self):
        from numba import njit  # noqa: PLC0415

        self.kernel = njit(lambda image: image.sum())
        self.called = []

    def score(self, images):
        self.called.append("score")
        return self.kernel(images)

    def compare(self, images):
        self.called.append("compare")
        return self.kernel(images)

    def maps(self, images):
        self.called.append("maps")
        return self.kernel(images)


@pytest.mark.parametrize(
    ("options", "called"),
    [({}, ["score"]), ({"exhaustive": True}, ["score", "compare"]), ({"maps": "maps"}, ["score", "maps"])],
)
def test_what_was_compiled_is_told_once(options, called):
    scorer = Compiling()
    settings = ShardSettings("out", "model", "hash", "f", load_scorer=lambda *_: scorer, **options)
    assert make_ready(settings) > 0
    assert make_ready(settings) == 0
    assert scorer.called == called * 2


def test_the_first_kernel_that_is_compiled_is_announced_and_no_other():
    told = []
    one, other = Compiling().kernel, Compiling().kernel
    with announced(lambda: told.append("compiling")):
        assert told == []
        one(np.zeros(3))
        one(np.zeros(3))
        other(np.zeros(3))
        assert told == ["compiling"]
    Compiling().kernel(np.zeros(3))
    with announced(lambda: told.append("again")):
        one(np.zeros(3))
    assert told == ["compiling"]


def test_a_process_is_made_ready_once_by_its_first_task(tmp_path, model, tar):
    scored = []

    def load(*_):
        scorer = BrightnessScorer()
        scorer.score = lambda images: scored.append(len(images)) or BrightnessScorer.score(scorer, images)
        return scorer

    settings = ShardSettings(str(tmp_path), model, uuid4().hex, "f", shard_size=16, load_scorer=load)
    for shard in plan.shards([plan.survey(tar, 16)]):
        Ready(settings)(plan.Bundle((shard,)))
    assert scored[0] == len(examples((SIZE, SIZE)))
    assert len(scored) == 1 + 3


def test_a_model_that_is_not_the_jobs_makes_nothing_ready(dice_model):
    settings = ShardSettings("out", dice_model, "0" * 32, "f", load_scorer=load_scorer)
    with pytest.raises(ValueError, match="its hash differs"):
        make_ready(settings)


def test_the_examples_are_black_noise_and_noise_with_a_blot():
    black, noise, blot = examples((16, 24))
    assert black.shape == noise.shape == (16, 24)
    assert not black.any()
    assert 100 < noise.mean() < 155
    assert not blot[4:8, 6:12].any()
    assert np.count_nonzero(blot != noise) <= 24


if __name__ == "__main__":
    main(*sys.argv[1:])
