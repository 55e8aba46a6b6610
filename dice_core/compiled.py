"""Compiles the kernels: at their first call, without the interpreter lock, and kept for the next process."""

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import numpy as np
from llvmlite import binding
from numba import config, njit

index = np.uintp
"""What loops count with: for numbers with a sign numba would look for negative indices in every turn."""

_settings: Any = config  # its names are made as it is imported
_WIDE_AT_FULL_CLOCK = "avx512vbmi2"  # what came together with a clock that wide vectors do not slow down


def _use_whole_vectors() -> None:
    """Let loops use vectors of 512 bits, which LLVM shuns even where they are as quick as those of half.

    What the user has set for numba stays.
    """
    if not _settings.ENABLE_AVX or (_settings.CPU_NAME, _settings.CPU_FEATURES) != (None, None):
        return
    with suppress(RuntimeError):  # of a processor that LLVM does not know, numba asks no features either
        features = binding.get_host_cpu_features()
        if features.get(_WIDE_AT_FULL_CLOCK):
            _settings.CPU_FEATURES = f"{features.flatten()},-prefer-256-bit"


def compiled(**options: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Make a decorator that compiles a function with numba.

    The code is kept beside the package or in the user's cache; where numba finds no folder to write to, each
    process compiles for itself.

    Parameters
    ----------
    **options
        As `numba.njit` takes them.
    """

    def compile_one(function: Callable[..., Any]) -> Callable[..., Any]:
        made: Callable[..., Any]
        try:
            made = njit(nogil=True, error_model="numpy", cache=True, **options)(function)
        except RuntimeError:  # what numba raises where it may write nowhere
            made = njit(nogil=True, error_model="numpy", **options)(function)
        return made

    return compile_one


_use_whole_vectors()
