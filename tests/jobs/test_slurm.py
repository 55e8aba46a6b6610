"""The job on a real SLURM of one node: workers as jobs, the whole job inside one, and as an array."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import dice
import fake_scorer
import pytest
import samples
import slurm

from jobs.check import check
from jobs.config import ScoreSettings
from jobs.errors import ExitCode, Refusal
from jobs.events import Committed
from jobs.fit import FitSettings, fit
from jobs.score import score
from jobs.teaching import Sources
from jobs.verify import verify

DEPLOY = Path(__file__).parents[2] / "deploy"
PROGRAM = Path(sys.executable).parent


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    with slurm.running(tmp_path_factory.mktemp("slurm")) as cluster:
        yield cluster


@pytest.fixture
def here(cluster, tmp_path, monkeypatch):
    """A folder to send jobs from, with a package in it that is called as ours is."""
    folder = tmp_path / "here"
    (folder / "jobs").mkdir(parents=True)
    (folder / "jobs" / "__init__.py").write_text("raise ImportError('not this one')")
    monkeypatch.chdir(folder)
    wanted = {**samples.environment(), **cluster.environment}
    for name, value in {**wanted, "PATH": f"{PROGRAM}:{os.environ['PATH']}"}.items():
        monkeypatch.setenv(name, value)
    return folder


@pytest.fixture
def alone(lot, dice_model, tmp_path):
    """The rows of the serial run."""
    command([lot], dice_model, tmp_path / "alone", "--cluster", "serial")
    return samples.rows(tmp_path / "alone")


@pytest.fixture(scope="module")
def lot(tmp_path_factory):
    return samples.write_tar(tmp_path_factory.mktemp("lot") / "lot.tar", [*dice.bad(6), *dice.good(18)])


def command(lots, model, out, *more):
    arguments = ["score", *lots, "--model", model, "--out", out, "--max-rejects", "100%", *more]
    done = subprocess.run(
        [PROGRAM / "python", "-m", "jobs", *map(str, arguments)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done


def test_a_job_killed_midway_costs_no_row_and_leaves_nothing_in_the_queue(
    cluster, here, model, tmp_path, monkeypatch
):
    monkeypatch.setenv(fake_scorer.DELAY, "0.1")
    archive = samples.write_tar(tmp_path / "fake.tar", samples.images(200))
    killed = []

    def kill(event):
        if isinstance(event, Committed) and not killed and len(cluster.queue("running")) > 1:
            killed.append(cluster.queue("running")[0])
            cluster.run("scancel", killed[0])

    def run(out, spec, heard=lambda event: None, **options):
        settings = ScoreSettings(
            (archive,), model, str(tmp_path / out), cluster=spec, shard_size=5, task_images=5, **options
        )
        result = score(settings, evaluate=fake_scorer.evaluate, listener=heard, load=fake_scorer.load)
        assert result.exit_code is ExitCode.DONE
        return samples.rows(tmp_path / out), result.summary

    rows, told = run("queue", str(DEPLOY / "slurm.yaml"), kill, workers=2)
    assert killed
    assert told["workers_lost"] >= 1
    assert rows.equals(run("alone", "serial")[0])
    cluster.wait_for(lambda: not cluster.active())
    assert not list(here.glob(".dask-jobqueue*"))
    assert list((here / "dice-inspect-logs").glob("dice-inspect-*"))


def test_real_photographs_through_the_queue_by_the_command_alone(cluster, here, known_archive, tmp_path):
    model = tmp_path / "model.npz"
    fit(FitSettings(Sources(labelled=(str(known_archive),)), str(model), size=64, threads=2))
    nights = [shutil.copy(known_archive, tmp_path / f"night{night}.tar") for night in range(4)]
    alone, queued, log = tmp_path / "alone", tmp_path / "queued", here / "log"
    command([known_archive, *nights], model, alone, "--cluster", "serial")
    arguments = ["--out", queued, "--cluster", DEPLOY / "slurm.yaml", "--workers", "2", "--log-json", log]
    with subprocess.Popen(
        [PROGRAM / "python", "-m", "jobs", "score", known_archive, *nights, "--model", model, *arguments]
    ) as job:
        cluster.wait_for(lambda: job.poll() is not None or samples.parts(queued), 120)
        cluster.run("scancel", cluster.queue("running")[0])
        assert job.wait(240) == ExitCode.DONE
    assert "worker_lost" in {json.loads(line)["event"] for line in log.read_text().splitlines()}
    assert samples.rows(queued).equals(samples.rows(alone))
    assert list(verify(str(queued))) == []
    cluster.wait_for(lambda: not cluster.active())


def test_the_whole_job_in_one_allocation_and_as_an_array_give_the_rows_of_one(
    cluster, here, lot, dice_model, alone, tmp_path
):
    arguments = [lot, "--model", dice_model, "--max-rejects", "100%"]
    whole, shared = tmp_path / "whole", tmp_path / "shared"
    cluster.run("sbatch", DEPLOY / "dice.sbatch", *arguments, "--out", whole)
    array = ("sbatch", "--parsable", "--array=1-3", DEPLOY / "dice-array.sbatch")
    number = cluster.run(*array, *arguments, "--out", shared).strip()
    merge = f"{PROGRAM}/python -m jobs merge {shared} --max-rejects 100%"
    cluster.run("sbatch", f"--dependency=afterok:{number}", "--wrap", merge)
    cluster.wait_for(lambda: not cluster.active(), 120)
    log = "\n".join(path.read_text() for path in here.glob("slurm-*.out"))
    for out in (whole, shared):
        assert (out / "_summary.json").exists(), log
        assert samples.rows(out).equals(alone)
    assert list(verify(str(shared))) == []


@pytest.mark.usefixtures("here")
def test_what_the_queue_does_not_take_is_told_in_one_line(cluster, tmp_path):
    spec = tmp_path / "nowhere.yaml"
    text = "cluster: dask_jobqueue.SLURMCluster\nscale: 1\nwait: 3\narguments:\n  cores: 1\n"
    text += "  memory: 1GB\n  interface: lo\n"
    spec.write_text(f"{text}  queue: nowhere\n")
    with pytest.raises(Refusal, match="the queue takes no job: sbatch: error: invalid partition"):
        check(str(spec), [], None)
    spec.write_text(f"{text}  log_directory: logs\n  job_script_prologue: ['echo lost; exit 1']\n")
    with pytest.raises(Refusal) as refused:
        check(str(spec), [], None)
    told = str(refused.value)
    assert "no worker within 3 s: the scheduler listens on tls://127.0.0.1:" in told
    assert "(interface lo)" in told
    assert "are no more in it" in told
    assert told.endswith(".out: lost")
    spec.write_text(f"{text}  job_extra_directives: ['--hold']\n")
    with pytest.raises(Refusal, match=r"queue: \d+ PENDING JobHeldUser; worker's log: nothing in"):
        check(str(spec), [], None)
    cluster.wait_for(lambda: not cluster.active())
