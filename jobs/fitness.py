"""Whether the workers of a cluster are fit to score: what each would import, what it finds, what it holds."""

import platform
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from jobs import memory
from jobs.errors import Refusal

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
    differ = [package for package, version in expected.items() if found["versions"][package] != version]
    if differ:
        there, here = (
            ", ".join(f"{package} {versions[package] or 'not at all'}" for package in differ)
            for versions in (found["versions"], expected)
        )
        return f"has {there}; this has {here}: give both the same"
    if found["unseen"]:
        return f"does not find {found['unseen'][0]}: name a folder that every worker shares"
    return None


_SCHEDULER = "the scheduler"

Needs = Callable[[int], int]
"""Bytes that a worker needs, by the number of its threads."""


def check_workers(client: Any, sees: Sequence[str] = ()) -> None:
    """Refuse a cluster that has a worker unfit to score, or a scheduler unfit to pass tasks on.

    The scheduler has to read the tasks, and so needs the packages as well.

    Parameters
    ----------
    client
        Dask's, of the cluster.
    sees
        Paths that every worker must find.

    Raises
    ------
    Refusal
        Naming the process, what is wrong with it and the way out.
    """
    own = platform.python_version()
    for process, python in _ask(client, platform.python_version).items():
        # Asked for first and alone: a function sent from another minor version may crash what runs it.
        if python.split(".")[:2] != own.split(".")[:2]:
            raise Refusal(f"{process} runs Python {python}, this is {own}: give both the same")
    probe = make_probe(PACKAGES, tuple(sees))
    expected = probe()["versions"]
    for process, found in _ask(client, probe).items():
        if process == _SCHEDULER:
            found["unseen"] = []  # it passes on what it never opens
        problem = misfit(found, expected)
        if problem is not None:
            raise Refusal(f"{process} {problem}")


def _ask(client: Any, question: Callable[[], Any]) -> dict[str, Any]:
    """Ask the scheduler and every worker, by their names in messages."""
    answers = sorted(client.run(question).items())
    return {_SCHEDULER: client.run_on_scheduler(question)} | {
        f"worker {name}": told for name, told in answers
    }


def check_memory(client: Any, needs: Needs) -> None:
    """Refuse a cluster that has a worker with less memory than its tasks need.

    Raises
    ------
    Refusal
        Naming the worker, both figures and the way out.
    """
    for address, (threads, limit) in sorted(limits(client).items()):
        need = needs(threads)
        if limit and limit < need:
            raise Refusal(
                f"worker {address} may hold {memory.told(limit)}, with {threads} threads it needs "
                f"{memory.told(need)}: start it with a larger --memory-limit or fewer --nthreads"
            )


def limits(client: Any) -> dict[str, tuple[int, int]]:
    """Tell the threads of every worker and the bytes it may hold; 0 where nothing limits it."""
    told = client.scheduler_info(n_workers=-1)["workers"]
    return {address: (about["nthreads"], about["memory_limit"] or 0) for address, about in told.items()}
