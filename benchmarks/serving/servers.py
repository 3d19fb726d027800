"""The servers: the two doors of this project, and what others use, each with its best reasonable setting."""

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from benchmarks.serving.environments import PEERS
from benchmarks.serving.processes import PORT, Launch
from benchmarks.serving.questions import Question, Subject

STOCK, BENTOML, FASTAPI, LITSERVE = "mlflow-tensorflow", "bentoml", "fastapi", "litserve"
DOOR_1, DOOR_2 = "mlflow-modelyard", "modelyard-serve"
# In the order of tables and pictures.
TITLES = {
    STOCK: "mlflow models serve, TensorFlow flavor",
    BENTOML: "BentoML",
    FASTAPI: "FastAPI + tf.function",
    LITSERVE: "LitServe",
    DOOR_1: "door 1: mlflow models serve, our version",
    DOOR_2: "door 2: modelyard serve",
}
INSTALLED_APART = (LITSERVE, BENTOML)

# TensorFlow is told that there is no GPU, so that it does not look for one; and to keep its messages.
_TENSORFLOW = {"TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1"}
_MLFLOW = {"MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
_OURS = Path(sys.executable).parent


def list_launches(
    servers: Sequence[str],
    subjects: Mapping[str, Subject],
    environments: Mapping[str, Path],
    registry: str,
    scratch: Path,
) -> list[Launch]:
    """Return the processes to start, one a server and model; door 2 serves all its models from one process.

    Args:
        servers: keys of `TITLES`.
        subjects: by model.
        environments: the `bin` of each peer that has an environment of its own, absolute.
        registry: of the project.
        scratch: a folder for what servers keep, absolute.
    """
    make: dict[str, Callable[[str, Subject], Launch]] = {
        STOCK: _stock,
        BENTOML: lambda model, subject: _bentoml(model, subject, environments[BENTOML], scratch),
        FASTAPI: _fastapi,
        LITSERVE: lambda model, subject: _litserve(model, subject, environments[LITSERVE]),
        DOOR_1: lambda model, subject: _door_1(model, subject, registry),
    }
    launches = [make[key](*item) for key in servers if key in make for item in subjects.items()]
    return [*launches, door_2(subjects, registry, scratch / "copy")] if DOOR_2 in servers else launches


def door_2(subjects: Mapping[str, Subject], registry: str, copy: Path) -> Launch:
    """Return `modelyard serve` with every model; `copy` is the folder of its local copy."""
    names = [part for subject in subjects.values() for part in ("--model", subject.name)]
    command = (str(_OURS / "modelyard"), "serve", *names, "--port", PORT, "--copy", str(copy))
    return Launch(
        DOOR_2,
        command,
        {
            model: subject.ask_with_image(
                f"/models/{subject.name}/predict", lambda answer: str(answer["predictions"][0][0]["label"])
            )
            for model, subject in subjects.items()
        },
        {"MLFLOW_TRACKING_URI": registry},
        copy=copy,
    )


def _door_1(model: str, subject: Subject, registry: str) -> Launch:
    question = subject.ask_with_base64(
        "/invocations", "inputs", True, lambda answer: str(answer["predictions"][0][0]["label"])
    )
    return _mlflow(DOOR_1, model, f"models:/{subject.name}@champion", question, registry)


def _stock(model: str, subject: Subject) -> Launch:
    question = subject.ask_with_numbers("/invocations")
    return _mlflow(STOCK, model, subject.stock_uri, question, subject.stock_store)


def _mlflow(server: str, model: str, uri: str, question: Question, store: str) -> Launch:
    command = (str(_OURS / "mlflow"), "models", "serve", "--model-uri", uri, "--env-manager", "local")
    # MLflow starts uvicorn from PATH.
    environment = {"MLFLOW_TRACKING_URI": store, **_path(_OURS), **_TENSORFLOW, **_MLFLOW}
    return Launch(server, (*command, "--host", "127.0.0.1", "--port", PORT), {model: question}, environment)


def _fastapi(model: str, subject: Subject) -> Launch:
    question = subject.ask_with_image("/predict", lambda answer: str(answer["label"]))
    return _peer(FASTAPI, model, subject, (sys.executable, "fastapi_server.py", PORT), question, _OURS)


def _litserve(model: str, subject: Subject, programs: Path) -> Launch:
    question = subject.ask_with_base64("/predict", "image", False, lambda answer: str(answer["label"]))
    command = (str(programs / "python"), "litserve_server.py", PORT)
    return _peer(LITSERVE, model, subject, command, question, programs)


def _bentoml(model: str, subject: Subject, programs: Path, scratch: Path) -> Launch:
    question = subject.ask_with_base64("/predict", "images", True, lambda answer: str(answer[0]))
    command = (
        str(programs / "bentoml"),
        "serve",
        "bentoml_server:Server",
        "--host",
        "127.0.0.1",
        "--port",
        PORT,
    )
    more = {"BENTOML_HOME": str(scratch / "bentoml"), "BENTOML_DO_NOT_TRACK": "True"}
    return _peer(BENTOML, model, subject, command, question, programs, more)


def _peer(
    server: str,
    model: str,
    subject: Subject,
    command: tuple[str, ...],
    question: Question,
    programs: Path,
    more: Mapping[str, str] | None = None,
) -> Launch:
    environment = {"NETWORK": str(subject.network), **_path(programs), **_TENSORFLOW, **(more or {})}
    return Launch(server, command, {model: question}, environment, PEERS)


def _path(programs: Path) -> dict[str, str]:
    return {"PATH": f"{programs}{os.pathsep}{os.environ['PATH']}", "PYTHONDONTWRITEBYTECODE": "1"}
