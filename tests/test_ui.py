"""`make ui`: a real MLflow server on a free port, and the link that lands on the comparison."""

import os
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

import requests

from conftest import ROOT
from modelyard.tracking.store import open_tracking
from modelyard.ui import comparison_link


def test_the_link_opens_the_training_view_with_charts() -> None:
    link = comparison_link("http://127.0.0.1:5000/", "7")
    assert link == (
        "http://127.0.0.1:5000/#/experiments/7/runs?workflowType=machine_learning&compareRunsMode=CHART"
    )


def test_the_ui_serves_the_experiment_that_its_link_names(repository: Path) -> None:
    shutil.copy(ROOT / "params.yaml", repository / "params.yaml")
    experiment = open_tracking("modelyard").experiment_id
    port = _free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", "modelyard.ui", "--port", str(port)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
    )
    try:
        assert process.stdout is not None
        assert f"http://127.0.0.1:{port}/#/experiments/{experiment}/runs" in process.stdout.readline()
        _wait_until_it_answers(port)
        api = f"http://127.0.0.1:{port}/ajax-api/2.0/mlflow/experiments/get"
        answer = requests.get(api, params={"experiment_id": experiment}, timeout=10).json()
        assert answer["experiment"]["name"] == "modelyard"
    finally:
        subprocess.run(["pkill", "-P", str(process.pid)], check=False)
        process.terminate()
        process.communicate()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _wait_until_it_answers(port: int) -> None:
    for _ in range(240):
        try:
            requests.get(f"http://127.0.0.1:{port}/health", timeout=1).raise_for_status()
        except requests.RequestException:
            time.sleep(0.25)
        else:
            return
    raise AssertionError("the UI did not answer within a minute")
