import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from jobs import storage
from jobs.errors import Refusal
from jobs.labeltable import Line, lines

HASH = "0123456789abcdef" * 2


def write(path, text):
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return str(path)


@pytest.mark.parametrize(
    "text",
    [
        "archive,member,label\nlot.tar,a/1.jpg,00\nlot.tar,./b.jpg,ano\n",
        "\ufeffArchive;Member;Label\r\nlot.tar;a/1.jpg;00\r\nlot.tar;b.jpg;ano",
        'label\tother\tmember\tarchive\n00\t\t"a/1.jpg"\t./lot.tar\nano\tx\tb.jpg\tlot.tar\n',
    ],
)
def test_text_is_read_as_text_whatever_its_separator(tmp_path, text):
    assert [*lines(write(tmp_path / "t", text))] == [
        Line(2, "lot.tar", "a/1.jpg", "00"),
        Line(3, "lot.tar", "b.jpg", "ano"),
    ]


def test_a_line_is_of_its_place_or_else_of_its_content_and_one_without_a_label_says_nothing(tmp_path):
    text = f"archive,member,content_hash,label\na,1,{HASH},x\n,,{HASH.upper()},y\n\nb,2,,\n"
    expected = [("a", "1", "x"), (None, HASH, "y")]
    assert [line[1:] for line in lines(write(tmp_path / "t", text))] == expected
    columns = {"archive": ["a", None, "b"], "member": ["1", None, "2"], "content_hash": [None, HASH, None]}
    table = pa.table({**columns, "label": ["x", "y", None], "index": [1, 2, 3]})
    pq.write_table(table, tmp_path / "p")
    assert [line[1:] for line in lines(str(tmp_path / "p"))] == expected


def test_an_archive_above_the_present_folder_is_its_path(tmp_path):
    (line,) = lines(write(tmp_path / "t", "archive,member,label\n../x/lot.tar,a,b\n"))
    assert line.archive == storage.absolute("../x/lot.tar")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "neither CSV nor Parquet"),
        ("\n", "neither CSV nor Parquet"),
        (b"archive,member,label\na,b\n", "neither CSV nor Parquet"),
        ("archive,member,label\nü,b,c\n".encode("cp1252"), "neither CSV nor Parquet"),
        (f"content_hash,label,Label\n{HASH},1,2\n", "has the column label more than once"),
        (f"content_hash,label,content_hash\n{HASH},1,2\n", "has the column content_hash more than once"),
        (b"PAR1 and nothing", "neither CSV nor Parquet"),
        (b"\x80\x81", "neither CSV nor Parquet"),
        ("archive,label\na,b\n", "has the columns archive, label: give archive and member"),
        ("archive,member\na,b\n", "has the columns"),
        ("archive,member,label\na,,b\n", "line 2 names no image"),
        ("content_hash,label\n,b\n", "line 2 names no image"),
        ("content_hash,label\nabc,b\n", "line 2: abc is no content_hash"),
    ],
)
def test_a_table_that_says_nothing_is_refused_by_name(tmp_path, text, told):
    with pytest.raises(Refusal, match=told) as refused:
        list(lines(write(tmp_path / "t", text)))
    assert str(refused.value).startswith(f"--labels {tmp_path}/t: ")


def test_a_table_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(Refusal, match="No such file"):
        list(lines(str(tmp_path / "t")))
