import importlib

import pytest

from jobs.managers import ALLOCATOR_ENVIRONMENT, MANAGERS, WORKER_ENVIRONMENT

SLURM = MANAGERS["dask_jobqueue.SLURMCluster"]
KUBERNETES = MANAGERS["dask_kubernetes.operator.KubeCluster"]
GATEWAY = MANAGERS["dask_gateway.GatewayCluster"]
EVERY = {**WORKER_ENVIRONMENT, **ALLOCATOR_ENVIRONMENT}


@pytest.mark.parametrize("name", MANAGERS)
def test_every_manager_is_a_class_of_its_package(name):
    module, _, class_name = name.rpartition(".")
    assert isinstance(getattr(importlib.import_module(module), class_name), type)


def test_a_job_of_a_queue_holds_workers_of_one_thread_that_listen_to_nobody_else():
    filled = SLURM.fill({"cores": 3, "memory": "6GB", "walltime": "01:00:00"}, {"MINE": "a b"}, 3)
    assert filled["processes"] == filled["cores"] == 3
    extra = " ".join(filled["worker_extra_args"])
    assert "--no-dashboard --dashboard-address 127.0.0.1:0" in extra
    assert "--lifetime 2940s --lifetime-stagger 360s" in extra
    exported = filled["job_script_prologue"]
    assert {f"export {name}={value}" for name, value in EVERY.items()} <= set(exported)
    assert "export MINE='a b'" in exported


def test_own_lifetime_and_prologue_are_kept():
    own = {"cores": 1, "memory": "1GB", "walltime": "60", "worker_extra_args": ["--lifetime", "5m"]}
    filled = SLURM.fill({**own, "job_script_prologue": ["module load python"]}, {}, 1)
    assert filled["worker_extra_args"].count("--lifetime") == 1
    assert filled["job_script_prologue"][-1] == "module load python"


def test_without_walltime_workers_do_not_retire():
    assert "--lifetime" not in SLURM.fill({"cores": 1, "memory": "1GB"}, {}, 1)["worker_extra_args"]


@pytest.mark.parametrize(
    "env", [{"MINE": 3}, [{"name": "MINE", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}]]
)
def test_pods_get_the_environment_of_workers_and_their_own(env):
    filled = KUBERNETES.fill({"env": env, "image": "dice"}, {}, 4)
    listed = {entry["name"]: entry for entry in filled["env"]}
    assert {name: listed[name]["value"] for name in EVERY} == EVERY
    assert listed["MINE"] == (env[0] if isinstance(env, list) else {"name": "MINE", "value": "3"})
    assert filled["n_workers"] == 4
    assert " ".join(filled["worker_command"]).endswith("--nthreads 1")


def test_a_gateway_is_told_the_environment_where_it_has_such_an_option():
    assert "environment" not in GATEWAY.fill({"address": "https://g"}, {}, 1)
    filled = GATEWAY.fill({"environment": {}}, {"MINE": "1"}, 1)
    assert filled["environment"] == {**filled["environment"], **EVERY, "MINE": "1"}


def test_only_kubernetes_sends_in_the_clear():
    assert [name for name, manager in MANAGERS.items() if not manager.encrypts] == [KUBERNETES.name]
