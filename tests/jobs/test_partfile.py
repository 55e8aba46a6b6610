import pytest

from dice_core.rows import SCHEMA
from dice_core.tally import Tally
from jobs import parquet
from jobs.partfile import PartFile


def test_a_part_of_no_rows_is_a_part(tmp_path):
    url = str(tmp_path / "part")
    with PartFile(url) as part:
        written = part.finish({"key": "välue"})
    assert written == parquet.hash_file(url)
    assert (part.rows, part.tally) == (0, Tally())
    footer = parquet.read_footer(url)
    assert (footer.rows, footer.metadata["key"]) == (0, "välue")
    assert parquet.read_columns(url).schema == SCHEMA


def test_a_part_that_is_there_stays_and_nothing_else_is_left(tmp_path):
    url = tmp_path / "part"
    url.write_text("first")
    with PartFile(str(url)) as part, pytest.raises(FileExistsError):
        part.finish({})
    assert [path.read_text() for path in tmp_path.iterdir()] == ["first"]
