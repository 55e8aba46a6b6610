import json
import shutil
from contextlib import nullcontext
from pathlib import Path

import fake_scorer
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import samples
from hypothesis import given, settings
from hypothesis import strategies as st

from jobs import compact, parquet, parts, planlist, storage
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


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A job, and the same compacted to one file for each of its parts."""
    folder = tmp_path_factory.mktemp("whole")
    (folder / "model.npz").write_bytes(fake_scorer.MODEL)
    lot = samples.write_tar(folder / "lot1.tar", samples.members(40))
    asked = ScoreSettings((lot,), str(folder / "model.npz"), str(folder / "score"), "serial", shard_size=16)
    score(asked, evaluate=fake_scorer.evaluate, load=fake_scorer.load)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compact, "FILE_BYTES", 1)
        compact.compact(asked.out, str(folder / "compact"), lambda rows: nullcontext(lambda rows: None))
    return folder


@pytest.fixture(params=["score", "compact"])
def either(whole, request, tmp_path):
    """A job as score wrote it, and one as compact did."""
    return Path(shutil.copytree(whole / request.param, tmp_path / request.param))


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
    kept = parquet.read_footer(str(path)).metadata
    pq.write_table(change(table).replace_schema_metadata(kept | metadata), path)


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


def part_listed_twice(out):
    listed = list(parts.listed(str(out)))
    with parts.listing(str(out)) as add:
        for report in [*listed, listed[0]]:
            add(report)
    return [f"{listed[0].name}: listed twice"]


def whole_archive_missing(out):
    for path in out.glob("part-*"):
        path.unlink()
    relist(out)
    return ["3 of its 3 planned shards have no part, first part-"]


def other_source_planned(out):
    planned = next(planlist.read(str(out)))._replace(archive="/never.tar", prefix="part-0-0-")
    planlist.write(str(out), pa.Table.from_pylist([planned._asdict()], planlist.PLAN_SCHEMA))
    return [
        "/never.tar: 3 of its 3 planned shards",
        "not planned: name its source",
        "_plan.parquet: its bytes",
    ]


def no_plan(out):
    (out / "_plan.parquet").unlink()
    return ["_plan.parquet: missing"]


def damaged_plan(out):
    (out / "_plan.parquet").write_bytes(b"nonsense")
    return ["_plan.parquet: not a plan", "_plan.parquet: its bytes are not those the summary"]


def other_fingerprint(out):
    job = json.loads((out / "_job.json").read_text())
    (out / "_job.json").write_text(json.dumps(job | {"fingerprint": "0" * 32}))
    return ["_job.json: its fingerprint is not that of its settings"]


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
        part_listed_twice,
        whole_archive_missing,
        other_source_planned,
        no_plan,
        damaged_plan,
        other_fingerprint,
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


# Bit rot


def flip(path, position, bit=0):
    data = bytearray(path.read_bytes())
    data[position] ^= 1 << bit
    path.write_bytes(data)


def regions(path):
    """One byte of every region of a Parquet file: its magics, each column's pages, the footer."""
    size, footer = path.stat().st_size, pq.read_metadata(path)
    group = footer.row_group(0)
    for column in (group.column(at) for at in range(group.num_columns)):
        begin = column.dictionary_page_offset or column.data_page_offset
        yield column.path_in_schema, begin + column.total_compressed_size // 2
        yield f"{column.path_in_schema}, page header", begin
    yield from (("magic", 0), ("last magic", size - 1), ("length", size - 8))
    yield from (("footer", size - 8 - footer.serialized_size // 2), ("footer's end", size - 9))


def test_a_flipped_byte_is_named_in_whatever_region_of_a_part_it_is(either):
    path = part(either, 1)
    content = path.read_bytes()
    for region, position in regions(path):
        flip(path, position)
        named = [line for line in verify(str(either)) if line.startswith("part-")]
        assert named == [f"{path.name}: its bytes are not those that were written"], region
        path.write_bytes(content)
    assert verify(str(either)) == []


@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_a_flipped_bit_anywhere_in_any_part_is_named(whole, data):
    out = whole / data.draw(st.sampled_from(["score", "compact"]))
    path = part(out, data.draw(st.integers(0, 2)))
    content = path.read_bytes()
    try:
        flip(path, data.draw(st.integers(0, len(content) - 1)), data.draw(st.integers(0, 7)))
        assert f"{path.name}: its bytes are not those that were written" in verify(str(out))
    finally:
        path.write_bytes(content)


@pytest.mark.parametrize("name", ["_plan.parquet", "_parts.parquet", "_lots.parquet"])
def test_a_flipped_byte_in_a_list_is_named(either, name):
    path = either / name
    content = path.read_bytes()
    for position in range(0, len(content), max(1, len(content) // 12)):
        flip(path, position)
        assert any(line.startswith(name) or "/" + name in line for line in verify(str(either))), position
        path.write_bytes(content)


def test_a_deleted_part_is_named(either):
    part(either, 1).unlink()
    lines = verify(str(either))
    assert any(line.endswith(": listed, but missing") for line in lines)
    assert any(line.endswith("lot1.tar: rows 16 to 31 are missing") for line in lines)


@pytest.fixture
def other(tmp_path, whole):
    """Jobs over another archive: with the same settings, and with others."""

    def make(shard_size):
        lot = samples.write_tar(tmp_path / "other.tar", samples.members(40, seed=9))
        out = tmp_path / f"other-{shard_size}"
        asked = ScoreSettings((lot,), str(whole / "model.npz"), str(out), "serial", shard_size=shard_size)
        score(asked, evaluate=fake_scorer.evaluate, load=fake_scorer.load)
        return out

    return make


@pytest.mark.parametrize(
    ("shard_size", "told"), [(16, "it holds rows of {}/other.tar from 0"), (20, "other settings")]
)
def test_a_part_copied_in_from_another_job_is_named(either, other, tmp_path, shard_size, told):
    foreign = part(other(shard_size), 0)
    shutil.copy(foreign, either)
    lines = verify(str(either))
    if either.name == "compact":
        assert lines == [f"{foreign.name}: not the job's"]
        return
    (line,) = (line for line in lines if line.startswith(f"{foreign.name}: not listed"))
    assert told.format(tmp_path) in line
    assert f"{foreign.name}: not planned" in "\n".join(lines)


@pytest.mark.parametrize(
    ("shard_size", "told"), [(16, "it holds rows of {}/other.tar from 0"), (20, "other settings")]
)
def test_a_part_of_another_job_in_the_place_of_one_is_named(either, other, tmp_path, shard_size, told):
    path = part(either, 0)
    shutil.copy(part(other(shard_size), 0), path)
    (line,) = (line for line in verify(str(either)) if line.startswith(path.name))
    if either.name == "score" or shard_size == 20:
        assert told.format(tmp_path) in line


def test_a_file_with_a_parts_name_that_is_none_is_named(either):
    path = part(either, 0)
    name = path.name.replace("0000.parquet", "0009.parquet").replace("000000.parquet", "000009.parquet")
    (either / name).write_bytes(b"no Parquet")
    assert f"{name}: not listed" in verify(str(either))


def test_a_part_is_read_a_batch_at_a_time_and_no_part_is_read_whole(either, monkeypatch):
    read = storage.read
    whole = []
    monkeypatch.setattr(storage, "read", lambda url: whole.append(Path(url).name) or read(url))
    assert verify(str(either)) == []
    assert not any(name.startswith("part-") for name in whole)
