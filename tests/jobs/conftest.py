import itertools
import sys
from pathlib import Path

import pytest

# The import mode leaves the path alone; the helpers beside this file are imported by their name.
sys.path.insert(0, str(Path(__file__).parent))

import dice
import fake_scorer
import fsspec
import numpy as np
import samples
import servers

from dice_core.bank import Bank
from dice_core.exposure import Exposure
from dice_core.face import Face
from dice_core.rows import SCORE_DIRECTIONS
from jobs import listing
from jobs.labelled import Labelled


@pytest.fixture
def model(tmp_path):
    path = tmp_path / "model.npz"
    path.write_bytes(fake_scorer.MODEL)
    return str(path)


@pytest.fixture
def tar(tmp_path):
    """Forty members of all kinds."""
    return samples.write_tar(tmp_path / "lot1.tar", samples.members(40))


@pytest.fixture
def log(tmp_path, monkeypatch):
    """Every image that was scored, one line each."""
    path = tmp_path / "log"
    path.touch()
    monkeypatch.setenv(fake_scorer.LOG, str(path))
    return path


@pytest.fixture(scope="session")
def dice_model(tmp_path_factory):
    """A model of three faces of synthetic dice, with the archive that taught it beside it."""
    return dice.teach(tmp_path_factory.mktemp("taught"), [*dice.bad(10), *dice.good(30)])


@pytest.fixture(scope="session")
def make_named_bank():
    """A bank whose faces have names and nothing worth scoring with."""
    blank, flags = np.ones((4, 4), np.float32), np.ones((4, 4), bool)

    def make(*names):
        faces = tuple(
            Face(name, 1, blank, flags, Exposure(1.0, 1.0), blank, blank, blank.reshape(1, 16), blank, blank)
            for name in names
        )
        return Bank((4, 4), (4, 4), faces, ("ano",), 0.0, {}, frozenset())

    return make


@pytest.fixture(scope="session")
def make_labelled():
    """Labelled rows, each a part of its own and of zero scores unless told otherwise."""

    def make(label, face, bad, **changes):
        count = len(label)
        scores = {
            name: np.asarray(changes.pop(name, np.zeros(count)), np.float32) for name in SCORE_DIRECTIONS
        }
        own = {
            "bad": np.asarray(bad, bool),
            "label": np.asarray(label, np.int64),
            "face": np.asarray(face, np.int64),
            **{name: np.asarray(changes.pop(name, np.zeros(count)), bool) for name in ("unknown", "seen")},
            "run": np.asarray(changes.pop("run", np.arange(count)), np.int64),
            "lot": np.zeros(count, np.int64),
            "content": np.arange(count, dtype=np.uint64),
        }
        return Labelled(**{**own, **changes}, scores=scores)

    return make


@pytest.fixture(scope="session")
def seaweed(tmp_path_factory):
    """A running S3 server."""
    with servers.running(servers.Seaweed(tmp_path_factory.mktemp("seaweed"))) as server:
        server.make_bucket()
        yield server


@pytest.fixture(scope="session")
def proxy(tmp_path_factory, seaweed):
    """A proxy before it that fails at will."""
    if not servers.has_nginx():
        pytest.skip("there is no nginx: NOT tested with a store that fails")
    with servers.running(servers.Proxy(tmp_path_factory.mktemp("proxy"), seaweed.port)) as server:
        yield server


@pytest.fixture
def reach_s3(monkeypatch):
    """Has this process and those it starts find their S3 server at an endpoint."""

    def reach(endpoint, key=servers.KEY, secret=servers.CANARY):
        monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", key)
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", secret)
        forget_stores()

    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    yield reach
    forget_stores()


@pytest.fixture
def bucket(seaweed, reach_s3):
    """A place of its own in a bucket of the S3 server, as a URL."""
    reach_s3(seaweed.url)
    return f"s3://{seaweed.bucket}/{next(_numbers)}"


@pytest.fixture(scope="session")
def emulator(tmp_path_factory):
    """A running emulator of Google's store."""
    with servers.running(servers.Gcs(tmp_path_factory.mktemp("gcs"))) as server:
        yield server


@pytest.fixture
def gcs(emulator, monkeypatch):
    """A new bucket of it, as a URL."""
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", emulator.url)
    monkeypatch.setenv("GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT", "false")  # it would ask Google itself
    forget_stores()
    name = f"bucket-{next(_numbers)}"
    emulator.make_bucket(name)
    yield f"gs://{name}"
    forget_stores()


_numbers = itertools.count()


def forget_stores():
    """Forget which endpoint and credentials there were, as a new process would."""
    for protocol in ("s3", "gs"):
        fsspec.get_filesystem_class(protocol).clear_instance_cache()
    listing._listed.clear()
