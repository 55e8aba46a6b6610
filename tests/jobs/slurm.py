"""A SLURM of one node on loopback, started for the tests and stopped with all it started."""

import os
import shutil
import socket
import subprocess
import sys
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "squeue", "scancel", "sinfo")
CPUS = 4
MEGABYTES = 64_000

CONFIGURATION = """
ClusterName=dice
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller}
SlurmdPort={node}
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SlurmdParameters=config_overrides
SchedulerParameters=batch_sched_delay=0,sched_min_interval=0,sched_interval=1
ReturnToService=2
KillWait=2
NodeName={host} NodeAddr=127.0.0.1 CPUs={cpus} RealMemory={megabytes} State=UNKNOWN
PartitionName=night Nodes={host} Default=YES MaxTime=INFINITE State=UP
"""


class Slurm:
    """What the tests ask of it."""

    def __init__(self, folder):
        self.environment = {"SLURM_CONF": str(folder / "slurm.conf")}

    def run(self, *command, **options):
        """Run a command of it, and give what it writes."""
        done = subprocess.run(
            command,
            env={**os.environ, **self.environment},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            **options,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def queue(self, state="all"):
        """The numbers of the jobs that are in the queue."""
        return self.run("squeue", "--noheader", "--array", "--format=%i", f"--states={state}").split()

    def active(self):
        """Those that wait or run."""
        return self.queue("pending,running,completing,configuring")

    def wait_for(self, tell, seconds=60):
        """Wait until something is so."""
        deadline = time.monotonic() + seconds
        while not (told := tell()):
            assert time.monotonic() < deadline, self.run("squeue")
            time.sleep(0.2)
        return told


def missing():
    """Why there can be no SLURM here; None where there can."""
    gone = [program for program in PROGRAMS if _program(program) is None]
    if gone:
        return f"NOT TESTED on SLURM: no {', '.join(gone)} (Debian: slurm-wlm, munge)"
    if not sys.platform.startswith("linux") or os.geteuid():
        return "NOT TESTED on SLURM: its daemons need Linux and root"
    return None


def _program(name):
    return shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin:/sbin")


def _port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


@contextmanager
def _daemon(*command):
    process = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextmanager
def running(folder):
    """A controller and a node, in a folder that nobody else may write to."""
    if why := missing():
        pytest.skip(why)
    host = socket.gethostname().split(".")[0]
    for name in ("state", "spool"):
        (folder / name).mkdir()
    (folder / "munge.key").write_bytes(os.urandom(1024))
    (folder / "munge.key").chmod(0o600)
    ports = {"controller": _port(), "node": _port()}
    text = CONFIGURATION.format(folder=folder, host=host, cpus=CPUS, megabytes=MEGABYTES, **ports)
    (folder / "slurm.conf").write_text(text)
    (folder / "cgroup.conf").write_text("CgroupPlugin=cgroup/v1\nCgroupAutomount=no\n")
    munge = [f"--{name}={folder}/munge.{name.partition('-')[0]}" for name in ("socket", "key-file")]
    munge += [f"--pid-file={folder}/munge.pid", f"--log-file={folder}/munge.log"]
    slurm = Slurm(folder)
    with ExitStack() as stack:
        stack.enter_context(
            _daemon(_program("munged"), "--foreground", "--force", *munge, f"--seed-file={folder}/munge.seed")
        )
        slurm.wait_for((folder / "munge.socket").exists)
        stack.enter_context(_daemon(_program("slurmctld"), "-D", "-f", str(folder / "slurm.conf")))
        stack.enter_context(_daemon(_program("slurmd"), "-D", "-f", str(folder / "slurm.conf")))
        stack.callback(_cancel, slurm)
        deadline = time.monotonic() + 60
        while _state(slurm) != "idle":
            assert time.monotonic() < deadline, _logs(folder)
            time.sleep(0.2)
        yield slurm


def _state(slurm):
    try:
        return slurm.run("sinfo", "--noheader", "--format=%T").strip()
    except AssertionError:
        return None


def _logs(folder):
    return "\n".join(path.read_text()[-2000:] for path in Path(folder).glob("*.log"))


def _cancel(slurm):
    """End every job, so that none of its processes is left to nobody."""
    slurm.run("scancel", "--user=root")
    slurm.wait_for(lambda: not slurm.active(), 30)
