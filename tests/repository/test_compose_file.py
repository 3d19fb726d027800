"""The compose file of a team's server fits itself, its image and its example of secrets."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from compose_file import read_compose, read_variables
from conftest import ROOT
from dockerfile import read_dockerfile, read_settings
from team_server import COMPOSE, SECRETS

IMAGE = COMPOSE.parent / "tracking"
EXAMPLE = COMPOSE.with_name(".env.example")
# Values of the compose specification, of which those that this file uses.
KEYS = {
    "services": {
        "build", "image", "command", "environment", "ports", "depends_on", "healthcheck", "restart",
        "volumes", "configs",
    },
    "healthcheck": {"test", "interval", "timeout", "start_period", "retries"},
}  # fmt: skip


@pytest.fixture
def compose() -> dict[str, Any]:
    return read_compose(COMPOSE, SECRETS)


def test_it_uses_keys_that_compose_knows(compose: dict[str, Any]) -> None:
    assert compose.keys() == {"name", "x-store", "services", "configs", "volumes"}
    for service in compose["services"].values():
        assert service.keys() <= KEYS["services"]
        assert service.get("healthcheck", {}).keys() <= KEYS["healthcheck"]


def test_services_volumes_and_configs_that_are_named_are_there(compose: dict[str, Any]) -> None:
    services = compose["services"]
    for service in services.values():
        for other, wanted in service.get("depends_on", {}).items():
            healthy = wanted["condition"] == "service_healthy"
            assert ("healthcheck" in services[other]) is healthy
        assert {volume.split(":")[0] for volume in service.get("volumes", [])} <= compose["volumes"].keys()
        assert {config["source"] for config in service.get("configs", [])} <= compose["configs"].keys()


def test_the_server_asks_where_the_others_listen(compose: dict[str, Any]) -> None:
    services, environment = compose["services"], compose["services"]["tracking"]["environment"]
    database = re.fullmatch(
        r"postgresql\+psycopg2://(?P<POSTGRES_USER>\w+):(?P<POSTGRES_PASSWORD>\w+)@postgres/(?P<POSTGRES_DB>\w+)",
        environment["MLFLOW_BACKEND_STORE_URI"],
    )
    assert database is not None
    assert database.groupdict() == services["postgres"]["environment"]
    port = environment["MLFLOW_S3_ENDPOINT_URL"].removeprefix("http://s3:")
    assert f"-s3.port={port}" in services["s3"]["command"]
    assert services["s3"]["ports"][0].endswith(f":{port}")
    [identity] = yaml.safe_load(compose["configs"]["identities"]["content"])["identities"]
    assert identity["credentials"] == [
        {"accessKey": environment["AWS_ACCESS_KEY_ID"], "secretKey": environment["AWS_SECRET_ACCESS_KEY"]}
    ]
    [config] = services["s3"]["configs"]
    assert f"-s3.config={config['target']}" in services["s3"]["command"]


def test_every_image_has_a_version_and_nothing_listens_for_strangers(compose: dict[str, Any]) -> None:
    for service in compose["services"].values():
        assert re.search(r":\d+\.\d+(\.\d+)?$", service["image"])
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", []))


def test_secrets_are_asked_for_and_the_example_names_every_variable() -> None:
    example = read_variables(EXAMPLE)
    used = set(re.findall(r"\$\{(\w+)", COMPOSE.read_text()))
    assert example.keys() == used
    assert {name for name in SECRETS if example[name]} == set()
    assert "/deploy/.env" in (ROOT / ".gitignore").read_text().splitlines()
    for name in SECRETS:
        with pytest.raises(ValueError, match=f"{name} is not set: choose one in deploy/.env"):
            read_compose(COMPOSE, SECRETS | {name: ""})


def test_the_image_of_the_server_has_what_the_tests_run_with(compose: dict[str, Any]) -> None:
    instructions = read_dockerfile((IMAGE / "Dockerfile").read_text())
    copied = [Path(word) for one in instructions if one.keyword == "COPY" for word in one.words[:-1]]
    assert all((IMAGE / path).is_file() for path in copied)
    assert compose["services"]["bucket"]["command"][1] in map(str, copied)
    settings = read_settings(instructions)
    assert f"--port={settings['EXPOSE'][0]}" in compose["services"]["tracking"]["command"]
    pins, tested = _read_pins(IMAGE / "requirements.txt"), _read_pins(ROOT / "requirements-dev.txt")
    assert pins.items() <= tested.items()
    groups = tomllib.loads((ROOT / "pyproject.toml").read_text())["dependency-groups"]
    assert {re.split("[<>=]", one)[0] for one in groups["tracking"]} <= pins.keys()
    assert compose["services"]["tracking"]["image"].endswith(f":{pins['mlflow']}")


@pytest.mark.parametrize("value", ["$NAME", "${NAME:+text}", "${NAME"])
def test_a_form_of_variable_that_is_not_understood_is_an_error(tmp_path: Path, value: str) -> None:
    file = tmp_path / "compose.yaml"
    file.write_text(f"name: '{value}'\n")
    with pytest.raises(ValueError, match="expected"):
        read_compose(file, {"NAME": "a"})


def _read_pins(file: Path) -> dict[str, str]:
    return dict(re.findall(r"^([a-z0-9.-]+)==(\S+)", file.read_text(), re.MULTILINE))
