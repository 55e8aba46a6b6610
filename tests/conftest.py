"""What all tests share: where the known photographs are, and a loud word where they are not."""

import os
from pathlib import Path

import pytest

VARIABLE = "DICE_PHOTOGRAPHS"


@pytest.fixture(scope="session")
def known_archive() -> Path:
    """The archive of known photographs."""
    folder = os.environ.get(VARIABLE)
    if not folder:
        pytest.skip(f"{VARIABLE} names no folder of real photographs: NOT tested on real dice")
    archive = Path(folder) / "dice_known.tar"
    if not archive.is_file():
        pytest.fail(f"{VARIABLE} is {folder}, but there is no dice_known.tar in it")
    return archive


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory):
    """No test reads or fills the user's cache of plans."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DICE_INSPECT_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


def pytest_terminal_summary(terminalreporter):
    if not os.environ.get(VARIABLE):
        terminalreporter.section("NO REAL PHOTOGRAPHS", sep="!", red=True)
        terminalreporter.line(f"{VARIABLE} is not set: everything ran on synthetic dice alone.")
