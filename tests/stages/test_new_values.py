"""A dataset and a network are one file each in conf/: from files on a disk to answered HTTP requests."""

import base64
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import keras
import numpy as np
import pytest
import requests
import yaml
from PIL import Image

from conftest import clean_environment
from foreign_networks import NAMES, SIDE
from forked_programs import put_on_path
from modelyard.evaluation.reports import Predictions, read_predictions
from modelyard.images.pictures import Pictures, read_pictures
from small_project import Project
from tracking_server import find_free_port

CLASSES = ("blue things", "green things", "red things")
DATASET = """
defaults: [_folder, _self_]
name: things
licence: CC0
homepage: null
path: ../things
input: {fit: crop, height: 24, width: 32, channels: 3}
"""
UP_TIMEOUT_S = 120


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A repository to which two files in conf/ were added, after one experiment with both."""
    folder = tmp_path_factory.mktemp("project")
    write_pictures(folder / "things")
    made = Project(folder)
    made.environment = put_on_path(tmp_path_factory.mktemp("bin"), made.environment)
    (made.folder / "conf/data/things.yaml").write_text(DATASET)
    write_network(folder / "eels.keras", made.folder / "conf/pretrained/eels.yaml")
    made.commit("a dataset and a network")
    made.run("dvc", "exp", "run", "-S", "data=things", "-S", "pretrained=eels", "-S", "model=mlp")
    return made


def write_pictures(folder: Path) -> None:
    """Write 20 pictures of each class, of different sizes, every other one a JPEG under a wrong name."""
    random = np.random.default_rng(3)
    for channel, name in enumerate(reversed(CLASSES)):
        (folder / name).mkdir(parents=True)
        for number in range(20):
            height, width = random.integers(30, 90, 2)
            levels = random.integers(0, 120, (height, width, 3)).astype(np.uint8)
            levels[..., channel] += 100
            kind = "JPEG" if number % 2 else "PNG"
            Image.fromarray(levels).save(folder / name / f"{number}.png", kind)


def write_network(file: Path, conf: Path) -> None:
    """Write a Keras network whose answer is how light its picture is, and the file that describes it."""
    keras.utils.set_random_seed(5)
    layers = keras.layers
    network = keras.Sequential(
        [
            keras.Input((SIDE, SIDE, 3)),
            layers.Conv2D(6, 3, strides=2, activation="relu"),
            layers.GlobalAveragePooling2D(),
            layers.Dense(len(NAMES), activation="softmax"),
        ]
    )
    network.save(file)
    values = {
        "defaults": ["_network", "_self_"],
        "name": "eels",
        "format": "keras",
        "licence": "MIT",
        "homepage": None,
        "path": str(file),
        "network": {"file": file.name, "sha256": None},
        "input": {
            "height": SIDE,
            "width": SIDE,
            "channels": 3,
            "fit": "stretch_centres",
            "order": "bgr",
            "mean": [120.0, 110.0, 100.0],
            "scale": 0.02,
        },
        "output": {"classes": len(NAMES), "named": len(NAMES), "activation": "softmax"},
        "labels": {"format": "list", "names": NAMES},
        "proof": None,
    }
    conf.write_text(yaml.safe_dump(values, sort_keys=False))


@pytest.fixture(scope="module")
def measured(project: Project) -> tuple[Pictures, Predictions]:
    """The test split's files, and what evaluation has recorded of them."""
    pictures = read_pictures(project.folder / "data/test.npz", project.folder / "data/source")
    return pictures, read_predictions(project.folder / "reports/trained/float32/predictions.npz")


def test_both_are_registered_under_their_own_names(project: Project) -> None:
    registered = json.loads((project.folder / "registered.json").read_text())
    assert {name: entry["name"] for name, entry in registered.items()} == {
        "trained/float32": "things",
        "imported/float32": "eels",
        "imported/int8": "eels",
    }
    labels = json.loads((project.folder / "bundles/trained/float32/labels.json").read_text())
    assert [label["name"] for label in labels] == list(CLASSES)


def test_every_file_is_in_one_split(project: Project) -> None:
    names: list[str] = []
    for split in ("train", "validation", "test"):
        pictures = read_pictures(project.folder / f"data/{split}.npz", project.folder / "data/source")
        names += [pictures.name(place) for place in range(len(pictures))]
    assert len(set(names)) == len(names) == 60


def test_mlflow_serves_the_scores_that_evaluation_has_recorded(
    project: Project, measured: tuple[Pictures, Predictions]
) -> None:
    command = ["mlflow", "models", "serve", "-m", "models:/things@champion", "--env-manager", "local"]
    with serving(project, command, "/ping") as address:
        pictures, predictions = measured
        texts = [base64.b64encode(pictures.file(place)).decode() for place in range(len(pictures))]
        body = {"instances": texts, "params": {"top_k": 3}}
        answer = requests.post(f"{address}/invocations", json=body, timeout=60)
        assert_scores(answer.json()["predictions"], predictions)


def test_modelyard_serves_them_too_and_answers_with_the_imported_network(
    project: Project, measured: tuple[Pictures, Predictions]
) -> None:
    command = [sys.executable, "-m", "modelyard.cli", "serve", "--copy", str(project.folder.parent / "copy")]
    with serving(project, command, "/readyz") as address:
        pictures, predictions = measured
        answers = [
            ask(f"{address}/models/things/predict?top_k=3", pictures.file(place))
            for place in range(len(pictures))
        ]
        assert_scores(answers, predictions)
        sample = next((project.folder / "models/imported/samples").iterdir()).read_bytes()
        assert {one["label"] for one in ask(f"{address}/models/eels/predict", sample)} == set(NAMES)


def test_a_picture_that_comes_later_is_noticed_by_the_next_run(project: Project) -> None:
    assert "Running stage 'download'" not in project.run("dvc", "repro", "download")
    levels = np.full((40, 40, 3), 9, np.uint8)
    Image.fromarray(levels).save(project.folder.parent / "things" / CLASSES[0] / "later.png")
    assert "Running stage 'download'" in project.run("dvc", "repro", "download")
    record = json.loads((project.folder / "data/dataset.json").read_text())
    assert sum(split["images"] for split in record["splits"].values()) == 61


def test_a_network_without_a_checksum_that_is_replaced_is_noticed_by_the_next_run(project: Project) -> None:
    assert "up to date" in project.run("dvc", "status", "import")
    file = project.folder.parent / "eels.keras"
    file.write_bytes(file.read_bytes() + b"another")
    assert "models/source" in project.run("dvc", "status", "import")


def ask(url: str, picture: bytes) -> list[dict[str, object]]:
    answer = requests.post(url, picture, headers={"Content-Type": "image/png"}, timeout=30)
    assert answer.ok, answer.text
    [labels] = answer.json()["predictions"]
    return list(labels)


def assert_scores(answers: list[list[dict[str, object]]], predictions: Predictions) -> None:
    """Expect of every picture the scores on record, to the last of the seven decimals that are sent."""
    for labels, row in zip(answers, predictions.probabilities, strict=True):
        given = {one["label"]: one["score"] for one in labels}
        assert given == {name: round(float(score), 7) for name, score in zip(CLASSES, row, strict=True)}


@contextmanager
def serving(project: Project, command: list[str], ready: str) -> Iterator[str]:
    """Run a server in the project, on loopback, and give its address once it is ready."""
    address = f"http://127.0.0.1:{(port := find_free_port())}"
    uri = project.run(sys.executable, "-m", "modelyard.tracking.address").strip()
    log = project.folder.parent / f"{re.sub('[^a-z]', '', ready)}.log"
    with (
        log.open("wb") as out,
        subprocess.Popen(
            [*command, "--port", str(port)],
            cwd=project.folder,
            # Other tests of this process may have left the address of another registry.
            env=clean_environment() | {"MLFLOW_TRACKING_URI": uri, "MLFLOW_REGISTRY_URI": uri},
            stdout=out,
            stderr=out,
            start_new_session=True,
        ) as server,
    ):
        try:
            end = time.monotonic() + UP_TIMEOUT_S
            while not is_up(f"{address}{ready}"):
                assert server.poll() is None, log.read_text()
                assert time.monotonic() < end, log.read_text()
                time.sleep(0.2)
            yield address
        finally:
            os.killpg(server.pid, 15)


def is_up(url: str) -> bool:
    try:
        return requests.get(url, timeout=5).ok
    except requests.RequestException:
        return False
