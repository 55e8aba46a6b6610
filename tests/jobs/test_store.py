"""A store that fails is asked again, and what it says at last is told in words and exit codes of files."""

import errno

import fsspec
import pytest
import servers

from jobs import storage, store
from jobs.errors import Refusal, UnavailableError


@pytest.fixture
def no_pauses(monkeypatch):
    monkeypatch.setattr(store, "_PAUSES", {"s3": (0.0, 0.0), "gs": ()})


def test_a_store_that_answers_two_of_three_times_costs_nothing(bucket, proxy, reach_s3):
    reach_s3(proxy.urls["faulty"])
    before = len(proxy.requests("faulty"))
    names = [f"{number}" for number in range(4)]
    for name in names:
        storage.write(f"{bucket}/{name}", name.encode())
    assert [storage.read(f"{bucket}/{name}").decode() for name in names] == names
    while not any(line.startswith("503") for line in proxy.requests("faulty")[before:]):
        assert storage.list_names(bucket) == names


def test_a_store_that_never_answers_is_unavailable(bucket, proxy, reach_s3, monkeypatch):
    monkeypatch.setattr(store, "_PAUSES", {"s3": (0.0,)})
    monkeypatch.setitem(store.PROTOCOLS["s3"], "config_kwargs", {"retries": {"total_max_attempts": 1}})
    reach_s3(proxy.urls["down"])
    before = len(proxy.requests("down"))
    for ask in (storage.exists, storage.read, storage.list_names, storage.open_read, storage.list_sizes):
        with pytest.raises(UnavailableError, match="does not answer") as failed:
            ask(f"{bucket}/file")
        assert failed.value.filename == f"{bucket}/file"
    with pytest.raises(UnavailableError):
        storage.write(f"{bucket}/file", b"")
    assert len(proxy.requests("down")) - before == 6 * 2


@pytest.mark.usefixtures("no_pauses")
def test_no_server_at_all_is_one_that_is_unavailable(reach_s3, monkeypatch):
    monkeypatch.setitem(store.PROTOCOLS["s3"], "config_kwargs", {"retries": {"total_max_attempts": 1}})
    (port,) = servers.free_ports(1)
    reach_s3(f"http://127.0.0.1:{port}")
    with pytest.raises(UnavailableError, match="EndpointConnectionError"):
        storage.exists("s3://bucket/file")


@pytest.mark.parametrize(("key", "secret"), [("nobody", servers.CANARY), (servers.KEY, "wrong")])
def test_a_wrong_key_is_access_that_is_denied(bucket, seaweed, reach_s3, key, secret):
    reach_s3(seaweed.url, key, secret)
    for ask in (storage.exists, storage.read, storage.list_names):
        with pytest.raises(PermissionError, match="access denied"):
            ask(f"{bucket}/file")
    with pytest.raises(Refusal, match="access denied"):
        storage.expand([f"{bucket}/*.tar"])


def test_without_credentials_that_is_what_is_told(bucket, monkeypatch, tmp_path):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    fsspec.get_filesystem_class("s3").clear_instance_cache()
    with pytest.raises(PermissionError, match=r"no credentials .*AWS_PROFILE"):
        storage.exists(f"{bucket}/file")


def test_a_bucket_that_is_missing_is_not_made(seaweed, reach_s3):
    reach_s3(seaweed.url)
    with pytest.raises(FileNotFoundError, match="no such object or bucket"):
        storage.write("s3://missing-bucket/file", b"")
    assert storage.list_names("s3://missing-bucket/below") == []
    with pytest.raises(Refusal, match="no such file or folder"):
        storage.expand(["s3://missing-bucket"])


@pytest.mark.parametrize(("protocol", "extra"), [("s3", "s3"), ("gs", "gcs")])
def test_a_missing_extra_is_named(monkeypatch, protocol, extra):
    def missing(*_, **__):
        raise ImportError("Install it")

    monkeypatch.setattr(fsspec, "filesystem", missing)
    with pytest.raises(Refusal, match=rf"pip install 'dice-inspect\[{extra}\]'"):
        storage.exists(f"{protocol}://bucket/file")


class Answered(Exception):  # noqa: N818 - as the libraries have theirs
    def __init__(self, code):
        super().__init__("SECRET")
        self.code = code


@pytest.mark.usefixtures("no_pauses")
@pytest.mark.parametrize(
    ("error", "kind", "told"),
    [
        (FileNotFoundError("SECRET"), FileNotFoundError, "no such object"),
        (FileExistsError("SECRET"), FileExistsError, "there is an object already"),
        (PermissionError("SECRET"), PermissionError, "access denied"),
        (OSError("Forbidden: SECRET"), PermissionError, "access denied"),
        (Answered(401), PermissionError, "access denied (401)"),
        (TimeoutError("SECRET"), UnavailableError, "TimeoutError"),
        (OSError(errno.EBUSY, "SECRET"), UnavailableError, "OSError"),
    ],
)
def test_an_error_is_told_as_of_a_file_and_in_none_of_the_words_of_the_store(error, kind, told):
    def question(_store, _path):
        raise error

    with pytest.raises(kind) as failed:
        store.ask("s3://bucket/file", question)
    assert told in str(failed.value)
    assert "SECRET" not in repr(failed.value)
    assert failed.value.__cause__ is None


def test_a_bug_is_not_taken_for_a_store_that_fails():
    with pytest.raises(ZeroDivisionError):
        store.ask("s3://bucket/file", lambda *_: 1 // 0)
