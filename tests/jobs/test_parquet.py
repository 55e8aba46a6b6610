import pyarrow as pa
import pytest

from jobs import parquet


@pytest.fixture
def table():
    return pa.table({"a": [1, 2, 3], "b": ["x", None, "z"]})


def test_reads_what_it_wrote(tmp_path, table):
    url = str(tmp_path / "part.parquet")
    written = parquet.write_table(url, table, {"key": "välue"})
    data = (tmp_path / "part.parquet").read_bytes()
    assert written == (len(data), parquet.digest(data))
    assert parquet.read_footer(url) == (3, {"key": "välue"})
    assert parquet.read_columns(url).replace_schema_metadata(None).equals(table)
    assert parquet.read_columns(url, ["b"]).column_names == ["b"]


def test_the_digest_is_blake2b_of_128_bits():
    assert parquet.digest(b"") == "cae66941d9efbd404e4d88758ea67670"


def test_a_file_that_is_no_parquet_is_told(tmp_path):
    (tmp_path / "a").write_bytes(b"something else entirely")
    with pytest.raises(pa.ArrowInvalid):
        parquet.read_footer(str(tmp_path / "a"))
