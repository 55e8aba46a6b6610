"""Whether a worker is fit to score: what it would import, and what it finds."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

PACKAGES = ("dice-inspect", "dask", "distributed", "numpy", "numba", "pillow", "pyarrow", "simplejpeg")
"""What decides the rows, or must agree for messages to be understood."""


def make_probe(packages: tuple[str, ...], sees: tuple[str, ...]) -> Callable[[], dict[str, Any]]:
    """Make a function that tells what a process would import and which paths it finds.

    It is made here rather than written below so that it is sent to the workers whole: a function of this
    module would be sent by its name, and the worker would import the very package that is in doubt.
    """

    def probe() -> dict[str, Any]:
        import importlib.metadata  # noqa: PLC0415 - sent without this module's imports
        import importlib.util  # noqa: PLC0415
        import os  # noqa: PLC0415

        def is_there(path: str) -> bool:
            if "://" not in path:
                return os.path.exists(path)  # noqa: PTH110
            from jobs import storage  # noqa: PLC0415

            try:
                return storage.exists(path)
            except Exception:  # noqa: BLE001 - whatever the reason, this process does not find it
                return False

        versions: dict[str, str | None] = {}
        for package in packages:
            try:
                versions[package] = importlib.metadata.version(package)
            except importlib.metadata.PackageNotFoundError:
                versions[package] = None
        specs = {package: importlib.util.find_spec(package) for package in ("dice_core", "jobs")}
        return {
            "versions": versions,
            "origins": {package: spec and spec.origin for package, spec in specs.items()},
            "unseen": [path for path in sees if not is_there(path)],
        }

    return probe


def misfit(found: Mapping[str, Any], expected: Mapping[str, str | None]) -> str | None:
    """Tell what makes a worker unfit, from what its probe found; None where it is fit."""
    core, jobs = found["origins"]["dice_core"], found["origins"]["jobs"]
    if core is None:
        return "lacks the package dice-inspect: install it there"
    beside = Path(core).parents[1] / "jobs"
    if jobs is None or Path(jobs).parent != beside:
        return (
            f"would import another package called jobs from {jobs and Path(jobs).parent}, not {beside}: "
            "start it with PYTHONSAFEPATH=1 in an environment with dice-inspect"
        )
    for package, version in expected.items():
        if found["versions"][package] != version:
            return f"has {package} {found['versions'][package]}, this is {version}: give both the same"
    if found["unseen"]:
        return f"does not find {found['unseen'][0]}: name a folder that every worker shares"
    return None
