"""What happens when processes are killed, images are poisonous, disks full and storage down."""

import json
import os
import subprocess
import threading
from contextlib import ExitStack
from pathlib import Path

import chaos
import fake_scorer
import numpy as np
import pytest
import samples
import simplejpeg
from fake_scorer import GREEDY, HANGING, SIZE, SUICIDAL

from jobs import cluster, plan
from jobs.config import ScoreSettings
from jobs.errors import ExitCode
from jobs.parquet import digest
from jobs.score import score
from jobs.shard import ShardSettings, score_shard
from jobs.verify import verify


@pytest.fixture(scope="module")
def storm(tmp_path_factory):
    return chaos.Chaos(tmp_path_factory.mktemp("storm"), archives=10, images=20, delay=0.2)


def settings(sources, model, out, **more):
    options = {"workers": 2, "shard_size": 4, "task_images": 4, "max_rejects": "100%"} | more
    return ScoreSettings(tuple(sources), model, str(out), **options)


def flat(level):
    return simplejpeg.encode_jpeg(np.full((SIZE, SIZE, 1), level, np.uint8), quality=100, colorspace="GRAY")


def test_workers_killed_from_outside_cost_nothing(storm, tmp_path):
    out = tmp_path / "out"
    process = storm.start(out, workers=2)
    assert chaos.kill_workers(process, out, every=4, most=2, seed=0) == 2
    stderr = process.communicate(timeout=chaos.DEADLINE)[1]
    assert process.returncode == 0, stderr
    assert storm.differences(out) == {}


def test_only_the_image_that_kills_is_lost(model, tmp_path, monkeypatch):
    """By a signal, for lack of memory, and by hanging without ever letting go of the interpreter."""
    sources, poison = [], {"crash.tar": (1, SUICIDAL), "greed.tar": (6, GREEDY), "hang.tar": (3, HANGING)}
    for number, (name, (index, level)) in enumerate(poison.items()):
        listed = samples.images(8, number)
        listed[index] = (listed[index][0], flat(level))
        sources.append(samples.write_tar(tmp_path / name, listed))
    monkeypatch.setattr(cluster, "usable_memory", lambda: 2 << 30)
    asked = settings(sources, model, tmp_path / "out", task_timeout=1.0)
    result = score(asked, evaluate=fake_scorer.evaluate, load=fake_scorer.load)
    assert (result.exit_code, result.summary["failures"]) == (ExitCode.DONE, [])
    rows = samples.rows(tmp_path / "out").to_pylist()
    assert [row["index"] for row in rows] == 3 * list(range(8))
    lost = {Path(row["archive"]).name: row["index"] for row in rows if row["status"] != "ok"}
    assert lost == {name: index for name, (index, _) in poison.items()}
    assert result.summary["reasons"] == {"killed_worker": 3}
    assert verify(str(tmp_path / "out")) == []


SHARES = (0.1, 0.5, 0.9)


def go_on(storm, out, log, at, **more):
    """Start the command again, until so many shards are there; the process, and the parts that were."""
    before = samples.parts(out) if out.exists() else {}
    process = storm.start(out, workers=1, environ=storm.halted(log, at - len(before)), **more)
    samples.wait_for(Path(f"{log}.reached"), process)
    return process, before


def check_the_end(storm, out, log, **more):
    """End the job, and see that nothing was scored twice and nothing is left over."""
    before = samples.parts(out)
    code, stderr = storm.finish(out, workers=1, environ={fake_scorer.LOG: str(log)}, **more)
    assert code == 0, stderr
    assert before.items() <= samples.parts(out).items()
    assert len(log.read_text().split()) == storm.images * (storm.archives - len(before))
    assert storm.differences(out) == {}


@pytest.mark.parametrize("kill", [chaos.kill_client, chaos.kill_group], ids=["client", "group"])
def test_killed_at_10_50_and_90_percent_the_same_command_ends_the_job(storm, tmp_path, kill):
    out = tmp_path / "out"
    for share in SHARES:
        at = round(share * storm.archives)
        process, before = go_on(storm, out, tmp_path / f"log{share}", at)
        kill(process)
        assert len(samples.parts(out)) == at
        assert before.items() <= samples.parts(out).items()
        chaos.kill_group(process)
    check_the_end(storm, out, tmp_path / "log")


def test_a_scheduler_killed_at_10_50_and_90_percent_is_exit_code_4_and_the_same_command_ends_the_job(
    storm, tmp_path
):
    out, address = tmp_path / "out", None
    for share in SHARES:
        at, log = round(share * storm.archives), tmp_path / f"log{share}"
        place = tmp_path / f"scheduler{share}"
        place.mkdir()
        with ExitStack() as opened:
            address, scheduler = opened.enter_context(samples.scheduler_process(place, address))
            environ = storm.halted(log, at - chaos.committed(out))
            opened.enter_context(samples.worker(address, **environ))
            process, before = go_on(storm, out, log, at, cluster=address)
            scheduler.kill()
            stderr = process.communicate(timeout=chaos.DEADLINE)[1]
        assert process.returncode == ExitCode.SHARDS_FAILED, stderr
        assert "Traceback" not in stderr, stderr
        summary = json.loads((out / "_summary.json").read_text())
        assert not summary["complete"]
        assert "the scheduler is gone: what is committed stays" in summary["failures"][0]["error"]
        assert len(samples.parts(out)) == at
        assert before.items() <= samples.parts(out).items()
    check_the_end(storm, out, tmp_path / "log")


def test_the_same_shard_run_twice_at_once_is_one_part(tmp_path, tar, model):
    meeting = threading.Barrier(2, timeout=30)

    class Meeting(fake_scorer.BrightnessScorer):
        def score(self, images):
            meeting.wait()
            return super().score(images)

    out = tmp_path / "out"
    out.mkdir()
    asked = ShardSettings(str(out), model, digest(fake_scorer.MODEL), "f" * 32)
    (shard,) = plan.shards([plan.survey(tar, 100)])
    reports = []
    threads = [
        threading.Thread(target=lambda: reports.append(score_shard(shard, asked, Meeting()))) for _ in "ab"
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert reports[0] == reports[1]
    assert samples.names(out) == [shard.part]
    assert digest((out / shard.part).read_bytes()) == reports[0].hash


def test_of_two_that_start_the_same_job_at_once_one_is_refused_and_the_rows_are_right(storm, tmp_path):
    out = tmp_path / "out"
    both = [storm.start(out, workers=1, sources=storm.sources[:4]) for _ in "ab"]
    told = [process.communicate(timeout=chaos.DEADLINE)[1] for process in both]
    codes = sorted(process.returncode for process in both)
    assert codes == [ExitCode.DONE, ExitCode.REFUSED], told
    assert sum("another score is at work in it" in text for text in told) == 1
    assert storm.finish(out, workers=1)[0] == 0
    assert storm.differences(out) == {}


@pytest.fixture
def small_disk(tmp_path):
    """A file system of two megabytes."""
    if os.geteuid() != 0:
        pytest.skip("only root may mount a file system: a full disk is NOT tested")
    place = tmp_path / "disk"
    place.mkdir()
    mounted = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(place)]
    done = subprocess.run(mounted, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"no tmpfs can be mounted here ({done.stderr.strip()}): a full disk is NOT tested")
    yield place
    subprocess.run(["umount", str(place)], check=True)


@pytest.mark.parametrize("spec", ["serial", "local"])
def test_a_full_disk_ends_with_4_and_room_is_all_it_needs(storm, small_disk, spec):
    out = small_disk / "out"
    code, stderr = storm.finish(out, cluster=spec, workers=1, sources=storm.sources[:4])
    assert code == 0, stderr
    before = samples.parts(out)
    ballast = small_disk / "ballast"
    free = os.statvfs(small_disk)
    ballast.write_bytes(bytes(free.f_bavail * free.f_bsize - (48 << 10)))
    code, stderr = storm.finish(out, cluster=spec, workers=1)
    assert code == ExitCode.SHARDS_FAILED, stderr
    assert "No space left on device" in stderr
    assert before.items() <= samples.parts(out).items()
    ballast.unlink()
    assert storm.finish(out, cluster=spec, workers=1)[0] == 0
    assert before.items() <= samples.parts(out).items()
    assert storm.differences(out) == {}
    assert verify(str(out)) == []
