import json

import fake_scorer
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from jobs import parquet, parts
from jobs.config import ScoreSettings
from jobs.errors import Refusal
from jobs.score import score
from jobs.shard import read_report
from jobs.verify import verify


@pytest.fixture
def out(tmp_path, tar, model):
    folder = tmp_path / "out"
    settings = ScoreSettings((tar,), model, str(folder), "serial", shard_size=16, max_rejects="100%")
    score(settings, evaluate=fake_scorer.evaluate, load=fake_scorer.load)
    return folder


def part(out, number):
    return sorted(out.glob("part-*"))[number]


def relist(out):
    """List the parts anew, as they are now."""
    (out / parts.PARTS).unlink()
    paths = [str(path) for path in sorted(out.glob("part-*"))]
    found = [read_report(path, parquet.read_footer(path).metadata["fingerprint"]) for path in paths]
    with parts.listing(str(out)) as add:
        for report in found:
            add(report)


def rewrite(path, change, **metadata):
    """Write a part anew with other rows."""
    table = pq.read_table(path)
    kept = {key.decode(): value.decode() for key, value in table.schema.metadata.items()}
    parquet.write_table(str(path), change(table), kept | metadata)


def test_a_whole_job_agrees(out):
    assert verify(str(out)) == []


def test_refuses_what_is_no_job(tmp_path):
    with pytest.raises(Refusal, match="not a job folder"):
        verify(str(tmp_path))


def missing_part(out):
    part(out, 1).unlink()
    return ["listed, but missing", "rows 16 to 31 are missing", "rows is 40, the parts have 24"]


def missing_last_part(out):
    part(out, 2).unlink()
    relist(out)
    return ["rows 32 to 39 are missing", "rows is 40, the parts have 32"]


def cut_part(out):
    part(out, 0).write_bytes(part(out, 0).read_bytes()[:-1])
    return ["bytes, listed with"]


def flipped_bit(out):
    data = bytearray(part(out, 0).read_bytes())
    data[100] ^= 1
    part(out, 0).write_bytes(data)
    return ["not those that were written"]


def foreign_files(out):
    (out / "notes.txt").touch()
    (out / "part-1.parquet").touch()
    return ["notes.txt: not the job's", "part-1.parquet: not the job's"]


def unlisted_part(out):
    name = part(out, 0).name
    (out / (name[:-9] + "9.parquet")).write_bytes(part(out, 0).read_bytes())
    return ["not listed"]


def no_summary(out):
    (out / "_summary.json").unlink()
    return ["_summary.json: missing"]


def no_list(out):
    (out / "_parts.parquet").unlink()
    return ["_parts.parquet: missing"]


def other_model(out):
    (out / "_model.npz").write_bytes(b"another")
    return ["_model.npz: not the model of the job"]


def no_model(out):
    (out / "_model.npz").unlink()
    return ["_model.npz: missing"]


def other_counts(out):
    told = json.loads((out / "_summary.json").read_text())
    (out / "_summary.json").write_text(json.dumps(told | {"ok": 99}))
    return ["ok is 99, the parts have 36"]


def lost_row(out):
    rewrite(part(out, 1), lambda table: table.slice(0, 15))
    relist(out)
    return ["tally is not that of its rows", "rows 31 to 31 are missing"]


def changed_row(out):
    def change(table):
        position = table.schema.get_field_index("verdict")
        verdicts = ["anomaly" if value == "good" else value for value in table["verdict"].to_pylist()]
        return table.set_column(position, table.schema.field(position), pa.array(verdicts))

    rewrite(part(out, 1), change)
    relist(out)
    return ["tally is not that of its rows"]


def swapped_rows(out):
    rewrite(part(out, 1), lambda table: table.take([1, 0, *range(2, 16)]))
    relist(out)
    return ["its rows are not 16 to 31 in order"]


def rows_twice(out):
    rewrite(part(out, 1), lambda table: table, first="10")
    relist(out)
    return ["rows 10 to 15 are there twice", "its rows are not 10 to 25 in order"]


def other_settings(out):
    rewrite(part(out, 1), lambda table: table, fingerprint="0" * 32)
    relist(out)
    return ["from a job with other settings"]


def other_columns(out):
    rewrite(part(out, 1), lambda table: table.drop_columns(["ssim"]))
    relist(out)
    return ["its columns are not those of schema version 2"]


def other_archive(out):
    rewrite(part(out, 1), lambda table: table, archive="/other.tar")
    relist(out)
    return ["has rows of another archive than /other.tar"]


@pytest.mark.parametrize(
    "damage",
    [
        missing_part,
        missing_last_part,
        cut_part,
        flipped_bit,
        foreign_files,
        unlisted_part,
        no_summary,
        no_list,
        other_model,
        no_model,
        other_counts,
        lost_row,
        changed_row,
        swapped_rows,
        rows_twice,
        other_settings,
        other_columns,
        other_archive,
    ],
)
def test_tells_what_does_not_agree(out, damage):
    expected = damage(out)
    lines = verify(str(out))
    for words in expected:
        assert any(words in line for line in lines), (words, lines)
    assert all("\n" not in line for line in lines)
