import math
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from llvmlite import binding

from dice_core import compiled as module
from dice_core.compiled import compiled


def one_over(values):
    return 1 / values[0]


def made_without_a_file(decorator):
    """A function whose source is nowhere, as of a package in a zip: numba finds no place for its cache."""
    scope = {}
    exec("def twice(x):\n    return 2 * x\n", scope)  # noqa: S102
    return decorator(scope["twice"])


def test_division_by_zero_is_numpys():
    with np.errstate(divide="ignore"):
        assert compiled()(one_over)(np.zeros(1)) == math.inf


def test_a_function_with_no_place_for_its_code_compiles_all_the_same():
    assert made_without_a_file(compiled())(21) == 42


def test_loops_use_the_widest_vectors_of_a_processor_whose_clock_stays():
    twice = made_without_a_file(compiled())  # what comes from the cache shows no assembly
    assert (twice(np.ones(100, np.float32)) == 2).all()
    (assembly,) = twice.inspect_asm().values()
    assert ("zmm" in assembly) == binding.get_host_cpu_features().get("avx512vbmi2", False)


@pytest.mark.parametrize(
    "chosen", [{"NUMBA_CPU_NAME": "generic"}, {"NUMBA_CPU_FEATURES": "+sse2"}, {"NUMBA_ENABLE_AVX": "0"}]
)
def test_what_the_user_has_numba_compile_for_stays(chosen):
    program = "import dice_core.compiled; from numba import config; print(config.CPU_FEATURES)"
    told = subprocess.run(
        [sys.executable, "-c", program],
        env=os.environ | chosen,
        cwd=Path(module.__file__).parents[1],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "prefer" not in told.stdout


KERNEL = "from dice_core.compiled import compiled\n\n\n@compiled()\ndef twice(x):\n    return 2 * x\n"
PROGRAM = "from kernel import twice; print(twice(21), len(twice.stats.cache_hits), twice.stats.cache_path)"


def run_kernel(package, home):
    """Run a kernel in a process of its own: what it gives, how often its code was found, and where it is."""
    roots = [str(package), str(Path(module.__file__).parents[1])]
    environ = os.environ | {"PYTHONPATH": os.pathsep.join(roots), "PYTHONSAFEPATH": "1"}
    environ |= {"HOME": str(home), "XDG_CACHE_HOME": str(home / "cache")}
    environ.pop("NUMBA_CACHE_DIR", None)
    told = subprocess.run(
        [sys.executable, "-B", "-c", PROGRAM], env=environ, capture_output=True, text=True, check=True
    )
    value, hits, folder = told.stdout.split()
    return int(value), int(hits), folder


@pytest.fixture
def package(tmp_path):
    folder = tmp_path / "package"
    folder.mkdir()
    (folder / "kernel.py").write_text(KERNEL)
    return folder


def shut(folder):
    """Let nobody make a folder of this name, not even who may write everywhere."""
    folder.touch()


def test_code_is_kept_in_the_users_cache_where_the_package_cannot_be_written_to(package, tmp_path):
    home = tmp_path / "home"
    shut(package / "__pycache__")
    value, hits, folder = run_kernel(package, home)
    assert (value, hits) == (42, 0)
    assert Path(folder).is_relative_to(home)
    assert run_kernel(package, home) == (42, 1, folder)


def test_code_is_compiled_where_nothing_can_be_written_to(package, tmp_path):
    shut(package / "__pycache__")
    shut(tmp_path / "home")
    assert run_kernel(package, tmp_path / "home") == (42, 0, "None")


def test_the_fallback_keeps_the_options(monkeypatch):
    asked = []

    def njit(**options):
        asked.append(options)
        if options.get("cache"):
            raise RuntimeError("cannot cache function")
        return lambda function: function

    monkeypatch.setattr(module, "njit", njit)
    assert compiled(fastmath={"contract"})(one_over) is one_over
    cached, plain = asked
    assert cached.pop("cache") is True
    assert cached == plain == {"nogil": True, "error_model": "numpy", "fastmath": {"contract"}}


def test_other_errors_are_not_taken_for_a_missing_cache(monkeypatch):
    def njit(**_options):
        raise TypeError("unexpected option")

    monkeypatch.setattr(module, "njit", njit)
    with pytest.raises(TypeError, match="unexpected option"):
        compiled(wrong=True)(one_over)
