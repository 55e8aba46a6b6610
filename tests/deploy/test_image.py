"""The Dockerfile's steps in a new virtual environment, as far as no engine is needed; and the lock file."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
LINE = re.compile(r"^([a-zA-Z0-9_.-]+(?:\[[^]]*\])?)==(\S+)(?: ; (.*?))? \\$")


def instructions():
    """The Dockerfile's instructions, each with what it says, in order."""
    text = re.sub(r"\\\n\s*", " ", (DEPLOY / "Dockerfile").read_text())
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return [(line.split(maxsplit=1)[0], line.split(maxsplit=1)[1]) for line in lines]


def said(instruction):
    return [text for name, text in instructions() if name == instruction]


@pytest.fixture(scope="module")
def locked():
    """Name and version of each requirement, by its name; two where they differ by Python."""
    found = {}
    for line in (DEPLOY / "requirements.lock").read_text().splitlines():
        if line and not line.startswith((" ", "#")):
            name, version, _ = LINE.fullmatch(line).groups()
            found.setdefault(canonicalize_name(Requirement(name).name), set()).add(version)
    return found


def test_every_requirement_is_locked_to_versions_that_are_taken(locked):
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    wanted = [
        *project["dependencies"],
        *(each for extra in ("gcs", "s3", "slurm") for each in extras[extra]),
    ]
    for text in wanted:
        requirement = Requirement(text)
        versions = locked[canonicalize_name(requirement.name)]
        assert all(requirement.specifier.contains(version, prereleases=True) for version in versions), text


def test_every_locked_requirement_has_hashes_and_no_registry_is_named():
    text = (DEPLOY / "requirements.lock").read_text()
    entries = re.split(r"\n(?=[a-zA-Z0-9])", re.sub(r"^#.*\n", "", text, flags=re.MULTILINE))
    assert len(entries) > 50
    assert all(re.search(r"--hash=sha256:[0-9a-f]{64}", entry) for entry in entries)
    for path in filter(Path.is_file, DEPLOY.rglob("*")):
        assert not re.search(
            r"https?://(?!127\.0\.0\.1|s3:)|index-url|find-links (?!wheel)", path.read_text()
        ), path


def test_the_image_does_not_run_as_root_and_its_base_is_a_version():
    assert said("USER") == ["10001:10001"]
    assert re.fullmatch(r"PYTHON=3\.\d+\.\d+-slim-\w+", said("ARG")[0])
    assert said("HEALTHCHECK")


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """The environment that the Dockerfile builds, of packages that are here already."""
    source, opt = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("opt")
    for text in said("COPY"):
        *sources, target = [word for word in shlex.split(text) if not word.startswith("--")]
        for name in sources if "--from" not in text else ():
            path = source / target / ("" if (ROOT / name).is_dir() else Path(name).name)
            copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
            path.parent.mkdir(parents=True, exist_ok=True)
            copy(ROOT / name, path, **({"dirs_exist_ok": True} if copy is shutil.copytree else {}))
    for step in said("RUN"):
        if "--require-hashes" in step or step.startswith("useradd"):
            continue  # the packages of this environment stand in for those of the lock file
        words = [word.replace("/opt/dice", str(opt / "dice")) for word in shlex.split(step)]
        if words[:3] == ["python", "-m", "venv"]:
            words = [sys.executable, *words[1:]]
        subprocess.run(words, cwd=source, check=True, capture_output=True, env=clean(opt))
        if "venv" in words:
            borrow(opt)
    return opt / "dice"


def borrow(opt):
    """Let the new environment find what the lock file would bring: all that is here but this package."""
    (own,) = (opt / "dice").glob("lib/python*/site-packages")
    for path in [*own.glob("setuptools*"), *own.glob("pkg_resources")]:
        shutil.rmtree(path)  # those of some Pythons are too old
    (opt / "borrowed").mkdir()
    for folder in (path for path in sys.path if path.endswith("site-packages")):
        for path in Path(folder).iterdir():
            link = opt / "borrowed" / path.name
            if not path.name.startswith(("dice_", "jobs", "__editable__", "pip")) and not link.exists():
                link.symlink_to(path)
    (own / "borrowed.pth").write_text(f"{opt / 'borrowed'}\n")


def clean(opt):
    kept = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
    return {**kept, "HOME": str(opt / "gone")}


def run(dice, scratch, *command):
    """Run a program of the image as the image would, in its environment."""
    (text,) = said("ENV")
    environ = dict(pair.split("=", 1) for pair in shlex.split(text))
    environ["NUMBA_CACHE_DIR"] = environ["DASK_TEMPORARY_DIRECTORY"] = str(scratch)
    environ |= {"PATH": f"{dice / 'bin'}:/usr/bin:/bin", "HOME": "/nonexistent"}
    program = [dice / "bin" / command[0], *command[1:]]
    done = subprocess.run(program, env=environ, cwd=scratch, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_steps_of_the_dockerfile_give_a_program_that_is_healthy(built, tmp_path):
    (check,) = said("HEALTHCHECK")
    told = run(built, tmp_path, *json.loads(check.partition("CMD ")[2]))
    assert "dice-inspect 0" in told
    assert run(built, tmp_path, "python", "-c", "import jobs; print(jobs.__file__)").startswith(str(built))
