"""Kubernetes manifests and the compose file against the schemas of those who read them."""

import json
import re
from importlib.resources import files
from pathlib import Path

import jsonschema
import pytest
import yaml

DEPLOY = Path(__file__).parents[2] / "deploy"
MANIFESTS = sorted((DEPLOY / "kubernetes").glob("*.yaml"))
RESOURCES = (
    files("dask_kubernetes") / "operator" / "deployment" / "helm" / "dask-kubernetes-operator" / "crds"
)
VARIABLE = re.compile(r"\$\{(\w+)(?::\?[^}]*)?\}")


def strict(schema):
    """Have a schema refuse what it does not name, as a slip of the hand is."""
    if isinstance(schema, list):
        return [strict(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {key: strict(value) for key, value in schema.items()}
    if isinstance(schema.get("properties"), dict) and "x-kubernetes-preserve-unknown-fields" not in schema:
        closed.setdefault("additionalProperties", False)
    return closed


@pytest.fixture(scope="module")
def schemas():
    found = {}
    for path in RESOURCES.iterdir():
        definition = yaml.safe_load(path.read_text())
        (version,) = definition["spec"]["versions"]
        own = version["schema"]["openAPIV3Schema"]["properties"]
        found[definition["spec"]["names"]["kind"]] = strict({"type": "object", "properties": own})
    return found


def told(problem):
    return f"{problem.json_path}: {problem.message[:200]}"


def problems(manifest, schema):
    body = {key: value for key, value in manifest.items() if key in ("spec", "status")}
    return [told(problem) for problem in jsonschema.Draft7Validator(schema).iter_errors(body)]


def containers(manifest):
    """Every container that a manifest describes, wherever that is."""
    if isinstance(manifest, dict):
        yield from manifest.get("containers", ())
        for value in manifest.values():
            yield from containers(value)
    elif isinstance(manifest, list):
        for value in manifest:
            yield from containers(value)


@pytest.mark.parametrize("path", MANIFESTS, ids=lambda path: path.stem)
def test_manifests_are_valid(path, schemas):
    manifest = yaml.safe_load(path.read_text())
    if manifest["kind"] == "NetworkPolicy":
        assert manifest["apiVersion"] == "networking.k8s.io/v1"
        return
    assert manifest["apiVersion"] == "kubernetes.dask.org/v1"
    assert problems(manifest, schemas[manifest["kind"]]) == []


def test_a_slip_of_the_hand_is_found(schemas):
    manifest = yaml.safe_load((DEPLOY / "kubernetes" / "cluster.yaml").read_text())
    manifest["spec"]["worker"]["spec"]["containers"][0]["livenessprobe"] = {}
    manifest["spec"]["worker"]["replicas"] = "four"
    found = problems(manifest, schemas["DaskCluster"])
    assert any("livenessprobe" in problem for problem in found)
    assert any("'four' is not of type 'integer'" in problem for problem in found)


@pytest.mark.parametrize("name", ["cluster", "job"])
def test_pods_are_confined_limited_and_watched_and_hold_no_secret(name):
    manifest = yaml.safe_load((DEPLOY / "kubernetes" / f"{name}.yaml").read_text())
    found = list(containers(manifest))
    assert len(found) == {"cluster": 2, "job": 3}[name]
    for container in found:
        assert container["resources"]["limits"]["memory"]
        assert container["resources"]["requests"]
        assert container["securityContext"]["readOnlyRootFilesystem"]
        assert not container["securityContext"]["allowPrivilegeEscalation"]
        assert "livenessProbe" in container or container["name"] == "job"
        assert not any("SECRET" in variable["name"] for variable in container.get("env", ()))
        assert "plaintext" not in container
        assert "tls" in json.dumps(container["args"])


def test_the_autoscaler_and_the_policy_are_of_the_cluster():
    name = yaml.safe_load((DEPLOY / "kubernetes" / "cluster.yaml").read_text())["metadata"]["name"]
    assert yaml.safe_load((DEPLOY / "kubernetes" / "autoscaler.yaml").read_text())["spec"]["cluster"] == name
    policy = yaml.safe_load((DEPLOY / "kubernetes" / "networkpolicy.yaml").read_text())
    assert policy["spec"]["podSelector"]["matchLabels"] == {"dask.org/cluster-name": name}


@pytest.fixture(scope="module")
def compose():
    text = VARIABLE.sub(lambda found: f"a-{found[1].lower()}", (DEPLOY / "compose.yaml").read_text())
    return yaml.safe_load(text)


def test_the_compose_file_is_valid(compose):
    schema = json.loads((files("check_jsonschema") / "builtin_schemas/vendor/compose-spec.json").read_text())
    validator = jsonschema.validators.validator_for(schema)(schema)
    assert list(map(told, validator.iter_errors(compose))) == []
    compose["services"]["worker"]["read_onyl"] = True
    assert list(validator.iter_errors(compose))
    del compose["services"]["worker"]["read_onyl"]


def test_services_publish_nothing_and_are_confined_limited_and_watched(compose):
    assert compose["networks"]["inside"] == {"internal": True}
    for name, service in compose["services"].items():
        assert "ports" not in service
        assert service["networks"] == ["inside"]
        assert service["mem_limit"]
        assert service["cap_drop"] == ["ALL"]
        assert "healthcheck" in service
        assert name == "s3" or (service["read_only"] and service["user"] == "10001:10001")


def test_the_cluster_of_the_compose_file_is_one_that_score_takes(compose):
    described = yaml.safe_load(compose["configs"]["cluster"]["content"])
    assert described["address"] == "tls://scheduler:8786"
    assert set(described["security"].values()) == {
        f"/run/secrets/{name}" for name in ("ca", "certificate", "key")
    }
