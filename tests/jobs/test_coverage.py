from contextlib import nullcontext
from pathlib import Path

import fake_scorer
import pytest
import samples

from jobs import parts, storage
from jobs.caveats import incomplete
from jobs.config import ScoreSettings
from jobs.coverage import GAPS_TOLD, cover
from jobs.errors import ExitCode, Refusal
from jobs.events import Committed
from jobs.score import score
from jobs.verify import verify


@pytest.fixture
def out(tmp_path):
    return tmp_path / "out"


@pytest.fixture
def run(model, out):
    def start(*sources, **options):
        cuts = {"shard_size": 16, "task_images": 1}
        settings = ScoreSettings(sources, model, str(out), "serial", max_rejects="100%", **cuts)
        return score(settings, evaluate=fake_scorer.evaluate, load=fake_scorer.load, **options)

    return start


@pytest.fixture
def targz(tmp_path):
    return samples.write_targz(tmp_path / "lot2.tar.gz", samples.members(30, seed=2))


def part(out, number):
    return sorted(out.glob("part-*"))[number]


def first(out):
    """The first line that tells what is missing, and the others."""
    lines = incomplete(cover(str(out)).told())
    return (lines[0], lines[1:]) if lines else None


def test_a_job_that_has_ended_is_complete(run, tar, targz, out):
    summary = run(tar, targz).summary
    assert (summary["complete"], summary["missing"]) == (True, None)
    covered = cover(str(out))
    assert (covered.complete, covered.planned, covered.told()) == (True, 4, None)
    assert first(out) is None


def test_nothing_is_opened_but_the_lists(run, tar, out, monkeypatch):
    run(tar)
    part(out, 1).unlink()
    (Path(tar)).unlink()
    opened = []
    samples.note_opened(monkeypatch, opened)
    assert not cover(str(out)).complete
    assert set(opened) == {"_plan.parquet", "_parts.parquet"}


def test_missing_shards_are_told_with_their_share_archive_and_rows(run, tar, targz, out):
    run(tar, targz)
    (gone,) = (path for path in out.glob("part-*") if path.name.endswith("-0000000032.parquet"))
    gone.unlink()
    line, gaps = first(out)
    assert line == "INCOMPLETE: 1 of 4 planned shards (25.00%) are missing; the same score command goes on"
    assert gaps == [f"  {tar}: 1 of 3 shards, 8 of 40 rows missing"]


def test_a_stream_that_is_missing_has_rows_that_nobody_has_counted(run, targz, out):
    run(targz)
    part(out, 0).unlink()
    assert first(out)[1] == [f"  {targz}: 1 of 1 shards missing"]


def test_ten_archives_are_named_and_the_rest_counted(run, out, tmp_path):
    lots = [samples.write_tar(tmp_path / f"{n:02d}.tar", samples.images(4, n)) for n in range(GAPS_TOLD + 3)]
    run(*lots)
    for path in out.glob("part-*"):
        path.unlink()
    line, gaps = first(out)
    assert line.startswith("INCOMPLETE: 13 of 13 planned shards (100.00%) are missing")
    assert gaps == [*(f"  {lot}: 1 of 1 shards, 4 of 4 rows missing" for lot in lots[:10]), "  and 3 more"]
    assert cover(str(out)).told()["archives"] == 13


def test_a_job_that_never_ended_is_incomplete_though_no_row_is_missing(run, tar, out):
    run(tar)
    (out / "_summary.json").unlink()
    line, gaps = first(out)
    assert line.startswith("INCOMPLETE: all 3 planned shards are there, but the job has not ended; ")
    assert gaps == []


def test_a_job_whose_list_is_older_than_its_parts_has_not_ended(run, tar, targz, out):
    run(tar)
    older = (out / "_parts.parquet").read_bytes()
    run(tar, targz)
    (out / "_parts.parquet").write_bytes(older)
    assert "has not ended" in first(out)[0]


def test_a_job_without_a_plan_is_incomplete(run, tar, out):
    run(tar)
    (out / "_plan.parquet").unlink()
    assert first(out) == (
        "INCOMPLETE: the job has not ended, and what was planned is not told; the same score command goes on",
        [],
    )
    assert run(tar).summary["complete"]
    assert verify(str(out)) == []


def test_parts_that_were_not_planned_make_a_job_incomplete(run, tar, out):
    run(tar)
    (out / f"part-{'0' * 12}-{'0' * 12}-{0:010d}.parquet").write_bytes(part(out, 0).read_bytes())
    assert "all 3 planned shards are there, and 1 that were not planned" in first(out)[0]


class Stopping:
    """Ends a job as Ctrl-C does, after so many parts."""

    def __init__(self, after):
        self._after = after

    def __call__(self, event):
        self._after -= isinstance(event, Committed)
        if not self._after:
            raise KeyboardInterrupt


def test_an_interrupted_job_is_incomplete_and_goes_on(run, tar, targz, out):
    assert run(tar, targz, listener=Stopping(1)).exit_code is ExitCode.INTERRUPTED
    assert "missing; the same score command goes on" in first(out)[0]
    assert run(tar, targz).summary["complete"]
    assert first(out) is None


def test_sources_added_and_not_scored_make_a_job_incomplete_that_ended_before(run, tar, targz, out):
    run(targz)
    run(targz, tar, listener=Stopping(1))
    assert first(out) == (
        "INCOMPLETE: 2 of 4 planned shards (50.00%) are missing; the same score command goes on",
        [f"  {tar}: 2 of 3 shards, 24 of 40 rows missing"],
    )


def test_what_an_earlier_command_planned_is_missing_for_a_later_one_too(run, tar, targz, out):
    run(tar, targz, listener=Stopping(1))
    summary = run(tar).summary
    assert summary["complete"] is False
    assert summary["missing"] == cover(str(out)).told() | {"ended": True}
    assert first(out)[1] == [f"  {targz}: 1 of 1 shards missing"]
    assert summary["evaluation"]["complete"] is False
    assert run(tar, targz).summary["complete"]


def test_a_failed_shard_is_missing(run, tar, monkeypatch):
    def failing(*_):
        raise FileNotFoundError(2, "No such file or directory")  # which is not tried again

    monkeypatch.setattr("jobs.shard.members", failing)
    summary = run(tar).summary
    assert (summary["complete"], summary["missing"]["missing_shards"]) == (False, 3)


def test_a_start_that_is_killed_at_any_write_leaves_no_job_that_calls_itself_complete(
    run, tar, targz, out, monkeypatch
):
    """Whatever was written when the process died, the sources it was asked for are told of as missing."""
    run(targz)
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    writing = storage.writing
    for survived in range(20):
        for path in out.iterdir():
            path.unlink()
        for name, content in before.items():
            (out / name).write_bytes(content)
        left = iter(range(survived))

        def failing(url, left=left, **options):
            if next(left, None) is None:
                raise KeyboardInterrupt
            return writing(url, **options)

        monkeypatch.setattr(storage, "writing", failing)
        ended = run(targz, tar).exit_code is not ExitCode.INTERRUPTED
        monkeypatch.undo()
        assert cover(str(out)).complete is ended, survived
        if ended:
            break
    assert survived > 5
    assert ended


@pytest.mark.parametrize("name", ["_plan.parquet", "_parts.parquet", "_summary.json"])
def test_refuses_a_damaged_list(run, tar, out, name):
    run(tar)
    (out / name).write_bytes(b"nonsense")
    with pytest.raises(Refusal, match=r"not a .*: the same score command writes it anew"):
        cover(str(out))
    run(tar)
    assert cover(str(out)).complete
    assert verify(str(out)) == []


def test_refuses_what_is_no_job(tmp_path):
    with pytest.raises(Refusal, match="not a job folder"):
        cover(str(tmp_path))


def test_of_two_scores_that_do_not_see_each_others_hold_no_row_is_lost_or_doubled(
    run, tar, targz, out, monkeypatch
):
    """The second starts and ends while the first is at its first part."""

    overtaken = []

    def overtaking(event):
        if isinstance(event, Committed) and not overtaken:
            overtaken.append(event)
            monkeypatch.undo()
            monkeypatch.setattr(storage, "held", lambda _, **__: nullcontext())
            assert run(tar, targz).summary["complete"]

    monkeypatch.setattr(storage, "held", lambda _, **__: nullcontext())
    run(tar, targz, listener=overtaking)
    assert samples.rows(out).num_rows == 70
    assert cover(str(out)).complete
    assert verify(str(out)) == []


def test_a_list_that_another_score_made_too_short_is_told_and_written_anew(run, tar, targz, out):
    run(tar, targz)
    listed = list(parts.listed(str(out)))
    with parts.listing(str(out)) as add:
        for report in listed[:-1]:
            add(report)
    assert "has not ended" in first(out)[0]
    again = run(tar, targz)
    assert (again.scored, again.summary["complete"]) == (0, True)
    assert verify(str(out)) == []
