"""`make ui`: a real MLflow server on a free port, and the link that lands on the comparison."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import requests

from conftest import ROOT
from modelyard.tracking.store import open_tracking
from modelyard.ui import comparison_link
from tracking_server import find_free_port, wait_until_healthy


def test_the_link_opens_the_training_view_with_charts() -> None:
    link = comparison_link("http://127.0.0.1:5000/", "7")
    assert link == (
        "http://127.0.0.1:5000/#/experiments/7/runs?workflowType=machine_learning&compareRunsMode=CHART"
    )


def test_the_ui_serves_the_experiment_that_its_link_names(repository: Path) -> None:
    shutil.copy(ROOT / "params.yaml", repository / "params.yaml")
    experiment = open_tracking("modelyard").experiment_id
    port = find_free_port()
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
        wait_until_healthy(f"http://127.0.0.1:{port}")
        api = f"http://127.0.0.1:{port}/ajax-api/2.0/mlflow/experiments/get"
        answer = requests.get(api, params={"experiment_id": experiment}, timeout=10).json()
        assert answer["experiment"]["name"] == "modelyard"
    finally:
        subprocess.run(["pkill", "-P", str(process.pid)], check=False)
        process.terminate()
        process.communicate()
