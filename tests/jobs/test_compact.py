import json
import shutil
from contextlib import contextmanager
from pathlib import Path

import fake_scorer
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import samples

from dice_core.policy import Policy
from dice_core.tally import Tally
from jobs import compact as module
from jobs import held, parquet, storage
from jobs.caveats import incomplete as incomplete_lines
from jobs.compact import Compacted
from jobs.config import ScoreSettings
from jobs.coverage import cover
from jobs.decide import decide
from jobs.errors import Refusal
from jobs.evaluate import evaluate
from jobs.query import query
from jobs.review import review
from jobs.score import score
from jobs.verify import verify

SHARDS = 9
ROWS = 40 + 60 + 25 + 3


def settings(folder, out, **options):
    sources = tuple(str(path) for path in sorted(folder.glob("lot*")))
    options = {"shard_size": 16, "max_rejects": "100%", **options}
    return ScoreSettings(sources, str(folder / "model.npz"), str(out), "serial", **options)


def run(folder, out, **options):
    return score(settings(folder, out, **options), evaluate=evaluate, load=fake_scorer.load)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Archives of several kinds, and the job over them; one is a stream of one shard."""
    folder = tmp_path_factory.mktemp("made")
    (folder / "model.npz").write_bytes(fake_scorer.MODEL)
    samples.write_tar(folder / "lot-b.tar", samples.members(40, seed=1))
    samples.write_zip(folder / "lot-a.zip", samples.members(60, seed=2))
    samples.write_targz(folder / "lot-c.tar.gz", samples.members(25, seed=3))
    samples.write_folder(folder / "lot-d", samples.images(3, seed=4))
    run(folder, folder / "out")
    return folder


@pytest.fixture
def out(made, tmp_path):
    return Path(shutil.copytree(made / "out", tmp_path / "out"))


@pytest.fixture
def new(tmp_path):
    return tmp_path / "new"


@pytest.fixture(params=[(256 << 20, 120_000), (1, 10), (9000, 7), (12_000, 32)], ids=str)
def sizes(request, monkeypatch):
    """Files and row groups of several sizes, cut where parts are and where they are not."""
    monkeypatch.setattr(module, "FILE_BYTES", request.param[0])
    monkeypatch.setattr(module, "ROW_GROUP", request.param[1])
    return request.param


class Told:
    """What a progress bar would have shown."""

    def __init__(self):
        self.done = 0
        self.total = None

    @contextmanager
    def __call__(self, total):
        self.total = total
        yield self.advance

    def advance(self, rows):
        self.done += rows


def compact(out, new, told=None):
    return module.compact(str(out), str(new), told or Told())


def content(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.usefixtures("sizes")
def test_the_rows_are_those_of_the_job_by_archive_and_index(out, new):
    compact(out, new)
    files = [pq.read_table(path) for path in sorted(new.glob("part-*"))]
    assert (
        pa.concat_tables(files)
        .replace_schema_metadata(None)
        .equals(samples.rows(out).replace_schema_metadata(None))
    )


@pytest.mark.usefixtures("sizes")
def test_what_is_made_is_complete_and_agrees(out, new):
    compact(out, new)
    assert cover(str(new)).complete
    assert verify(str(new)) == []


@pytest.mark.usefixtures("sizes")
def test_evaluate_tells_of_it_what_it_tells_of_the_job(out, new):
    compact(out, new)
    assert evaluate(str(new)) == evaluate(str(out))


@pytest.mark.usefixtures("sizes")
@pytest.mark.parametrize(
    "sql",
    [
        'SELECT * FROM scores ORDER BY archive, "index"',
        "SELECT lot, lot_shift, count(*) AS n FROM scores GROUP BY ALL ORDER BY lot",
        "SELECT count(*) AS n FROM scores",
        "SELECT member FROM scores WHERE lot_shift IS NOT NULL AND defect_score > 20 ORDER BY member",
    ],
)
def test_a_query_tells_of_it_what_it_tells_of_the_job(out, new, sql):
    compact(out, new)
    told = query(str(new), sql)
    assert told.equals(query(str(out), sql))
    assert told.num_rows


def test_lots_plan_and_model_are_those_of_the_job(out, new):
    compact(out, new)
    for name in ("_lots.parquet", "_plan.parquet", "_model.npz"):
        assert (new / name).read_bytes() == (out / name).read_bytes()
    before, after = (json.loads((path / "_summary.json").read_text()) for path in (out, new))
    changed = {"compacted", "hashes"}
    assert {key: after[key] for key in after if key not in changed} == {
        key: before[key] for key in before if key not in changed
    }
    assert after["compacted"] == {"parts": SHARDS, "files": 1}


@pytest.mark.usefixtures("sizes")
def test_a_file_lists_the_parts_it_holds_and_counts_its_rows(out, new):
    result = compact(out, new)
    names = sorted(path.name for path in new.glob("part-*"))
    assert names == [f"part-{number:06d}.parquet" for number in range(len(names))]
    assert (result.files, result.written) == (len(names), len(names))
    holds, tally = [], Tally()
    for name in names:
        about = parquet.read_footer(str(new / name)).metadata
        own = held.of_compacted(about)
        assert sum(part.rows for part in own) == pq.read_metadata(new / name).num_rows
        holds += own
        tally += Tally.from_json(about["tally"])
    assert {part.name for part in holds} == {path.name for path in out.glob("part-*")}
    assert [(part.archive, part.first) for part in holds] == sorted(
        (part.archive, part.first) for part in holds
    )
    assert tally == Tally.of(samples.rows(out))


def test_row_groups_are_of_one_size_with_statistics_and_files_stay_about_theirs(out, new, sizes):
    compact(out, new)
    files = [pq.read_metadata(path) for path in sorted(new.glob("part-*"))]
    for file in files:
        groups = [file.row_group(number) for number in range(file.num_row_groups)]
        assert all(group.num_rows == sizes[1] for group in groups[:-1])
        columns = [group.column(at) for group in groups for at in range(group.num_columns)]
        assert all(column.is_stats_set for column in columns)
        assert all(column.statistics.null_count is not None for column in columns)
    assert (len(files) > 1) == (sizes[0] < 1 << 20)


def test_the_same_job_gives_the_same_bytes_whatever_the_order_of_its_list(out, new, tmp_path):
    compact(out, new)
    listed = pq.read_table(out / "_parts.parquet")
    pq.write_table(listed.sort_by([("name", "descending")]), out / "_parts.parquet")
    compact(out, tmp_path / "again")
    assert content(tmp_path / "again") == content(new)


NOW = 1795680000.0


def judge(out, label="ano"):
    """Correct the label of the highest score, and decide a threshold by it."""
    sql = "SELECT content_hash FROM verdicts ORDER BY defect_score DESC, content_hash LIMIT 1"
    (content,) = query(str(out), sql)["content_hash"].to_pylist()
    table = out.parent / "corrections.csv"
    table.write_text(f"content_hash,correction\n{content},{label}\n")
    review(str(out), str(table), NOW)
    decide(str(out), Policy.parse("value=1000"), NOW)


def judged(out):
    """What counts now."""
    verdicts = query(str(out), 'SELECT * FROM verdicts ORDER BY archive, "index"')
    return verdicts.to_pylist(), evaluate(str(out)), evaluate(str(out), decided=True)


def test_what_was_reviewed_and_decided_counts_in_it_too(out, new):
    before = judged(out)
    judge(out)
    assert before != judged(out)
    compact(out, new)
    assert judged(new) == judged(out)
    assert verify(str(new)) == []
    judge(out, "bright")
    assert judged(new) != judged(out)
    assert compact(out, new).written == 0
    assert judged(new) == judged(out)


def test_what_was_decided_in_it_stays(out, new):
    compact(out, new)
    judge(new)
    before = content(new)
    assert compact(out, new).written == 0
    assert content(new) == before
    judge(out, "dark")
    with pytest.raises(Refusal, match=r"new: _decision-0001\.json is another than that of .*out"):
        compact(out, new)
    assert content(new) == before


def test_progress_tells_of_every_row(out, new):
    told = Told()
    assert compact(out, new, told) == Compacted(SHARDS, ROWS, 1, 1)
    assert (told.total, told.done) == (ROWS, ROWS)


def test_the_same_command_again_writes_nothing(out, new):
    compact(out, new)
    before = samples.written(new)
    assert compact(out, new).written == 0
    assert samples.written(new) == before


@pytest.fixture
def small(monkeypatch):
    """A file for every part."""
    monkeypatch.setattr(module, "FILE_BYTES", 1)
    monkeypatch.setattr(module, "ROW_GROUP", 10)


def test_a_compaction_killed_at_any_write_goes_on_and_ends_equal(out, new, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "FILE_BYTES", 12_000)
    monkeypatch.setattr(module, "ROW_GROUP", 16)
    judge(out)
    compact(out, tmp_path / "whole")
    whole = content(tmp_path / "whole")
    writing = storage.writing
    written, survived = 0, 0
    while True:
        left = iter(range(survived))

        @contextmanager
        def dying(url, left=left, **options):
            with writing(url, **options) as file:
                yield file
                if next(left, None) is None:
                    raise KeyboardInterrupt

        monkeypatch.setattr(storage, "writing", dying)
        shutil.rmtree(new, ignore_errors=True)
        try:
            compact(out, new)
            break
        except KeyboardInterrupt:
            monkeypatch.setattr(storage, "writing", writing)
        assert not new.exists() or not (new / "_summary.json").exists()
        if (new / "_job.json").exists():
            assert not cover(str(new)).complete
        kept = samples.written(new, "part-*") if new.exists() else {}
        compact(out, new)
        assert content(new) == whole
        assert kept.items() <= samples.written(new, "part-*").items()
        written, survived = max(written, len(kept)), survived + 1
    assert survived == len(whole)
    assert written == len([name for name in whole if name.startswith("part-")]) > 2


@pytest.mark.usefixtures("small")
def test_what_killed_writers_and_other_sizes_left_goes(out, new, tmp_path):
    compact(out, tmp_path / "whole")
    compact(out, new)
    (new / "_summary.json").unlink()
    (new / "part-000003.parquet").write_bytes(b"no part")
    (new / "part-000099.parquet").write_bytes((new / "part-000000.parquet").read_bytes())
    (new / ".part-000004.parquet.1-abc.tmp").write_bytes(b"half")
    assert compact(out, new).written == 1
    assert content(new) == content(tmp_path / "whole")


def test_no_score_adds_to_it(made, out, new):
    compact(out, new)
    before = content(new)
    for overwrite in (False, True):
        with pytest.raises(Refusal, match="holds a compacted job, which is read-only: name another folder"):
            run(made, new, overwrite=overwrite)
    assert content(new) == before


def test_no_score_and_no_compact_is_at_work_in_either_folder(made, out, new):
    new.mkdir()
    for folder in (out, new):
        with (
            storage.held(str(folder)),
            pytest.raises(Refusal, match=f"{folder}: score or compact is at work"),
        ):
            compact(out, new)

    @contextmanager
    def scoring(_):
        with pytest.raises(Refusal, match="at work in it"):
            run(made, out)
        yield lambda rows: None

    compact(out, new, scoring)


def incomplete(out, **_):
    min(out.glob("part-*")).unlink()
    return "INCOMPLETE: 1 of 9 planned shards .* only a complete job is compacted"


def not_ended(out, **_):
    (out / "_summary.json").unlink()
    return "the job has not ended"


def no_job(out, **_):
    (out / "_job.json").unlink()
    return "out: not a job folder"


def compacted(out, new):
    compact(out, new.with_name("first"))
    shutil.rmtree(out)
    new.with_name("first").rename(out)
    return "out: compacted already"


def foreign(new, **_):
    new.mkdir()
    (new / "notes.txt").touch()
    return "new: not empty and not a job folder"


def a_job(out, new):
    shutil.copytree(out, new)
    return "new: holds a job"


def another(out, new):
    compact(out, new)
    job = json.loads((new / "_job.json").read_text())
    (new / "_job.json").write_text(json.dumps(job | {"compacted_parts": "0" * 32}))
    return "new: holds another compacted job"


def a_file(new, **_):
    new.touch()
    return "new: is a file"


def flipped(out, **_):
    path = max(out.glob("part-*"))
    data = bytearray(path.read_bytes())
    data[len(data) // 3] ^= 1
    path.write_bytes(data)
    return f"{path.name}: its bytes are not those that were written"


def broken_review(out, **_):
    (out / "_review-0001.parquet").write_bytes(b"nonsense")
    return r"_review-0001\.parquet: not a list of corrections"


def broken_decision(out, **_):
    (out / "_decision-0001.json").write_text("nonsense")
    return r"_decision-0001\.json: not a decision"


def flipped_lots(out, **_):
    path = out / "_lots.parquet"
    data = bytearray(path.read_bytes())
    data[20] ^= 1
    path.write_bytes(data)
    return "_lots.parquet: its bytes are not those that were written"


@pytest.mark.parametrize(
    "case",
    [
        incomplete,
        not_ended,
        no_job,
        compacted,
        foreign,
        a_job,
        another,
        a_file,
        flipped,
        flipped_lots,
        broken_review,
        broken_decision,
    ],
)
def test_refuses_in_one_line_and_leaves_the_job(case, out, new):
    told = case(out=out, new=new)
    before = content(out)
    with pytest.raises(Refusal, match=told) as refused:
        compact(out, new)
    assert "\n" not in str(refused.value)
    assert content(out) == before
    assert not (new / "_summary.json").exists() or case is another or case is a_job


def test_refuses_one_folder_in_the_other(out):
    for new in (out, out / "compacted", out.parent):
        with pytest.raises(Refusal, match="one folder lies in the other"):
            compact(out, new)


def test_a_job_without_rows_is_compacted_to_none(tmp_path, new):
    folder = tmp_path / "empty"
    folder.mkdir()
    (folder / "model.npz").write_bytes(fake_scorer.MODEL)
    samples.write_zip(folder / "lot.zip", [])
    run(folder, folder / "out")
    assert compact(folder / "out", new) == Compacted(0, 0, 0, 0)
    assert verify(str(new)) == []


@pytest.mark.usefixtures("small")
def test_a_compacted_file_that_is_gone_is_told_by_name_and_rows(out, new):
    compact(out, new)
    (new / "part-000002.parquet").unlink()
    assert incomplete_lines(cover(str(new)).told()) == [
        "INCOMPLETE: 1 of 9 files (11.11%) are missing; compact the job into a new folder",
        "  part-000002.parquet: 16 rows missing",
    ]
    assert evaluate(str(new))["complete"] is False


def test_a_compaction_that_has_not_ended_is_incomplete(out, new):
    compact(out, new)
    (new / "_summary.json").unlink()
    assert incomplete_lines(cover(str(new)).told()) == [
        "INCOMPLETE: all 1 files are there, but the job has not ended; the same compact command goes on"
    ]
    (new / "_parts.parquet").unlink()
    (line,) = incomplete_lines(cover(str(new)).told())
    assert line.startswith(
        "INCOMPLETE: the job has not ended, and what was planned is not told; the same comp"
    )
