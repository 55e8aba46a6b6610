"""The cluster managers that may be asked for workers, and what each has to be told."""

import os
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from jobs import walltime
from jobs.errors import Refusal

WORKER_ENVIRONMENT = {
    # Dask uses every core already.
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "NUMBA_NUM_THREADS": "1",
    # `jobs` is a common name: a folder of that name where the worker starts must not win.
    "PYTHONSAFEPATH": "1",
}
"""What a worker must find in its environment when it starts."""

ALLOCATOR_ENVIRONMENT = {
    "MALLOC_TRIM_THRESHOLD_": str(256 << 20),
    "MALLOC_MMAP_THRESHOLD_": str(32 << 20),
}
"""By what Dask sets in their place, the memory of every batch would go back to the system."""

DASK_ENVIRONMENT = {
    # As `cluster` has it for local workers, which says why.
    "DASK_DISTRIBUTED__WORKER__PROFILE__ENABLED": "False",
    "DASK_DISTRIBUTED__WORKER__MEMORY__TARGET": "False",
    "DASK_DISTRIBUTED__WORKER__MEMORY__SPILL": "False",
    "DASK_DISTRIBUTED__WORKER__MEMORY__PAUSE": "False",
}

Refuse = Callable[[str], Refusal]
Fill = Callable[..., dict[str, Any]]

_OURS = ("asynchronous", "loop", "n_workers", "protocol", "security", "silence_logs", "shutdown_on_close")
_QUEUES_OURS = (*_OURS, "dashboard_address", "host", "job_cls", "nanny", "scheduler_cls", "worker_command")
_SCHEDULER_OPTIONS = ("contact_address", "host", "interface", "port")
_LIFETIME = ("--lifetime", "--lifetime-stagger", "--lifetime-restart")


@dataclass(frozen=True, slots=True)
class Manager:
    """A class that starts workers elsewhere.

    Attributes
    ----------
    name
        Module and class.
    extra
        Of this package, that installs it.
    security
        How its connections are kept safe, as the rest of a sentence that begins with "it".
    encrypts
        Whether they are encrypted without ``--insecure``.
    takes_certificates
        Whether it can be given any.
    queue
        The command that tells of jobs, to which their numbers are added; empty where there is none.
    """

    name: str
    extra: str
    security: str
    encrypts: bool
    takes_certificates: bool = False
    queue: tuple[str, ...] = ()

    @property
    def is_queue(self) -> bool:
        """Whether workers are jobs of a batch system."""
        return self.name.startswith("dask_jobqueue.")

    def check(self, arguments: Mapping[str, Any], refusal: Refuse) -> None:
        """Refuse arguments that are not the user's to give, or would start other workers than are needed."""
        for name in _QUEUES_OURS if self.is_queue else _OURS:
            if name in arguments:
                raise refusal(f"arguments.{name} is not taken: it follows from the rest")
        if self.is_queue:
            _check_queue(arguments, refusal)

    def fill(
        self, arguments: Mapping[str, Any], environment: Mapping[str, str], number: int
    ) -> dict[str, Any]:
        """Give all arguments: the user's, and what makes workers of one thread each out of them."""
        environment = {**WORKER_ENVIRONMENT, **ALLOCATOR_ENVIRONMENT, **DASK_ENVIRONMENT, **environment}
        if self.is_queue:
            return _fill_queue(arguments, environment)
        if self.extra == "kubernetes":
            return _fill_kubernetes(arguments, environment, number)
        own = {"environment": environment} if "environment" in arguments else {}
        return {**arguments, **own, "shutdown_on_close": True}


def _check_queue(arguments: Mapping[str, Any], refusal: Refuse) -> None:
    cores = arguments.get("cores")
    if isinstance(cores, bool) or not isinstance(cores, int) or cores < 1:
        raise refusal("arguments.cores is missing: say how many workers, of one core each, a job holds")
    if not isinstance(arguments.get("memory"), str):
        raise refusal("arguments.memory is missing: say how much a job holds, such as '4GB'")
    if arguments.get("processes", cores) != cores:
        raise refusal(
            f"arguments.processes has to be {cores}, as arguments.cores: workers have one thread each"
        )
    for name in ("job_script_prologue", "worker_extra_args", "job_extra_directives"):
        given = arguments.get(name, [])
        if not isinstance(given, list) or not all(isinstance(text, str) for text in given):
            raise refusal(f"arguments.{name} has to be a list of texts")
    options = arguments.get("scheduler_options", {})
    for name in options if isinstance(options, dict) else ("scheduler_options",):
        if name not in _SCHEDULER_OPTIONS:
            raise refusal(f"arguments.scheduler_options: known are {', '.join(_SCHEDULER_OPTIONS)}")
    try:
        walltime.seconds(str(arguments.get("walltime", "1")))
    except ValueError as error:
        raise refusal(f"arguments.walltime: {error} (in quotes)") from error


def _fill_queue(arguments: Mapping[str, Any], environment: Mapping[str, str]) -> dict[str, Any]:
    extra = list(arguments.get("worker_extra_args", []))
    if "walltime" in arguments and not set(extra) & set(_LIFETIME):
        extra += walltime.lifetime(walltime.seconds(str(arguments["walltime"]))).options()
    # Without both, every worker would open a page of itself to all.
    extra += ["--no-dashboard", "--dashboard-address", "127.0.0.1:0"]
    exports = [f"export {name}={shlex.quote(value)}" for name, value in environment.items()]
    return {
        # Where the keys of workers lie while they run: queues start jobs in the folder they were sent from.
        "shared_temp_directory": os.getcwd(),  # noqa: PTH109
        "job_name": "dice-inspect",
        **arguments,
        "processes": arguments["cores"],
        "worker_extra_args": extra,
        "job_script_prologue": [*exports, *arguments.get("job_script_prologue", [])],
    }


def _fill_kubernetes(
    arguments: Mapping[str, Any], environment: Mapping[str, str], number: int
) -> dict[str, Any]:
    own = arguments.get("env", {})
    # Its own form of a list may refer to secrets.
    listed = (
        own if isinstance(own, list) else [{"name": name, "value": str(value)} for name, value in own.items()]
    )
    names = {entry["name"] for entry in listed}
    ours = [{"name": name, "value": value} for name, value in environment.items() if name not in names]
    command = ["dask", "worker", "--nthreads", "1"]
    return {
        "worker_command": command,
        **arguments,
        "env": [*ours, *listed],
        "n_workers": number,
        "quiet": True,
    }


def _queue(name: str, *command: str) -> Manager:
    return Manager(
        f"dask_jobqueue.{name}",
        "slurm",
        "encrypts by certificates that it makes for each run",
        encrypts=True,
        takes_certificates=True,
        queue=command,
    )


MANAGERS = {
    manager.name: manager
    for manager in (
        _queue("SLURMCluster", "squeue", "--noheader", "--format=%i %T %r", "--jobs"),
        _queue("PBSCluster", "qstat"),
        _queue("SGECluster", "qstat", "-j"),
        _queue("LSFCluster", "bjobs"),
        _queue("HTCondorCluster", "condor_q"),
        _queue("OARCluster", "oarstat", "-j"),
        _queue("MoabCluster", "checkjob"),
        Manager(
            "dask_kubernetes.operator.KubeCluster",
            "kubernetes",
            "sends everything in the clear",
            encrypts=False,
        ),
        Manager("dask_gateway.GatewayCluster", "gateway", "encrypts by itself", encrypts=True),
    )
}
"""By their names in a file; no other class is ever imported for one."""
