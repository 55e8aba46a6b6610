import os

import pytest

from jobs import storage
from jobs.errors import Refusal


@pytest.fixture
def folder(tmp_path):
    for name in ("b.tar", "a.tar", "c.zip", ".hidden.tar", "odd[1].tar"):
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "below").mkdir()
    return tmp_path


@pytest.mark.parametrize(
    ("sources", "expected"),
    [
        (["a.tar"], ["a.tar"]),
        (["b.tar", "a.tar", "./b.tar", "below/../a.tar"], ["a.tar", "b.tar"]),
        (["?.tar"], ["a.tar", "b.tar"]),
        (["*.tar", "a.tar"], ["a.tar", "b.tar", "odd[1].tar"]),
        ([".h*"], [".hidden.tar"]),
        (["odd[1].tar"], ["odd[1].tar"]),
        (["below"], ["below"]),
        (["b*"], ["b.tar", "below"]),
    ],
)
def test_expands_paths_and_globs(folder, monkeypatch, sources, expected):
    monkeypatch.chdir(folder)
    assert storage.expand(sources) == [str(folder / name) for name in expected]


def test_expands_file_urls(folder):
    assert storage.expand([f"file://{folder}/a.tar"]) == [str(folder / "a.tar")]


@pytest.mark.parametrize("source", ["none.tar", "none*.tar", ""])
def test_refuses_what_is_not_there(folder, monkeypatch, source):
    monkeypatch.chdir(folder)
    with pytest.raises(Refusal, match=r"name") as refused:
        storage.expand([source])
    assert source in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("http://host/a.tar", "http://"),
        ("https://user:5ecret@host/a.tar", "https://"),
        ("memory://a.tar", "memory://"),
        ("s3a://bucket/a.tar", "s3a://"),
        ("gcs://bucket/a.tar", "gcs://"),
        ("zip://a.jpg::s3://bucket/5ecret.zip", "zip://"),
        ("s3://key:5ecret@bucket/a.tar", "s3://"),
        ("s3://key:5ecret/a.tar", "s3://"),
        ("gs:///a.tar", "gs://"),
        ("s3://bucket/a.tar?X-Amz-Signature=5ecret", "s3://"),
        ("gs://bucket/a.tar?Expires=1&Signature=5ecret", "gs://"),
        ("s3://", "s3://"),
        ("s3://buck*/a.tar", "s3://"),
    ],
)
def test_other_protocols_and_names_that_are_no_buckets_are_refused_and_not_repeated(url, told):
    with pytest.raises(Refusal, match=r"name|give") as refused:
        storage.absolute(url)
    assert told in str(refused.value)
    assert "5ecret" not in str(refused.value)


@pytest.mark.parametrize("url", ["s3://bucket/lot?.tar", "a?Signature=b.tar", "file:///a.tar"])
def test_what_is_no_secret_is_told_as_it_is(url):
    storage.absolute(url)
    assert storage.told(url) == url


def test_what_may_be_a_secret_is_told_by_its_protocol():
    assert storage.told("https://user:5ecret@host/a.tar") == "https://..."


def test_a_chain_of_local_names_is_refused():
    with pytest.raises(Refusal, match="a::b: is not read"):
        storage.absolute("a::b")


def test_an_object_has_one_name():
    assert storage.absolute("s3://bucket/night/") == storage.absolute("s3://bucket/night")
    assert storage.absolute("s3://bucket") == storage.absolute("s3://bucket/") == "s3://bucket"
    assert storage.absolute("gs://bucket/a//b/../c.tar") == "gs://bucket/a//b/../c.tar"
    assert storage.parent("s3://bucket/night/a.tar") == "s3://bucket/night"


def test_an_object_lies_below_its_prefixes_and_in_no_local_folder(tmp_path):
    places = ["/", str(tmp_path), "s3://bucket/nigh", "gs://bucket/night", "s3://bucket/night"]
    assert storage.lies_in("s3://bucket/night/a.tar", places) == "s3://bucket/night"
    assert storage.lies_in("s3://bucket/night", places) == "s3://bucket/night"
    assert storage.lies_in(str(tmp_path / "a.tar"), ["s3://bucket", str(tmp_path)]) == str(tmp_path)


def test_nothing_is_appended_to_in_a_store():
    with pytest.raises(ValueError, match="s3://bucket/log: a store appends to nothing"):
        storage.open_append("s3://bucket/log")


def test_names_that_are_not_utf8_can_be_written_down():
    name = os.fsdecode(b"caf\xe9.jpg")
    assert storage.printable(name) == "caf\\xe9.jpg"
    assert storage.printable("café.jpg") == "café.jpg"
