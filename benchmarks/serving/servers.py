"""The servers: this project's two and four others, each with its best reasonable settings."""

import os
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from operator import itemgetter
from pathlib import Path
from typing import Any

from benchmarks.serving.processes import HOST, PORT, Launch
from benchmarks.serving.questions import Subject
from modelyard.errors import ModelyardError

MLFLOW_TENSORFLOW, BENTOML, FASTAPI, LITSERVE = "mlflow-tensorflow", "bentoml", "fastapi", "litserve"
MLFLOW_MODELYARD, MODELYARD = OURS = ("mlflow-modelyard", "modelyard-serve")
# In the order of tables and pictures.
TITLES = {
    MLFLOW_TENSORFLOW: "mlflow models serve, TensorFlow flavor",
    BENTOML: "BentoML",
    FASTAPI: "FastAPI + tf.function",
    LITSERVE: "LitServe",
    MLFLOW_MODELYARD: "mlflow models serve with our version",
    MODELYARD: "modelyard serve",
}
# From pinned requirements, into an environment of its own.
INSTALLED_APART, PEERS = (LITSERVE, BENTOML), Path(__file__).parents[1] / "peers"

# TensorFlow must not look for a GPU, nor print its messages.
_QUIET = {"TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1", "MLFLOW_DISABLE_TELEMETRY": "true"}
_OWN_PROGRAMS = Path(sys.executable).parent


def make_environment(name: str, folder: Path) -> Path:
    """Install `benchmarks/peers/NAME.txt`, and return the environment's `bin` folder."""
    print(f"{name}: the environment in {folder} (a minute or two, once)", flush=True)
    programs = folder / f"{name}-{sys.implementation.cache_tag}" / "bin"
    install = ("-m", "pip", "install", "--quiet", "--require-hashes", "-r", str(PEERS / f"{name}.txt"))
    make = (sys.executable, "-m", "venv", str(programs.parent))
    for command in (make, (str(programs / "python"), *install)):
        result = subprocess.run(command, capture_output=True, text=True, check=False)
        if result.returncode:
            raise ModelyardError(f"{' '.join(command)} failed:\n{result.stderr[-2000:]}")
    return programs


def read_version(name: str) -> str:
    """Return the version that is pinned, such as "litserve 0.2.19"."""
    [version] = re.findall(rf"^{name}==(\S+)", (PEERS / f"{name}.txt").read_text(), re.MULTILINE)
    return f"{name} {version}"


def list_launches(
    servers: Sequence[str], subjects: Mapping[str, Subject], environments: Mapping[str, Path], registry: str
) -> list[Launch]:
    """Return the processes to start, one for each server and model, except `modelyard serve`.

    `environments` has the absolute `bin` folder of each server with an environment of its own.
    """
    return [
        _launch(server, model, subject, environments.get(server, _OWN_PROGRAMS), registry)
        for server in servers
        if server != MODELYARD
        for model, subject in subjects.items()
    ]


def launch_modelyard(subjects: Mapping[str, Subject], registry: str, copy: Path) -> Launch:
    """Return `modelyard serve` with every model; `copy` is the folder of its local copy."""
    names = [part for subject in subjects.values() for part in ("--model", subject.name)]
    command = (str(_OWN_PROGRAMS / "modelyard"), "serve", *names, "--port", PORT, "--copy", str(copy))
    questions = {
        model: subject.ask_with_image(f"/models/{subject.name}/predict", read_best)
        for model, subject in subjects.items()
    }
    return Launch(MODELYARD, command, questions, {"MLFLOW_TRACKING_URI": registry}, copy=copy)


def _launch(server: str, model: str, subject: Subject, programs: Path, registry: str) -> Launch:
    """Return how to start a server whose programs are in this folder; MLflow finds uvicorn on PATH."""
    listen = ("--host", HOST, "--port", PORT)
    mlflow = (str(programs / "mlflow"), "models", "serve", "--env-manager", "local", *listen, "--model-uri")
    command: tuple[str, ...] = (str(programs / "python"), f"{server}_server.py", PORT)
    environment = {"PATH": f"{programs}{os.pathsep}{os.environ['PATH']}", "PYTHONDONTWRITEBYTECODE": "1"}
    environment |= {"NETWORK": str(subject.folder), "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false", **_QUIET}
    if server == MLFLOW_TENSORFLOW:
        question = subject.ask_with_numbers("/invocations")
        environment["MLFLOW_TRACKING_URI"] = subject.stock_store
        command = (*mlflow, subject.stock_uri)
    elif server == MLFLOW_MODELYARD:
        question = subject.ask_with_base64("/invocations", "inputs", True, read_best)
        environment["MLFLOW_TRACKING_URI"] = registry
        command = (*mlflow, f"models:/{subject.name}@champion")
    elif server == FASTAPI:
        question = subject.ask_with_image("/predict", itemgetter("label"))
    elif server == LITSERVE:
        question = subject.ask_with_base64("/predict", "image", False, itemgetter("label"))
    else:
        question = subject.ask_with_base64("/predict", "images", True, itemgetter(0))
        environment |= {"BENTOML_HOME": str(programs.parent / "home"), "BENTOML_DO_NOT_TRACK": "True"}
        command = (str(programs / "bentoml"), "serve", "bentoml_server:Server", *listen)
    return Launch(server, command, {model: question}, environment, PEERS)


def read_best(answer: Any) -> str:
    """Return the best label of the first image, in an answer of this project's servers."""
    return str(answer["predictions"][0][0]["label"])
