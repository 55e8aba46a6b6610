"""Compiles the kernels: at their first call, without the interpreter lock, and kept for the next process."""

from collections.abc import Callable
from typing import Any

from numba import njit


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
