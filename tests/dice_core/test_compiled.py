import math

import numpy as np
import pytest

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
