"""Sources in a store are named as local ones are: by a path, a folder or a glob."""

import pytest

from jobs import listing, storage
from jobs.errors import Refusal

NAMES = (
    "a.tar",
    "b.tar",
    "c.zip",
    ".hidden.tar",
    "odd[1].tar",
    "below/d.tar",
    "below/deep/e.tar",
    "b2/f.tar",
)


@pytest.fixture(scope="module")
def night(seaweed):
    for name in NAMES:
        seaweed.store.pipe_file(f"{seaweed.bucket}/listed/night/{name}", b"x")
    return f"s3://{seaweed.bucket}/listed/night"


@pytest.fixture
def filled(night, seaweed, reach_s3):
    reach_s3(seaweed.url)
    return night


@pytest.mark.parametrize(
    ("sources", "expected"),
    [
        (["a.tar"], ["a.tar"]),
        (["?.tar", "a.tar"], ["a.tar", "b.tar"]),
        (["*.tar"], ["a.tar", "b.tar", "odd[1].tar"]),
        ([".h*"], [".hidden.tar"]),
        (["odd[1].tar"], ["odd[1].tar"]),
        (["[ac].*"], ["a.tar", "c.zip"]),
        (["b*"], ["b.tar", "b2", "below"]),
        (["below/"], ["below"]),
        (["*/*.tar"], ["b2/f.tar", "below/d.tar"]),
        (["be*/deep/e.tar"], ["below/deep/e.tar"]),
        (["**/*.tar"], ["a.tar", "b.tar", "b2/f.tar", "below/d.tar", "below/deep/e.tar", "odd[1].tar"]),
        (["below/**"], ["below/d.tar", "below/deep", "below/deep/e.tar"]),
    ],
)
def test_expands_names_and_globs(filled, sources, expected):
    assert storage.expand(f"{filled}/{source}" for source in sources) == [
        f"{filled}/{name}" for name in expected
    ]


def test_a_bucket_is_a_folder(filled):
    bucket = storage.parent(storage.parent(filled))
    assert bucket.count("/") == 2
    assert storage.expand([bucket]) == [bucket]
    assert storage.is_folder(bucket)
    assert len(storage.list_entries(filled)) == len(NAMES)


@pytest.mark.parametrize("source", ["none.tar", "none*.tar", "none/*/a.tar", "a.tar/*"])
def test_what_is_not_there_is_refused(filled, source):
    with pytest.raises(Refusal, match="name an archive, a folder or a glob") as refused:
        storage.expand([f"{filled}/{source}"])
    assert f"{filled}/{source}" in str(refused.value)


def test_listed_sources_are_not_asked_for_one_by_one(filled, proxy, reach_s3):
    reach_s3(proxy.urls["counted"])
    before = len(proxy.requests("counted"))
    found = storage.expand([f"{filled}/*.tar"])
    for url in found:
        assert storage.is_file(url)
        assert not storage.is_folder(url)
        assert storage.stamp(url)
    assert len(proxy.requests("counted")) - before <= 3


def test_what_was_listed_is_asked_for_again_after_a_while(bucket, monkeypatch):
    storage.write(f"{bucket}/a.tar", b"x")
    (url,) = storage.expand([f"{bucket}/a.tar"])
    storage.remove(url)
    assert storage.exists(url)
    monkeypatch.setattr(listing, "_REMEMBERED_SECONDS", 0.0)
    assert not storage.exists(url)
