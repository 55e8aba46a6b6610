import json
import re
from itertools import count

import fake_scorer
import pytest
import samples

from jobs.config import ScoreSettings
from jobs.deadline import Deadline
from jobs.errors import ExitCode, Refusal
from jobs.merge import merge
from jobs.score import score
from jobs.verify import verify


@pytest.fixture
def sources(tmp_path):
    return tuple(
        samples.write_tar(tmp_path / f"{name}.tar", samples.images(count, seed))
        for seed, (name, count) in enumerate((("a", 23), ("b", 4), ("c", 15)))
    )


@pytest.fixture
def start(sources, model, tmp_path):
    def start(out, **options):
        settings = ScoreSettings(
            sources, model, str(tmp_path / out), **{"cluster": "serial", "shard_size": 5, **options}
        )
        return score(settings, evaluate=fake_scorer.evaluate, load=fake_scorer.load)

    return start


def join(tmp_path, out, **options):
    return merge(str(tmp_path / out), evaluate=fake_scorer.evaluate, **options)


def test_parts_that_are_merged_are_the_job_in_one(start, tmp_path):
    start("whole")
    clusters = {"1/3": "local:1", "2/3": "serial", "3/3": "serial"}
    shared = [start("shared", part=part, cluster=cluster) for part, cluster in clusters.items()]
    assert sum(result.scored for result in shared) == 42
    assert all(result.exit_code is ExitCode.DONE and result.scored for result in shared)
    assert not (tmp_path / "shared" / "_summary.json").exists()
    code, told = join(tmp_path, "shared")
    assert code is ExitCode.DONE
    assert told["complete"]
    assert samples.rows(tmp_path / "shared").equals(samples.rows(tmp_path / "whole"))
    assert samples.parts(tmp_path / "shared").keys() == samples.parts(tmp_path / "whole").keys()
    summaries = [json.loads((tmp_path / out / "_summary.json").read_text()) for out in ("shared", "whole")]
    assert all(summaries[0][key] == summaries[1][key] for key in ("images", "shards", "good", "fingerprint"))
    assert start("shared").scored == 0


def test_labels_and_lots_of_parts_are_those_of_the_job_in_one(start, tmp_path):
    table = tmp_path / "labels.csv"
    first = f"{samples.FOLDERS[0]}/00000.jpg"
    table.write_text(f"archive,member,label\na.tar,{first},ano\nmounted/b.tar,99.jpg,ano\nc.tar,x,odd\n")
    options = {"labels": str(table), "lot": "([abc])[.]tar", "source_roots": (f"{tmp_path}=mounted",)}
    start("whole", **options)
    for part in ("1/2", "2/2"):
        start("shared", part=part, **options)
    table.unlink()
    join(tmp_path, "shared")
    told, whole = (json.loads((tmp_path / out / "_summary.json").read_text()) for out in ("shared", "whole"))
    assert told["labels"] == {**whole["labels"], "first_unmatched": ["line 3", "line 4"]}
    assert (told["labels"]["matched"], told["labels"]["unknown"]) == (1, {"odd": 1})
    assert told["settings"]["lot"] == options["lot"]
    rows = samples.rows(tmp_path / "shared")
    assert rows.equals(samples.rows(tmp_path / "whole"))
    assert set(rows["lot"].to_pylist()) == set("abc")
    assert list(verify(str(tmp_path / "shared"))) == []


def test_a_merged_job_passes_verify(start, tmp_path):
    for number in (2, 1):
        start("shared", part=f"{number}/2")
    join(tmp_path, "shared")
    assert list(verify(str(tmp_path / "shared"))) == []


def test_refuses_a_job_that_lacks_a_part_by_its_name(start, sources, tmp_path):
    for part in ("1/3", "3/3"):
        start("shared", part=part)
    with pytest.raises(Refusal) as refused:
        join(tmp_path, "shared")
    told = str(refused.value)
    assert re.search(r"part 2/3 not whole: 3 of 9 shards are missing, of .*a\.tar", told)
    assert sources[0] in told
    assert not (tmp_path / "shared" / "_summary.json").exists()
    start("shared", part="2/3")
    assert join(tmp_path, "shared")[1]["rows"] == 42


def test_refuses_a_job_of_gaps_that_no_part_left(start, tmp_path):
    start("whole")
    next((tmp_path / "whole").glob("part-*")).unlink()
    with pytest.raises(Refusal, match=r"whole: 1 of 9 shards are missing, of /"):
        join(tmp_path, "whole")


def test_refuses_what_is_no_job(tmp_path):
    with pytest.raises(Refusal, match="not a job folder"):
        join(tmp_path, "nothing")


def test_merging_counts_rejects_as_score_does(model, tmp_path):
    archive = samples.write_tar(tmp_path / "lot.tar", samples.members(40))
    settings = ScoreSettings((archive,), model, str(tmp_path / "out"), cluster="serial", part="1/1")
    score(settings, evaluate=fake_scorer.evaluate, load=fake_scorer.load)
    assert join(tmp_path, "out")[0] is ExitCode.TOO_MANY_REJECTS
    assert join(tmp_path, "out", max_rejects="50%")[0] is ExitCode.DONE
    with pytest.raises(Refusal, match="--max-rejects lots"):
        join(tmp_path, "out", max_rejects="lots")


def test_a_part_leaves_what_others_have_not_finished(start, tmp_path):
    start("shared", part="1/2")
    unfinished = tmp_path / "shared" / f".{next((tmp_path / 'shared').glob('part-*')).name}.tmp"
    unfinished.touch()
    start("shared", part="2/2")
    assert unfinished.exists()


def test_a_part_may_not_start_afresh(start):
    with pytest.raises(Refusal, match="would clear the other parts' rows"):
        start("shared", part="1/2", overwrite=True)


def test_a_job_whose_time_is_up_ends_with_75_and_the_same_command_ends_it(start, tmp_path):
    start("whole")
    result = start("late", deadline="0.0s")
    assert (result.exit_code, result.summary) == (ExitCode.DEADLINE, {})
    assert not (tmp_path / "late" / "_summary.json").exists()
    result = start("late")
    assert (result.exit_code, result.scored) == (ExitCode.DONE, 42)
    assert samples.rows(tmp_path / "late").equals(samples.rows(tmp_path / "whole"))


def test_a_deadline_met_midway_leaves_what_was_scored_and_the_same_command_ends_it(
    start, tmp_path, monkeypatch
):
    start("whole")
    ticks = count()
    with monkeypatch.context() as context:
        context.setattr("jobs.score.Deadline", lambda seconds: Deadline(seconds, lambda: next(ticks)))
        result = start("late", task_images=1, cluster="local:1", deadline="5s")
    assert result.exit_code is ExitCode.DEADLINE
    # There was time for four tasks, and the last may have grown by then.
    there = samples.rows(tmp_path / "late").num_rows
    assert there in (4 * 5, 4 * 5 + 3)
    assert start("late", deadline="1h").scored == 42 - there
    assert samples.rows(tmp_path / "late").equals(samples.rows(tmp_path / "whole"))
