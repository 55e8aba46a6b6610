import json
import re

import pytest

from jobs.errors import Refusal
from jobs.managers import MANAGERS
from jobs.spec import ADDRESS_WAIT, MANAGED_WAIT, Kind, check_number, parse

SLURM = """
cluster: dask_jobqueue.SLURMCluster
arguments:
  cores: 2
  memory: 4GB
"""


@pytest.fixture
def written(tmp_path):
    def write(content, name="cluster.yaml"):
        path = tmp_path / name
        path.write_text(content)
        return str(path)

    return write


@pytest.mark.parametrize(
    ("text", "kind", "workers", "address"),
    [
        (None, Kind.LOCAL, None, None),
        ("local", Kind.LOCAL, None, None),
        ("local:3", Kind.LOCAL, 3, None),
        ("serial", Kind.SERIAL, None, None),
        ("tcp://h:1", Kind.ADDRESS, None, "tcp://h:1"),
        ("tls://[::1]:8786", Kind.ADDRESS, None, "tls://[::1]:8786"),
    ],
)
def test_short_forms(text, kind, workers, address):
    spec = parse(text)
    assert (spec.kind, spec.workers, spec.address) == (kind, workers, address)
    assert spec.is_here == (kind in (Kind.LOCAL, Kind.SERIAL))


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("slurm", "not known: give local[:N]"),
        ("local:0", "from 1 up"),
        ("local:two", "not known"),
        ("tcp://host", "not an address"),
        ("tcp://a b:1", "not an address"),
        ("ucx://h:1", "not known"),
        ("gone.yaml", "No such file"),
        ("gone.json", "No such file"),
    ],
)
def test_refuses_what_names_no_cluster(text, why):
    with pytest.raises(Refusal, match=re.escape(why)):
        parse(text)


@pytest.mark.parametrize(
    "text",
    [
        *("tcp://u:5ecret@h:8786", "tcp://5ecret@h:8786", "https://u:5ecret@h", "s3://KEY:5ecret@b/c"),
        *("s3://KEY:5ecret@b/c.yaml", "s3://b/c?X-Amz-Signature=5ecret"),
    ],
)
def test_an_address_with_a_secret_is_refused_and_not_repeated(text):
    with pytest.raises(Refusal, match=r"^--cluster \w+://\.\.\.: |^s3://\.\.\.: ") as refused:
        parse(text)
    assert "5ecret" not in str(refused.value)


def test_a_scheduler_file_stands_for_the_address_in_it(written):
    assert parse(written(json.dumps({"address": "tls://h:1"}), "s.json")).address == "tls://h:1"


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"address": 3}', "[" * 100_000])
def test_refuses_a_file_that_no_scheduler_wrote(written, content):
    with pytest.raises(Refusal, match=r"not a file that dask scheduler|not an address"):
        parse(written(content, "s.json"))


def test_a_file_names_a_manager_its_arguments_and_how_many_workers(written):
    spec = parse(written(f"{SLURM}scale: 8\nenvironment: {{AWS_PROFILE: night, N: 3}}\ndashboard: 8787\n"))
    assert spec.manager is MANAGERS["dask_jobqueue.SLURMCluster"]
    assert spec.arguments == {"cores": 2, "memory": "4GB"}
    assert (spec.least, spec.most, spec.wait, spec.dashboard) == (8, 8, MANAGED_WAIT, 8787)
    assert spec.environment == {"AWS_PROFILE": "night", "N": "3"}
    assert not spec.is_here


def test_a_file_may_adapt_and_say_how_long_to_wait(written):
    spec = parse(written(f"{SLURM}adapt: {{minimum: 2, maximum: 50}}\nwait: 900\n"))
    assert (spec.least, spec.most, spec.wait) == (2, 50, 900.0)


def test_a_file_may_name_an_address_with_certificates(written, tmp_path):
    for name in ("ca", "cert", "key"):
        (tmp_path / name).touch(0o600)
    security = f"{{ca: {tmp_path}/ca, certificate: {tmp_path}/cert, key: {tmp_path}/key}}"
    spec = parse(written(f"address: tls://h:1\nsecurity: {security}\n"))
    assert (spec.kind, spec.address, spec.wait) == (Kind.ADDRESS, "tls://h:1", ADDRESS_WAIT)
    assert spec.certificates.key == f"{tmp_path}/key"
    with pytest.raises(Refusal, match="security is for tls://"):
        parse(written(f"address: tcp://h:1\nsecurity: {security}\n"))
    (tmp_path / "key").chmod(0o644)
    with pytest.raises(Refusal, match=r"key has mode 0644|mode 0644, so others may read it: chmod 600"):
        parse(written(f"address: tls://h:1\nsecurity: {security}\n"))


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("a: [1", "not YAML in line"),
        ("- a", "not a mapping"),
        ("cluster: os.system\nscale: 1", "cluster os.system is not one of dask_jobqueue.SLURMCluster"),
        ("cluster: dask_jobqueue.LocalCluster\nscale: 1", "is not one of"),
        ("!!python/object/apply:os.system [true]", "not YAML in line 1"),
        (f"{SLURM}workers: 3", "workers is not known: known are cluster"),
        (SLURM, "say either scale"),
        (f"{SLURM}scale: 1\nadapt: {{maximum: 3}}", "say either scale"),
        (f"{SLURM}scale: 0", "scale 0: give a whole number from 1 up"),
        (f"{SLURM}scale: true", "scale True"),
        (f"{SLURM}adapt: {{maximum: 3, interval: 1}}", "adapt.interval is not known"),
        (f"{SLURM}adapt: {{minimum: 4, maximum: 3}}", "adapt.maximum 3: give a whole number from 4 up"),
        (f"{SLURM}scale: 1\nwait: soon", "wait soon"),
        (f"{SLURM}scale: 1\nwait: 0x{'f' * 9000}", "wait 0xfff"),
        (f"{SLURM}  walltime: 2026-99-99\nscale: 1", "not YAML: month must be in 1..12"),
        ("cluster: [a, b]\nscale: 1", "cluster that is no text is not one of"),
        ("address: [tcp://h:1]", "address has to be a text"),
        (f"cluster: {'x' * 100_000}", f"cluster {'x' * 80}... is not one of"),
        (f"{SLURM}scale: 1\ndashboard: 99999", "dashboard 99999"),
        (f"{SLURM}scale: 1\nenvironment: {{'A B': x}}", "environment.A B"),
        (f'{SLURM}scale: 1\nenvironment: {{A: "x\\ny"}}', "environment.A: give one line"),
        (f"{SLURM}scale: 1\nenvironment: {{A: yes}}", "environment.A: give a variable"),
        (f"{SLURM}scale: 1\nsecurity: {{ca: x}}", "security.certificate is missing"),
        (f"{SLURM}scale: 1\nsecurity: {{ca: x, certificate: y, key: z}}", "security.ca x: no file"),
        (f"{SLURM}  processes: 1\nscale: 1", "arguments.processes has to be 2"),
        (f"{SLURM}  security: null\nscale: 1", "arguments.security is not taken"),
        (f"{SLURM}  worker_command: rm\nscale: 1", "arguments.worker_command is not taken"),
        (f"{SLURM}  walltime: soon\nscale: 1", "arguments.walltime: soon is no walltime"),
        (f"{SLURM}  job_script_prologue: module load x\nscale: 1", "has to be a list of texts"),
        (
            f"{SLURM}  scheduler_options: {{dashboard: true}}\nscale: 1",
            "arguments.scheduler_options: known are",
        ),
        (
            "cluster: dask_jobqueue.PBSCluster\narguments: {memory: 1GB}\nscale: 1",
            "arguments.cores is missing",
        ),
        ("cluster: dask_jobqueue.PBSCluster\narguments: {cores: 1}\nscale: 1", "arguments.memory is missing"),
        ("address: tcp://h:1\nscale: 3", "scale is not known: known are address, security, wait"),
    ],
)
def test_refuses_a_file_in_one_line(written, content, why):
    with pytest.raises(Refusal) as refused:
        parse(written(content))
    assert why in str(refused.value)
    assert "\n" not in str(refused.value)


def test_two_numbers_of_workers_have_to_agree():
    check_number(parse("local:2"), 2)
    check_number(parse("local:2"), None)
    with pytest.raises(Refusal, match="--workers 3: --cluster local:2 says otherwise"):
        check_number(parse("local:2"), 3)


def test_what_aliases_make_large_is_not_repeated(written):
    levels = [f" - &a{level} [{', '.join([f'*a{level - 1}'] * 10)}]" for level in range(1, 6)]
    for key in ("cluster", "address", "wait"):
        text = "\n".join([f"{key}:", f" - &a0 [{', '.join('x' * 10)}]", *levels])
        content = text if key != "wait" else f"{text}\nscale: 1{SLURM}"
        with pytest.raises(Refusal) as refused:
            parse(written(content))
        assert len(str(refused.value)) < 1000
