"""Every stage in order, in a real DVC repository, on small data: the workflow as a user runs it."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest

from experiment_queue import run_queue
from forked_programs import put_on_path
from modelyard.registry.versions import list_versions, resolve_version
from modelyard.tracking.store import Tracking, open_tracking
from small_project import TEST, Project
from surroundings import ONE_THREAD

RECONCILE = (sys.executable, "-m", "modelyard.cli", "reconcile")


@pytest.fixture(scope="module")
def first_run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Project, str]:
    """A small project after its first `dvc repro`, and what that said: every import is among it.

    Its stages take the cores that a user's take. Those of later runs are forks of a process with all imports.
    """
    made = Project(tmp_path_factory.mktemp("project"))
    everywhere = made.environment
    made.environment = {name: value for name, value in everywhere.items() if name not in ONE_THREAD}
    said = made.run("dvc", "repro", PYTHONPROFILEIMPORTTIME="1")
    made.environment = put_on_path(tmp_path_factory.mktemp("bin"), everywhere)
    made.commit("the first run")
    return made, said


@pytest.fixture(scope="module")
def project(first_run: tuple[Project, str]) -> Project:
    return first_run[0]


@pytest.fixture
def tracking(project: Project, monkeypatch: pytest.MonkeyPatch) -> Tracking:
    monkeypatch.chdir(project.folder)
    return open_tracking("modelyard")


def test_one_command_registers_both_models(project: Project, tracking: Tracking) -> None:
    versions = {name: list_versions(tracking.client, name) for name in ("mnist", "inception-v3")}
    assert [version.tags["precision"] for version in versions["mnist"]] == ["float32"]
    assert [version.tags["precision"] for version in versions["inception-v3"]] == ["float32", "int8"]
    champion = resolve_version(tracking.client, "models:/inception-v3@champion")
    # Which precision is faster is a matter of the processor.
    assert champion.tags["precision"] in ("float32", "int8")


def test_the_imported_network_knows_the_panda_out_of_the_registry(project: Project) -> None:
    served = json.loads((project.folder / "served/predictions.json").read_text())
    [answers] = [answers for uri, answers in served.items() if uri.startswith("models:/inception-v3/")]
    best = answers["cropped_panda.jpg"][0]
    assert (best["label"], best["synset"]) == ("giant panda, panda", "n02510455")
    assert best["score"] > 0.85


def test_the_test_images_are_measured_once_and_all_of_them(project: Project) -> None:
    report = json.loads((project.folder / "reports/trained/float32/report.json").read_text())
    metrics = json.loads((project.folder / "reports/trained.json").read_text())["float32"]
    assert report["dataset"]["images"] == TEST
    assert metrics["test"]["errors"] == round(TEST * (1 - metrics["test"]["accuracy"]))


def test_a_second_run_does_nothing(project: Project) -> None:
    said = project.run("dvc", "repro")
    assert "up to date" in said
    assert "Running stage" not in said


@pytest.mark.parametrize("stage", ["download", "evaluate", "evaluate-imported", "register", "serve"])
def test_a_stage_that_neither_trains_nor_converts_imports_no_tensorflow(
    first_run: tuple[Project, str], stage: str
) -> None:
    assert " tensorflow" in _said_by("train", first_run[1])
    said = _said_by(stage, first_run[1])
    assert "modelyard.stages.stage" in said
    assert " tensorflow" not in said
    assert " keras" not in said


def test_dvc_shows_metrics_and_plots(project: Project) -> None:
    metrics = json.loads(project.run("dvc", "metrics", "show", "--json"))
    files = metrics[""]["data"]
    assert files["reports/trained.json"]["data"]["float32"]["test"]["accuracy"] > 0.5
    project.run("dvc", "plots", "show", "-q", "-o", "shown")
    page = (project.folder / "shown/index.html").read_text()
    for title in ("confusion matrix", "loss by epoch", "mistakes.png", "top5.png"):
        assert title in page


def test_a_clone_of_a_remote_reconciles_and_serves_without_training(
    project: Project, tracking: Tracking, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.run("dvc", "remote", "add", "--default", "shared", str(tmp_path / "remote"))
    project.commit("a remote")
    project.run("dvc", "push")
    clone = project.clone(tmp_path / "a clone")
    assert "`dvc pull`" in clone.run(*RECONCILE, expect=1)
    clone.run("dvc", "pull")
    # The one is brought back, the other is not needed.
    shutil.rmtree(clone.folder / "bundles")
    shutil.rmtree(clone.folder / "data")
    monkeypatch.chdir(clone.folder)
    filled = open_tracking("modelyard")
    _register_something_else(filled)
    # As from a shell in which no environment is activated: stages call `python`.
    said = clone.run(*RECONCILE, PATH=os.defpath)
    assert "Running stage 'train'" not in said
    assert said.endswith("the registry is whole, and the tree's bundles are registered\n")
    for name in ("mnist", "inception-v3"):
        assert _keys(filled, name) == _keys(tracking, name)
    rebuilt = filled.client.get_run(resolve_version(filled.client, "models:/mnist/1").run_id)
    assert rebuilt.data.tags["rebuilt_from"] == resolve_version(tracking.client, "models:/mnist/1").run_id
    assert rebuilt.data.metrics["train/loss"] > 0
    assert "history_run" not in filled.client.get_registered_model("others").tags
    assert not (clone.folder / "data").exists()
    clone.run("dvc", "checkout")
    stages = [line for line in clone.run("dvc", "repro").splitlines() if line.startswith("Running stage")]
    # The first lays the link to the pictures, which no clone has.
    assert stages == ["Running stage 'compose':", "Running stage 'serve':"]
    served = "served/predictions.json"
    assert (clone.folder / served).read_bytes() == (project.folder / served).read_bytes()


def test_a_killed_training_leaves_nothing_that_the_next_run_takes_for_whole(project: Project) -> None:
    killed = subprocess.Popen(
        # Not the fork that `dvc` is here, whose children would not be those of this process.
        [sys.executable, "-m", "dvc", "exp", "run", "-S", "train.epochs=5000"],
        cwd=project.folder,
        env=project.environment,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert killed.stdout is not None
    for line in killed.stdout:
        if "val_loss" in line:
            break
    tree = psutil.Process(killed.pid)
    for process in [tree, *tree.children(recursive=True)]:
        process.kill()
    killed.communicate()
    assert not (project.folder / "models/trained/model.keras").exists()
    project.run("git", "checkout", "-q", "HEAD", "params.yaml", "dvc.lock")
    project.run("dvc", "repro")
    assert (project.folder / "models/trained/model.keras").exists()


def test_a_queued_experiment_loses_no_run(project: Project, tracking: Tracking) -> None:
    """It runs in a copy of the repository, which is gone afterwards."""
    before = {run.info.run_id for run in _trainings(tracking)}
    project.run("dvc", "exp", "run", "-q", "--queue", "-S", "train.seed=2", "-S", "model=mlp", "register")
    run_queue(project.folder, project.environment, jobs=1)
    (run,) = [run for run in _trainings(tracking) if run.info.run_id not in before]
    assert run.info.status == "FINISHED"
    assert (run.data.params["model.name"], run.data.params["train.seed"]) == ("mlp", "2")
    assert run.data.tags["dvc.experiment"]
    assert "test/accuracy" in run.data.metrics
    assert len(list_versions(tracking.client, "mnist")) == 2


def _said_by(stage: str, said: str) -> str:
    """Return what `dvc repro` said between the beginning of a stage and that of the next one."""
    return said.partition(f"Running stage '{stage}':")[2].partition("Running stage '")[0]


def _register_something_else(tracking: Tracking) -> None:
    """Register a model that modelyard does not know, with a champion."""
    tracking.client.create_registered_model("others")
    tracking.client.create_model_version("others", "s3://elsewhere/model")
    tracking.client.set_registered_model_alias("others", "champion", "1")


def _keys(tracking: Tracking, name: str) -> list[str]:
    return [version.tags["content_key"] for version in list_versions(tracking.client, name)]


def _trainings(tracking: Tracking) -> list[Any]:
    return list(tracking.client.search_runs([tracking.experiment_id], "tags.kind = 'training'"))
