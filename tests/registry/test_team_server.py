"""A team at work on one server, PostgreSQL and S3 behind it: nothing is lost, doubled or out of order."""

import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from typing import Any

import boto3
import pytest
from mlflow.exceptions import MlflowException

import team_clients
from conftest import compose_values
from forked_programs import MLFLOW, ForkedProgram
from modelyard.params import validate_params
from modelyard.registry.champions.history import History
from modelyard.registry.champions.promotion import promote, roll_back
from modelyard.registry.verification import verify_registry
from modelyard.registry.versions import PUBLISHED, list_versions
from modelyard.service.models.local_copy import LocalCopy
from modelyard.service.models.models import Models
from modelyard.service.models.registry_database import open_source
from modelyard.tracking.environment import QUIET
from modelyard.tracking.runs import LoggedDataset, log_dataset
from modelyard.tracking.store import Store, open_store
from small_registry import make_bundle
from team_clients import MARKS
from team_server import SECRETS, TeamServer, run_team_server

GATE = validate_params(compose_values()).data.gate
PATIENCE_S = 30


@pytest.fixture(scope="module")
def server() -> Iterator[TeamServer]:
    with run_team_server() as server:
        yield server


@pytest.fixture
def store(server: TeamServer, monkeypatch: pytest.MonkeyPatch) -> Store:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server.uri)
    return open_store()


@pytest.fixture(scope="module")
def told(server: TeamServer, tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """What six clients tell, under whom the server was killed and started again."""
    bundles = tmp_path_factory.mktemp("bundles")
    for mark in set(MARKS):
        make_bundle(bundles / mark, mark=mark)
    program = {
        "folder": str(bundles),
        "arguments": [team_clients.__file__, server.uri, str(bundles)],
        # It shares what the tests share.
        "environment": os.environ | QUIET,
        "setup": f"import sys; sys.path[:] = {['', *sys.path]}",
    }
    with tempfile.TemporaryFile() as output:
        clients = ForkedProgram(program, output, MLFLOW)
        server.wait_for_version("mnist")
        server.kill()
        server.start()
        assert clients.wait() == 0
        output.seek(0)
        answers: list[dict[str, Any]] = json.loads(output.read().splitlines()[-1])
    return answers


def test_of_several_values_for_one_parameter_one_wins_and_the_others_are_told(store: Store) -> None:
    """What the history stands on."""
    client = store.client
    run = client.create_run(client.create_experiment("race")).info.run_id
    start = Barrier(8, timeout=20)

    def log(value: str) -> str:
        start.wait()
        try:
            client.log_param(run, "decision/0001", value)
        except MlflowException as error:
            return str(error.error_code)
        return f"won by {value}"

    with ThreadPoolExecutor(8) as threads:
        first, *others = sorted(threads.map(log, "abcdefgh"), reverse=True)
    assert others == ["INVALID_PARAMETER_VALUE"] * 7
    assert client.get_run(run).data.params == {"decision/0001": first.removeprefix("won by ")}


def test_a_dataset_that_eight_runs_bring_at_once_is_kept_with_each(store: Store) -> None:
    """PostgreSQL lets one of them insert its row."""
    experiment = store.client.create_experiment("datasets")
    runs = [store.client.create_run(experiment).info.run_id for _ in range(8)]
    datasets = [LoggedDataset(f"set {number}", "d" * 64, "https://example.org", 10) for number in range(3)]
    start = Barrier(8, timeout=20)

    def log(run: str) -> int:
        for dataset in datasets:
            start.wait()
            log_dataset(store.client, run, dataset, "evaluation")
        return len(store.client.get_run(run).inputs.dataset_inputs)

    with ThreadPoolExecutor(8) as threads:
        assert list(threads.map(log, runs)) == [3] * 8


def test_the_server_was_killed_while_all_were_at_work(told: list[dict[str, Any]]) -> None:
    for client in told[1::2]:
        assert any("Connection" in error for error in client["errors"])


def test_nobody_saw_an_error_but_those_that_say_what_to_do(told: list[dict[str, Any]]) -> None:
    expected = ("OvertakenError: ", "ModelyardError: MLFLOW_TRACKING_URI", "MlflowException: API request to")
    errors = [error for client in told for error in client["errors"]]
    assert [error for error in errors if not error.startswith(expected)] == []


def test_every_bundle_is_one_version_and_each_client_was_given_it(
    told: list[dict[str, Any]], store: Store
) -> None:
    versions = list_versions(store.client, "mnist")
    by_key = {version.tags["content_key"]: int(version.version) for version in versions}
    assert len(by_key) == len(versions) == len(set(MARKS))
    assert all(PUBLISHED in version.tags for version in versions)
    assert all(by_key[client["content_key"]] == client["version"] for client in told)


def test_the_history_has_no_gap_and_agrees_with_the_aliases(told: list[dict[str, Any]], store: Store) -> None:
    past = History(store, "mnist").read()
    assert [one.number for one in past.decisions] == list(range(1, len(past.decisions) + 1))
    champions = [None, *(one.champion for one in past.decisions)]
    assert [one.before for one in past.decisions] == champions[:-1]
    assert past.applied == {one.number for one in past.decisions if one.moved}
    assert (past.pending, past.noticed) == (None, None)
    aliases = store.client.get_registered_model("mnist").aliases
    newest = max(int(version.version) for version in list_versions(store.client, "mnist"))
    assert {name: int(number) for name, number in aliases.items()} == {
        "champion": champions[-1],
        "challenger": newest,
    }
    assert {client["version"] for client in told} == {one.version for one in past.decisions if one.moved}


@pytest.mark.usefixtures("told")
def test_every_artifact_is_whole(store: Store) -> None:
    assert list(verify_registry(store)) == []


@pytest.mark.usefixtures("told")
def test_artifacts_lie_in_the_bucket_that_clients_do_not_know(server: TeamServer, store: Store) -> None:
    bucket = boto3.client(
        "s3",
        endpoint_url=server.s3,
        region_name="us-east-1",
        aws_access_key_id=SECRETS["S3_ACCESS_KEY_ID"],
        aws_secret_access_key=SECRETS["S3_SECRET_ACCESS_KEY"],
    )
    pages = bucket.get_paginator("list_objects_v2").paginate(Bucket="mlflow")
    names = [one["Key"] for page in pages for one in page.get("Contents", [])]
    assert len([name for name in names if name.endswith("/model.tflite")]) >= len(set(MARKS))
    uri = store.client.get_model_version("mnist", "1").source
    assert uri.startswith("models:/")


@pytest.mark.usefixtures("told")
def test_the_service_follows_a_promotion_and_a_rollback(
    server: TeamServer, store: Store, tmp_path: Path
) -> None:
    models = Models(open_source(server.uri), LocalCopy(tmp_path), ("mnist",), 0.05, 4)
    models.start()
    try:
        _wait_for(models, before := _champion(store))
        other = next(number for number in _numbers(store) if number != before)
        promote(store, "mnist", str(other), GATE, reason="a change", force=True)
        _wait_for(models, other)
        roll_back(store, "mnist")
        _wait_for(models, before)
    finally:
        models.stop()


def _champion(store: Store) -> int:
    return int(store.client.get_model_version_by_alias("mnist", "champion").version)


def _numbers(store: Store) -> list[int]:
    return [int(version.version) for version in list_versions(store.client, "mnist")]


def _wait_for(models: Models, version: int) -> None:
    """Wait until this version is served."""
    end = time.monotonic() + PATIENCE_S
    while not models.ready or models.get("mnist").version != version:
        assert time.monotonic() < end, models.problems()
        time.sleep(0.05)
