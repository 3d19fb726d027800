"""Dockerfile and manifests: they fit Kubernetes' schemas, the service, its command line and each other."""

import copy
import re
import shutil
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import kubernetes_validate
import mlflow.models.container
import pytest
import yaml

from conftest import ROOT
from dockerfile import Context, read_dockerfile, read_settings
from modelyard.cli import main
from modelyard.service.models.models import STOP_TIMEOUT_S
from modelyard.service.settings import Settings
from service_process import Service

DEPLOY = ROOT / "deploy"
VERSIONS = ("1.30", "1.37")
INSTRUCTIONS = read_dockerfile((DEPLOY / "Dockerfile").read_text())
IMAGE = read_settings(INSTRUCTIONS)
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

Manifest = dict[str, Any]


def read_manifests(folder: str) -> dict[str, Manifest]:
    """Return the manifests of a folder by their kind, of which there is one each."""
    files = sorted((DEPLOY / folder).glob("*.yaml"))
    manifests = [one for file in files for one in yaml.safe_load_all(file.read_text())]
    by_kind = {one["kind"]: one for one in manifests}
    assert len(by_kind) == len(manifests)
    return by_kind


MANIFESTS = read_manifests("kubernetes")
DEPLOYMENT = MANIFESTS["Deployment"]
POD = DEPLOYMENT["spec"]["template"]
[CONTAINER] = POD["spec"]["containers"]
PROBES = [CONTAINER[name]["httpGet"] for name in ("startupProbe", "readinessProbe", "livenessProbe")]
PREDICTOR = read_manifests("kserve")["InferenceService"]["spec"]["predictor"]


@pytest.mark.parametrize("kind", MANIFESTS)
@pytest.mark.parametrize("version", VERSIONS)
def test_every_manifest_fits_the_schemas(kind: str, version: str) -> None:
    assert kubernetes_validate.validate(MANIFESTS[kind], version, strict=True) == version


def _misspell(deployment: Manifest) -> None:
    [container] = deployment["spec"]["template"]["spec"]["containers"]
    container["readynessProbe"] = container.pop("readinessProbe")


def _say_in_words(deployment: Manifest) -> None:
    deployment["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] = "a minute"


def _forget(deployment: Manifest) -> None:
    del deployment["spec"]["selector"]


@pytest.mark.parametrize("spoil", [_misspell, _say_in_words, _forget])
def test_a_field_that_is_wrong_or_missing_does_not_fit(spoil: Callable[[Manifest], None]) -> None:
    spoiled = copy.deepcopy(DEPLOYMENT)
    spoil(spoiled)
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(spoiled, VERSIONS[-1], strict=True)


def test_probes_are_answered_without_a_token(tmp_path: Path) -> None:
    service = Service(tmp_path, token="t")  # noqa: S106
    try:
        assert [service.get(probe["path"]).status_code for probe in PROBES] == [200, 200, 200]
        assert service.get("/models").status_code == 401
    finally:
        service.stop()


def _fill_in(argument: str) -> str:
    """Put the pod's environment into an argument, as Kubernetes does."""
    return re.sub(r"\$\((\w+)\)", lambda name: str(MANIFESTS["ConfigMap"]["data"][name[1]]), argument)


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What the server is told when the pod's command runs in the pod's environment."""
    told: dict[str, Any] = {}

    def record(factory: Any, **options: Any) -> None:
        told.update(options, names=factory.args[0], copy=factory.args[1])

    for name, value in MANIFESTS["ConfigMap"]["data"].items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("modelyard.service.server.serve", record)
    program, *words = [*IMAGE["ENTRYPOINT"], *map(_fill_in, CONTAINER["args"])]
    assert program in PROJECT["scripts"]
    assert main(words) == 0
    return told


def test_the_pod_serves_the_chosen_model_to_others_on_the_port_that_all_name(served: dict[str, Any]) -> None:
    [port] = CONTAINER["ports"]
    assert served["names"] == (MANIFESTS["ConfigMap"]["data"]["MODEL"],)
    assert served["host"] == "0.0.0.0"  # noqa: S104
    assert served["port"] == port["containerPort"] == int(IMAGE["EXPOSE"][0])
    assert f":{served['port']}/livez" in IMAGE["HEALTHCHECK"][-1]
    [way] = MANIFESTS["Service"]["spec"]["ports"]
    assert {way["targetPort"], *(probe["port"] for probe in PROBES)} == {port["name"]}


def test_a_stop_is_given_the_time_it_takes(served: dict[str, Any]) -> None:
    settings: Settings = served["settings"]
    # The server itself waits one second longer than the deadline.
    longest = settings.drain_s + settings.deadline_s + 1 + STOP_TIMEOUT_S
    assert POD["spec"]["terminationGracePeriodSeconds"] > longest
    # Nodes are told of a pod's end while it is going on already.
    assert settings.drain_s >= 2 * CONTAINER["readinessProbe"]["periodSeconds"]


def test_requests_that_wait_fit_into_the_memory(served: dict[str, Any]) -> None:
    settings: Settings = served["settings"]
    waiting = (settings.max_concurrent + settings.max_queued) * settings.max_body_bytes
    limit, request = (_to_bytes(CONTAINER["resources"][name]["memory"]) for name in ("limits", "requests"))
    assert waiting < request < limit


def test_what_is_written_goes_into_a_volume(served: dict[str, Any]) -> None:
    [mount] = CONTAINER["volumeMounts"]
    [volume] = POD["spec"]["volumes"]
    assert [mount["mountPath"]] == IMAGE["VOLUME"]
    assert volume["name"] == mount["name"]
    assert "emptyDir" in volume
    assert served["copy"].is_relative_to(mount["mountPath"])
    environment = dict(one.words[0].split("=", 1) for one in INSTRUCTIONS if one.keyword == "ENV")
    assert {environment["HOME"], environment["TMPDIR"]} == {mount["mountPath"]}


def test_the_image_is_that_of_this_version_and_its_user_is_not_root() -> None:
    assert CONTAINER["image"] == f"{PROJECT['name']}:{PROJECT['version']}"
    rights = POD["spec"]["securityContext"]
    assert IMAGE["USER"] == [f"{rights['runAsUser']}:{rights['runAsGroup']}"]
    assert rights["runAsNonRoot"]
    assert rights["runAsUser"] > 0
    assert CONTAINER["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }


def test_all_aim_at_the_pods_of_the_deployment() -> None:
    labels = POD["metadata"]["labels"]
    [spread] = POD["spec"]["topologySpreadConstraints"]
    selectors = [
        DEPLOYMENT["spec"]["selector"]["matchLabels"],
        MANIFESTS["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"],
        MANIFESTS["Service"]["spec"]["selector"],
        spread["labelSelector"]["matchLabels"],
    ]
    assert all(selector.items() <= labels.items() for selector in selectors)
    target = MANIFESTS["HorizontalPodAutoscaler"]["spec"]["scaleTargetRef"]
    assert target == {
        "apiVersion": DEPLOYMENT["apiVersion"],
        "kind": DEPLOYMENT["kind"],
        "name": DEPLOYMENT["metadata"]["name"],
    }


def test_the_autoscaler_alone_says_how_many_pods_there_are_and_can_measure_them() -> None:
    scaler = MANIFESTS["HorizontalPodAutoscaler"]["spec"]
    assert "replicas" not in DEPLOYMENT["spec"]
    assert MANIFESTS["PodDisruptionBudget"]["spec"]["maxUnavailable"] < scaler["minReplicas"]
    [metric] = scaler["metrics"]
    # A utilization is a part of what was requested.
    assert metric["resource"]["name"] in CONTAINER["resources"]["requests"]


def test_secrets_are_named_and_not_written() -> None:
    assert "Secret" not in MANIFESTS
    sources = [source for source in CONTAINER["envFrom"] if "secretRef" in source]
    assert len(sources) == 1
    written = [*MANIFESTS["ConfigMap"]["data"], *(one["name"] for one in CONTAINER.get("env", []))]
    assert not [name for name in written if re.search("TOKEN|PASSWORD|SECRET|KEY", name)]
    assert {"configMapRef": {"name": MANIFESTS["ConfigMap"]["metadata"]["name"]}} in CONTAINER["envFrom"]


def test_the_predictor_of_kserve_is_a_pod_that_asks_what_mlflows_image_answers() -> None:
    own = {"minReplicas", "maxReplicas"}
    spec = {name: value for name, value in PREDICTOR.items() if name not in own}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "mnist"}, "spec": spec}
    kubernetes_validate.validate(pod, VERSIONS[-1], strict=True)
    [container] = PREDICTOR["containers"]
    [port] = container["ports"]
    probe = container["readinessProbe"]["httpGet"]
    nginx = Path(mlflow.models.container.__file__).parent / "scoring_server" / "nginx.conf"
    configured = nginx.read_text()
    assert re.search(rf"listen {port['containerPort']}\b", configured)
    assert port["containerPort"] == probe["port"] == mlflow.models.container.DEFAULT_NGINX_SERVER_PORT
    [passed_on] = re.findall(r"location ~ (\S+)", configured)
    assert re.match(passed_on, probe["path"])
    assert not re.match(passed_on, "/readyz")


def test_the_image_has_the_versions_that_the_tests_run_with_and_no_tensorflow() -> None:
    tested, shipped = _read_pins("requirements-dev.txt"), _read_pins("deploy/requirements.txt")
    assert {name: tested.get(name) for name in shipped} == shipped
    needed = {re.split(r"[<>=\[]", one)[0] for one in PROJECT["dependencies"]}
    assert needed <= shipped.keys()
    assert not shipped.keys() & {
        "tensorflow",
        "keras",
        "dvc",
        "hydra-core",
        "mlflow",
        "pandas",
        "scikit-learn",
    }


def test_the_image_that_records_adds_pyarrow_as_it_is_tested_and_nothing_else() -> None:
    tested, added = _read_pins("requirements-dev.txt"), _read_pins("deploy/record/requirements.txt")
    assert added == {"pyarrow": tested["pyarrow"]}
    steps = read_dockerfile((DEPLOY / "record/Dockerfile").read_text())
    copied = [one for one in steps if one.keyword == "COPY" and "from" in one.flags]
    assert copied[0].text.split()[1].startswith("/opt/modelyard/lib/python3.11/")
    assert PROJECT["optional-dependencies"]["record"] == ["pyarrow>=20"]


def test_what_lies_about_is_not_in_the_image(tmp_path: Path) -> None:
    shutil.copy(ROOT / ".dockerignore", tmp_path)
    kept = [
        "README.md",
        "deploy/requirements.txt",
        "src/modelyard/cli.py",
        "src/modelyard/inference/bundle.py",
    ]
    left = [
        ".env",
        "mlflow.db",
        "deploy/Dockerfile",
        "src/modelyard/__pycache__/cli.pyc",
        "src/m.egg-info/top",
    ]
    for name in kept + left:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("x")
    assert [path.as_posix() for path in Context(tmp_path).find(".")] == kept
    with pytest.raises(FileNotFoundError, match=r"COPY mlflow\.db"):
        list(Context(tmp_path).find("mlflow.db"))


def test_an_instruction_that_the_trial_of_the_image_would_skip_is_an_error() -> None:
    with pytest.raises(ValueError, match="ADD https://example"):
        read_dockerfile("FROM a\nADD https://example.org/x /x\n")
    [one] = read_dockerfile('# a comment\nCOPY --from=build \\\n    /a \\\n    "/b c"\n')
    assert (one.keyword, one.flags, one.words) == ("COPY", {"from": "build"}, ["/a", "/b c"])


def _to_bytes(quantity: str) -> int:
    match = re.fullmatch(r"(\d+)(Mi|Gi)", quantity)
    assert match is not None
    return int(match[1]) * {"Mi": 2**20, "Gi": 2**30}[match[2]]


def _read_pins(file: str) -> dict[str, str]:
    """Return the versions by name; where there are several, for several systems, all of them."""
    pins: dict[str, str] = {}
    for name, version in re.findall(r"^([a-z0-9.-]+)==(\S+)", (ROOT / file).read_text(), re.MULTILINE):
        pins[name] = f"{pins[name]} {version}" if name in pins else version
    return pins
