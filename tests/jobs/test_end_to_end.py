"""Synthetic dice from the archive to the rows, with the real scorer on real processes."""

import json
from pathlib import Path

import dice
import fake_scorer
import pyarrow as pa
import pyarrow.compute as pc
import pytest
import samples

from jobs.config import ScoreSettings
from jobs.errors import ExitCode
from jobs.evaluate import evaluate
from jobs.fit import FitSettings, fit
from jobs.score import score
from jobs.synth import SynthSettings, synth
from jobs.teaching import Sources
from jobs.verify import verify

IMAGES = 66
SHARDS = {"shard_size": 12, "task_images": 24, "max_rejects": "100%"}
WHOLE_SHARDS = 6
CONTAINER = ["archive", "lot", "offset"]
CLOSE = 1e-4


def run(sources, model, out, cluster="serial", load=dice.load, **options):
    sources = (sources,) if isinstance(sources, str) else tuple(sources)
    settings = ScoreSettings(sources, str(model), str(out), cluster, **{**SHARDS, **options})
    return score(settings, evaluate=evaluate, load=load)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A folder with archives for teaching and scoring, as `synth` renders them, and the model of `fit`."""
    folder = tmp_path_factory.mktemp("made")
    synth(SynthSettings(str(folder / "teaching.tar"), 220, seed=1, defects=0.1))
    synth(SynthSettings(str(folder / "lot.tar"), IMAGES, seed=2, defects=0.2))
    synth(SynthSettings(str(folder / "other.tar"), 22, seed=3))
    fit(FitSettings(Sources((str(folder / "teaching.tar"),)), str(folder / "model.npz"), threads=2))
    return folder


@pytest.fixture(scope="module")
def undisturbed(made):
    """The rows of the serial run."""
    result = run(str(made / "lot.tar"), made / "model.npz", made / "serial")
    assert (result.exit_code, result.scored) == (ExitCode.DONE, IMAGES)
    assert verify(str(made / "serial")) == []
    return samples.rows(made / "serial")


@pytest.fixture
def out(tmp_path):
    return tmp_path / "out"


def test_every_photograph_has_its_scores(undisturbed):
    assert undisturbed.num_rows == IMAGES
    assert set(undisturbed["status"].to_pylist()) == {"ok"}
    assert undisturbed["defect_score"].null_count == 0
    assert len(pc.unique(undisturbed["defect_score"])) > IMAGES * 0.9


def test_the_verdicts_are_worth_something(made, undisturbed):  # noqa: ARG001 - makes the rows
    told = evaluate(str(made / "serial"))
    assert told["auroc"] > 0.9


# Whoever scores, the rows are the same to the last bit


@pytest.mark.parametrize("workers", [1, 2])
def test_local_workers_give_the_rows_of_the_serial_run(made, out, undisturbed, workers):
    assert run(str(made / "lot.tar"), made / "model.npz", out, "local", workers=workers).scored == IMAGES
    assert samples.rows(out).equals(undisturbed)
    assert verify(str(out)) == []


def test_a_scheduler_and_a_worker_give_the_rows_of_the_serial_run(made, out, undisturbed, tmp_path):
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"), "1")
    with samples.scheduler(tmp_path) as address, samples.worker(address, **threads):
        result = run(str(made / "lot.tar"), made / "model.npz", out, address)
    assert (result.exit_code, result.summary["failures"]) == (ExitCode.DONE, [])
    assert samples.rows(out).equals(undisturbed)


# Wherever the images lie, the rows are equal


def assert_equal(rows, expected):
    """Other columns equal, floats within 1e-4 relative."""
    assert rows.column_names == expected.column_names
    for name in set(rows.column_names) - set(CONTAINER):
        mine, other = rows[name], expected[name]
        if pa.types.is_floating(mine.type):
            assert mine.to_pylist() == pytest.approx(other.to_pylist(), rel=CLOSE), name
        else:
            assert mine.equals(other), name


@pytest.mark.parametrize(
    "write", [samples.write_tar, samples.write_targz, samples.write_zip, samples.write_folder]
)
def test_the_container_changes_no_row(made, undisturbed, tmp_path, write):
    listed = sorted(samples.read_tar(made / "lot.tar"))
    run(write(tmp_path / "lot", listed), made / "model.npz", tmp_path / "out")
    found = samples.rows(tmp_path / "out")
    assert verify(str(tmp_path / "out")) == []
    # An archive's order is its own, a folder's that of the names: the images are put in one order.
    order = {name: number for number, (name, _) in enumerate(listed)}
    expected = undisturbed.take([undisturbed["member"].to_pylist().index(name) for name in order])
    expected = expected.set_column(1, expected.schema.field("index"), pa.array(range(IMAGES), pa.int64()))
    assert_equal(found, expected)


# Whatever happens, no image is scored twice and none is lost


@pytest.mark.parametrize("cluster", ["serial", "local"])
def test_killed_halfway_and_started_again_gives_the_same_rows(made, out, undisturbed, log, cluster):
    options = {
        **SHARDS,
        "sources": [str(made / "lot.tar")],
        "model": str(made / "model.npz"),
        "out": str(out),
        "cluster": cluster,
        "workers": 1 if cluster == "local" else None,
    }
    environ = {fake_scorer.LOG: str(log), fake_scorer.STOP_AFTER: str(IMAGES // 2)}
    process = samples.start([dice.__file__, json.dumps(options)], **environ)
    samples.wait_for(Path(f"{log}.reached"), process)
    process.kill()
    process.communicate()
    committed = samples.parts(out)
    assert 1 <= len(committed) < WHOLE_SHARDS
    assert not (out / "_summary.json").exists()
    kept = samples.rows(out).num_rows
    log.write_text("")
    again = run(str(made / "lot.tar"), made / "model.npz", out)
    assert again.scored == len(log.read_text().splitlines()) == IMAGES - kept
    assert committed.items() < samples.parts(out).items()
    assert samples.rows(out).equals(undisturbed)
    assert verify(str(out)) == []


def test_a_second_archive_is_scored_alone(made, out, log):
    first, second = str(made / "lot.tar"), str(made / "other.tar")
    run(first, made / "model.npz", out)
    before = samples.parts(out)
    log.write_text("")
    added = run([first, second], made / "model.npz", out)
    assert added.scored == len(log.read_text().splitlines()) == 22
    assert added.summary["rows"] == IMAGES + 22
    assert before.items() < samples.parts(out).items()
    assert verify(str(out)) == []
    assert evaluate(str(out))["images"] == IMAGES + 22
