import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

from jobs import parquet


@pytest.fixture
def table():
    return pa.table({"a": [1, 2, 3], "b": ["x", None, "z"]})


def test_footer_and_columns_are_read_apart(tmp_path, table):
    url = str(tmp_path / "part.parquet")
    pq.write_table(table.replace_schema_metadata({"key": "välue"}), url)
    assert parquet.read_footer(url) == (3, {"key": "välue"})
    assert parquet.read_columns(url).replace_schema_metadata(None).equals(table)
    assert parquet.read_columns(url, ["b"]).column_names == ["b"]


def test_the_digest_is_blake2b_of_128_bits():
    assert parquet.digest(b"") == "cae66941d9efbd404e4d88758ea67670"


def test_a_file_that_is_no_parquet_is_told(tmp_path):
    (tmp_path / "a").write_bytes(b"something else entirely")
    with pytest.raises(pa.ArrowInvalid):
        parquet.read_footer(str(tmp_path / "a"))


@pytest.mark.parametrize("parts", [0, 1, 63, 64, 65, 130])
def test_a_scan_reads_every_part_in_order(tmp_path, parts):
    names = [str(tmp_path / f"{number:03d}.parquet") for number in range(parts)]
    for number, name in enumerate(names):
        pq.write_table(pa.table({"a": [number, -1, number + 0.5], "b": ["x", "y", "z"]}), name)
    empty = pa.table({"a": pa.array([], pa.float64()), "b": pa.array([], pa.string())})
    rows = ds.dataset(names, schema=empty.schema, format="parquet") if names else ds.dataset(empty)
    read = list(parquet.scan(rows, ["a"], ds.field("a") >= 0))
    assert all(batch.schema.names == ["a"] for batch in read)
    found = [value for batch in read for value in batch["a"].to_pylist()]
    assert found == [value for number in range(parts) for value in (number, number + 0.5)]


@pytest.mark.parametrize("size", [0, 1, (1 << 20) - 1, 1 << 20, (1 << 20) + 1])
def test_a_file_is_hashed_a_piece_at_a_time(tmp_path, size):
    data = bytes(range(256)) * (size // 256 + 1)
    (tmp_path / "a").write_bytes(data[:size])
    assert parquet.hash_file(str(tmp_path / "a")) == (size, parquet.digest(data[:size]))


def test_what_is_hashed_on_its_way_is_what_is_written(tmp_path, table):
    with (tmp_path / "a").open("wb") as file:
        sink = parquet.Hashing(file)
        pq.write_table(table, sink)
    assert sink.written == parquet.hash_file(str(tmp_path / "a"))
    assert pq.read_table(tmp_path / "a").equals(table)


@pytest.mark.parametrize("at_once", [1, 7, 20, 1000])
def test_a_scan_reads_the_row_groups_of_large_files_in_order_a_few_at_a_time(tmp_path, monkeypatch, at_once):
    monkeypatch.setattr(parquet, "_ROWS_AT_ONCE", at_once)
    whole = pa.table({"a": range(50)})
    names = [str(tmp_path / f"{number}.parquet") for number in range(2)]
    for number, name in enumerate(names):
        pq.write_table(whole.slice(number * 25, 25), name, row_group_size=4)
    rows = ds.dataset(names, format="parquet")
    read = [
        value for batch in parquet.scan(rows, ["a"], ds.field("a") >= 3) for value in batch["a"].to_pylist()
    ]
    assert read == list(range(3, 50))
