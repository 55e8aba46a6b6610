import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from jobs import storage
from jobs.arrowfiles import opened

TABLE = pa.table({"n": [1, 2, 3]})


def test_a_local_file_is_arrows_own(tmp_path):
    pq.write_table(TABLE, tmp_path / "n.parquet")
    with opened(str(tmp_path / "n.parquet")) as file:
        assert isinstance(file, pa.NativeFile)
        assert not isinstance(file, pa.PythonFile)
        assert pq.read_table(file).equals(TABLE)


def test_a_file_of_a_store_is_found_by_its_url(bucket):
    url = storage.join(bucket, "n.parquet")
    with storage.writing(url) as file:
        pq.write_table(TABLE, file)
    with opened(url) as file:
        assert pq.read_table(file).equals(TABLE)


def test_what_is_not_there_is_told_as_python_tells_it(tmp_path):
    with pytest.raises(FileNotFoundError):
        opened(str(tmp_path / "nothing.parquet"))
