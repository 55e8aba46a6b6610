import sys
from pathlib import Path

import pytest

# The import mode leaves the path alone; the helpers beside this file are imported by their name.
sys.path.insert(0, str(Path(__file__).parent))

import dice
import fake_scorer
import samples


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
