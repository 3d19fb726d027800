"""`make ui`: a real MLflow server on a free port, the view that it stores, and the link that lands on it."""

import base64
import json
import os
import sqlite3
import subprocess
import sys
import time
import zlib
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
import requests
import yaml

from conftest import ROOT, compose_values
from made_training import describe
from modelyard.evaluation.measures.classification import measure_answers
from modelyard.nesting import flatten
from modelyard.params import Params
from modelyard.registry.publishing.run_page import IMAGES, chart_metrics
from modelyard.tracking.lineage import lineage_tags
from modelyard.tracking.runs import training_run
from modelyard.tracking.store import Tracking, open_tracking
from modelyard.ui.browser import ELSEWHERE, has_screen
from modelyard.ui.view import imported_versions, make_state, store_view, trained_versions, view_link
from small_registry import leave_database
from tracking_server import find_free_port

VIEW = trained_versions("mnist")


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database that these tests share."""
    path = tmp_path_factory.mktemp("a store") / "mlflow.db"
    leave_database(path)
    return path


@pytest.fixture
def tracking(database: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Tracking:
    """An experiment of the test's own."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{database}")
    return open_tracking(request.node.name)


def stored_state(tracking: Tracking) -> dict[str, Any]:
    """Return the state that MLflow's page would read: the tag's JSON, and in it JSON, deflated."""
    view = json.loads(tracking.client.get_experiment(tracking.experiment_id).tags[VIEW.tag])
    form, packed = view["state"].split(";")
    assert (form, view["name"]) == ("deflate", "Trained on mnist")
    state: dict[str, Any] = json.loads(zlib.decompress(base64.b64decode(packed)))
    return state


def test_the_link_opens_the_stored_view_in_the_training_mode_with_charts() -> None:
    plain = "http://127.0.0.1:5000/#/experiments/7/runs?workflowType=machine_learning&compareRunsMode=CHART"
    assert view_link("http://127.0.0.1:5000/", "7", None) == plain
    link = view_link("http://127.0.0.1:5000/", "7", VIEW)
    assert link == f"{plain}&viewStateShareKey=trained-mnist"
    assert VIEW.tag == "mlflow.sharedViewState.trained-mnist"


def test_the_view_is_stored_once(tracking: Tracking) -> None:
    assert store_view(tracking.client, tracking.experiment_id, VIEW)
    first = tracking.client.get_experiment(tracking.experiment_id).tags[VIEW.tag]
    assert stored_state(tracking) == make_state(VIEW)
    # MLflow takes no longer tag.
    assert len(first) < 5000
    assert store_view(tracking.client, tracking.experiment_id, VIEW)
    assert tracking.client.get_experiment(tracking.experiment_id).tags[VIEW.tag] == first


def test_a_view_of_an_older_modelyard_is_brought_up_to_date(tracking: Tracking) -> None:
    old = json.dumps({"name": "Trained on mnist", "createdAt": 1, "updatedAt": 1, "state": "{}"})
    tracking.client.set_experiment_tag(tracking.experiment_id, VIEW.tag, old)
    assert store_view(tracking.client, tracking.experiment_id, VIEW)
    assert stored_state(tracking) == make_state(VIEW)


def test_a_store_that_takes_no_changes_is_a_warning(
    tracking: Tracking, database: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with closing(sqlite3.connect(database)) as connection:
        connection.execute(
            "CREATE TRIGGER refuse BEFORE INSERT ON experiment_tags "
            f"WHEN NEW.experiment_id = {tracking.experiment_id} "
            "BEGIN SELECT RAISE(ABORT, 'this store is read-only'); END"
        )
    capsys.readouterr()
    assert not store_view(tracking.client, tracking.experiment_id, VIEW)
    warning = capsys.readouterr().err
    assert warning.startswith("warning: ")
    assert "this store is read-only" in warning
    assert warning.count("\n") == 1


def test_columns_and_charts_name_what_the_runs_have(tracking: Tracking, params: Params) -> None:
    description = describe(params)
    with training_run(tracking, description) as training:
        training.log_epoch(0, {"loss": 0.5, "accuracy": 0.8, "val_loss": 0.6, "val_accuracy": 0.7})
    data = tracking.client.get_run(training.run_id).data
    test = measure_answers(np.eye(2), np.arange(2), bins=5)
    costs = {"latency": {"p50_ms": 1.0}, "size_bytes": 1, "agreement": {"same_first": 1.0}}
    measured = flatten({"test": test, **costs}, "/")
    known = {
        "metrics": {*data.metrics, *measured, *chart_metrics(measured)},
        "params": {*data.params, "package.precision"},
        "attributes": {"Models"},
        "tags": {*data.tags, *lineage_tags(ROOT)},
    }
    states = [make_state(VIEW), make_state(imported_versions())]
    for state in states:
        for column in state["selectedColumns"]:
            kind, name = column.rstrip("`").split(".`")
            assert name in known[kind]
    charted = {
        metric
        for chart in states[0]["compareRunCharts"] + states[1]["compareRunCharts"]
        for metric in chart.get("selectedMetricKeys", [chart["metricKey"]])
        if metric
    }
    assert charted <= known["metrics"]
    assert {"Errors", "Error pct", "Time in us", "Size in MB", "validation/loss"} <= charted
    shown = {key for state in states for one in state["compareRunCharts"] for key in one.get("imageKeys", ())}
    assert shown == set(IMAGES)
    # Above a picture stands the run's name, not all its parameters.
    pictures = [one for state in states for one in state["compareRunCharts"] if one["type"] == "IMAGE"]
    assert [one["showRunParams"] for one in pictures] == [False] * len(IMAGES)


def test_every_chart_stands_in_a_section_that_there_is_under_a_key_of_its_own() -> None:
    state = make_state(VIEW)
    sections = [section["uuid"] for section in state["compareRunSections"]]
    charts = state["compareRunCharts"]
    assert [
        section for section in sections if section not in {one["metricSectionId"] for one in charts}
    ] == []
    assert {chart["metricSectionId"] for chart in charts} <= set(sections)
    assert len({chart["uuid"] for chart in charts}) == len(charts)


def test_the_views_find_versions_trained_on_the_dataset_and_imported_ones(
    tracking: Tracking, params: Params
) -> None:
    client, description = tracking.client, describe(params)
    runs = {}
    for name in ("mnist", "other"):
        dataset = replace(description.dataset, name=name)
        with training_run(tracking, replace(description, dataset=dataset)) as training:
            runs[name] = training.run_id
        client.log_metric(training.run_id, "Errors", 5)
    with training_run(tracking, replace(description, dataset=replace(dataset, name="mnist"))):
        pass  # no version yet
    for kind in ("import", "history"):
        runs[kind] = client.create_run(tracking.experiment_id, tags={"kind": kind}).info.run_id
    client.log_metric(runs["import"], "Size in MB", 5)
    for view, expected in ((VIEW, "mnist"), (imported_versions(), "import")):
        found = client.search_runs([tracking.experiment_id], view.filter, order_by=["metrics.`Errors` ASC"])
        assert [run.info.run_id for run in found] == [runs[expected]]


def test_two_decimals_tell_charted_metrics_apart() -> None:
    first, second = (
        chart_metrics({"test/errors": wrong, "test/accuracy": 1 - wrong / 10_000, "latency/p50_ms": time_ms})
        for wrong, time_ms in ((78, 0.094), (79, 0.095))
    )
    assert [f"{value:.2f}" for value in first.values()] == ["78.00", "94.00", "0.78"]
    assert all(f"{first[key]:.2f}" != f"{second[key]:.2f}" for key in first)
    # What a column of MLflow's table has room for.
    assert str(chart_metrics({"test/accuracy": 0.9941})["Error pct"]) == "0.59"


@pytest.mark.parametrize("screen", [{"DISPLAY": ":0"}, {"WAYLAND_DISPLAY": "wayland-0"}])
def test_a_screen_is_where_a_person_sits_before_it(screen: dict[str, str]) -> None:
    assert has_screen(screen, "linux")
    for elsewhere in ("CI", "SSH_CONNECTION", "SSH_TTY"):
        assert not has_screen({**screen, elsewhere: "1"}, "linux")
        assert not has_screen({elsewhere: "1"}, "darwin")


def test_without_a_display_only_a_mac_has_a_screen() -> None:
    assert not has_screen({}, "linux")
    assert has_screen({}, "darwin")


def test_the_ui_opens_the_view_of_the_experiment_where_there_is_a_screen(
    repository: Path, tmp_path: Path
) -> None:
    (repository / "params.yaml").write_text(yaml.safe_dump(compose_values()))
    experiment = open_tracking("modelyard").experiment_id
    port = find_free_port()
    browser, opened = tmp_path / "browser", tmp_path / "opened"
    browser.write_text(f'#!/bin/sh\nprintf %s "$1" > {opened}.part && mv {opened}.part {opened}\n')
    browser.chmod(0o755)
    kept = {name: value for name, value in os.environ.items() if name not in ELSEWHERE}
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    command = [sys.executable, "-m", "modelyard.ui", "--port", str(port)]
    children: list[psutil.Process] = []
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**kept, "PATH": path, "DISPLAY": ":none", "BROWSER": f"{browser} %s"},
    )
    try:
        server = f"http://127.0.0.1:{port}"
        assert process.stdout is not None
        link = process.stdout.readline().strip()
        assert link == view_link(server, experiment, VIEW)
        # It is printed when the page is there.
        requests.get(f"{server}/health", timeout=10).raise_for_status()
        api = f"{server}/ajax-api/2.0/mlflow/experiments/get"
        answer = requests.get(api, params={"experiment_id": experiment}, timeout=10).json()
        assert VIEW.tag in [tag["key"] for tag in answer["experiment"]["tags"]]
        for _ in range(120):
            if opened.exists():
                break
            time.sleep(0.25)
        assert opened.read_text() == link
        children = psutil.Process(process.pid).children(recursive=True)
        running = [" ".join(one.cmdline()) for one in children]
        assert any("mlflow" in command for command in running)
        assert not any("mlflow.server.jobs" in command for command in running)
        another = subprocess.run(command, capture_output=True, text=True, check=False)
        assert (another.returncode, another.stdout) == (1, "")
        assert f"expected a free port, {port} cannot be used" in another.stderr
        assert f"`make ui PORT={port + 1}`" in another.stderr
        process.terminate()
        # The link is there once, alone; and the server ends with who started it.
        assert process.communicate(timeout=60)[0] == ""
        assert psutil.wait_procs(children, timeout=60)[1] == []
    finally:
        process.kill()
        process.communicate()
        for one in children:
            with suppress(psutil.NoSuchProcess):
                one.kill()
