import os

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from jobs.errors import Refusal
from jobs.sourcelist import named


def test_a_text_list_is_one_source_a_line(tmp_path):
    path = tmp_path / "list"
    path.write_bytes("\ufeffa.tar\r\n\n# not this\n  night/*.zip \n/data/ü.tar".encode())
    assert named(["first", f"@{path}", "./@last"]) == (
        *("first", "a.tar", "night/*.zip", "/data/ü.tar"),
        "./@last",
    )


def test_a_name_that_is_not_utf8_is_the_files(tmp_path):
    (tmp_path / "list").write_bytes(b"c\xe9.tar\n")
    assert named([f"@{tmp_path}/list"]) == (os.fsdecode(b"c\xe9.tar"),)


@pytest.mark.parametrize(
    "table",
    [
        pa.table({"source": ["a.tar", None, "b/*"], "night": [1, 2, 3]}),
        pa.table({"archive": ["a.tar", "b/*"]}),
        pa.table({"archive": pa.array(["a.tar", "b/*"]).dictionary_encode()}),
    ],
)
def test_a_parquet_list_has_a_column_of_sources_or_one_alone(tmp_path, table):
    pq.write_table(table, tmp_path / "list")
    assert named([f"@{tmp_path}/list"]) == ("a.tar", "b/*")


def write_parquet(path, **columns):
    pq.write_table(pa.table(columns), path)


@pytest.mark.parametrize(
    ("write", "told"),
    [
        (lambda path: None, "No such file"),
        (lambda path: path.mkdir(), "Is a directory"),
        (lambda path: path.write_bytes(b""), "lists no source"),
        (lambda path: path.write_bytes(b"\n# nothing\n"), "lists no source"),
        (lambda path: path.write_bytes(b"a.tar\n@other"), "names another list, @other"),
        (lambda path: path.write_bytes(b"a.tar\0b.tar"), "neither text nor Parquet"),
        (lambda path: path.write_bytes(b"PAR1 and nothing else"), "not readable as Parquet"),
        (lambda path: write_parquet(path, a=["x"], b=["y"]), "has the columns a, b"),
        (lambda path: write_parquet(path, source=[[1], [2]]), "not readable as Parquet"),
    ],
)
def test_a_list_that_is_none_is_refused_by_name(tmp_path, write, told):
    write(tmp_path / "list")
    with pytest.raises(Refusal, match=told) as refused:
        named([f"@{tmp_path}/list"])
    assert str(refused.value).startswith(f"@{tmp_path}/list: ")


def test_a_mark_alone_names_no_list():
    with pytest.raises(Refusal, match="an empty path"):
        named(["@"])
