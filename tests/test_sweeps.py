"""Sweeps over tiny networks: counted, resumed, pruned, shared by processes, and written as a preset."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import mlflow
import optuna
import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from conftest import ROOT, clean_environment
from modelyard.cli import main
from modelyard.digits.dataset import read_digits
from modelyard.params import Params, validate_params
from modelyard.sweeps.database import Database
from modelyard.sweeps.space import Space
from modelyard.sweeps.study import ATTEMPTS, PATIENCE_S, Study
from modelyard.training.examples import examples_of
from modelyard.training.fitting import Task, fit_members
from sweep_project import make_project, set_values
from team_server import run_postgres


@pytest.fixture
def project(tmp_path: Path, values: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = make_project(tmp_path / "a project", values)
    monkeypatch.chdir(folder)
    return folder


def test_a_sweep_leaves_nested_runs_and_a_preset_that_gives_what_it_says(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["sweep", "--preset", "found"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[:3] for line in lines[:3]] == [["trial", str(n), "complete"] for n in range(3)]
    trials = study_of(project).trials
    best = max(trials, key=lambda trial: trial.value or 0)
    assert lines[3].startswith(f"best: trial {best.number}, {best.value:.2%} of the validation split with")
    [parent], nested = runs_of(project)
    assert (parent.info.status, parent.data.tags["best_trial"]) == ("FINISHED", str(best.number))
    assert {run.data.metrics["sweep/accuracy"] for run in nested} == {trial.value for trial in trials}
    assert {run.info.status for run in nested} == {"FINISHED"}
    assert {run.data.params["train.optimizer.learning_rate"] for run in nested} == {
        f"{trial.params['train.optimizer.learning_rate']:.6g}" for trial in trials
    }
    preset = (project / "conf/model/found.yaml").read_text()
    assert preset.startswith(f"# @package _global_\n# {best.value:.2%} of the validation split: trial")
    assert "  dense: [8]\n" in preset
    chosen = compose_preset(project, "found")
    training, validation = (examples_of(read_digits(project / name)) for name in ("a.npz", "b.npz"))
    _, rows = fit_members(Task(chosen.model, chosen.train, training, validation), lambda *_: None)
    assert rows[-1]["val_accuracy"] == pytest.approx(best.value, abs=1e-7)


def test_a_sweep_goes_on_where_it_ended_and_does_nothing_when_it_is_done(
    project: Path, values: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["sweep", "--trials", "1"]) == 0
    capsys.readouterr()
    assert main(["sweep", "--trials", "1"]) == 0
    assert "the study 'mnist mlp' has its 1 trials: nothing to do" in capsys.readouterr().out
    assert main(["sweep", "--trials", "2", "--timeout-s", "1e-9"]) == 0
    assert len(study_of(project).trials) == 1
    assert main(["sweep", "--trials", "2"]) == 0
    assert capsys.readouterr().out.count("trial 1 ") == 1
    [_], nested = runs_of(project)
    assert len(nested) == 2
    set_values(project, values, train__epochs=1)
    assert main(["sweep"]) == 2
    assert "train.epochs: the study has 2, now it is 1" in capsys.readouterr().err
    assert main(["sweep", "--trials", "0"]) == 2
    assert "sweep.trials: expected greater than or equal to 1, got 0" in capsys.readouterr().err


def test_a_trial_that_is_behind_is_pruned_and_one_that_fails_does_not_end_the_sweep(
    project: Path, values: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    set_values(
        project,
        values,
        sweep__trials=6,
        sweep__seed=1,
        train__epochs=3,
        sweep__pruner={"name": "median", "startup_trials": 1, "warmup_epochs": 0},
        sweep__space={
            "train.optimizer.learning_rate": {"choices": [0.02, 1e-7]},
            "train.schedule": {
                "choices": [{"name": "constant", "warmup": 0.0}, {"name": "cosine", "warmup": 99}]
            },
        },
    )
    assert main(["sweep"]) == 0
    out = capsys.readouterr().out
    assert "failed    train.schedule.warmup: expected fewer than the 15 steps" in out
    assert "pruned    behind half of the others after epoch 1" in out
    states = [trial.state.name for trial in study_of(project).trials]
    assert set(states) == {"COMPLETE", "PRUNED", "FAIL"}
    _, nested = runs_of(project)
    told = {run.data.tags["trial"]: (run.info.status, run.data.tags.get("pruned")) for run in nested}
    ends = {"COMPLETE": ("FINISHED", None), "PRUNED": ("KILLED", "true"), "FAIL": ("FAILED", None)}
    assert told == {str(number): ends[state] for number, state in enumerate(states)}


def test_a_loss_that_is_no_number_fails_the_trial_alone(
    project: Path, values: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    wild = {"name": "sgd", "learning_rate": 10.0, "beta_1": 0.9, "beta_2": 0.9, "momentum": 0.99}
    set_values(
        project,
        values,
        sweep__trials=2,
        sweep__seed=3,
        train__epochs=8,
        model__dense=[32, 32],
        sweep__space={"train.optimizer": {"choices": [wild | {"weight_decay": n} for n in (0.0, 0.5)]}},
    )
    main(["sweep"])
    assert "the loss is no number at step" in capsys.readouterr().out


def test_a_preset_of_a_person_is_not_overwritten_without_force(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    preset = project / "conf/model/mine.yaml"
    preset.write_text("# my own\n")
    assert main(["sweep", "--preset", "mine"]) == 2
    assert "overwrite it with --force" in capsys.readouterr().err
    assert preset.read_text() == "# my own\n"
    assert not (project / "mlflow.db").exists()
    assert main(["sweep", "--preset", "mine", "--trials", "1", "--force"]) == 0
    assert "dense: [8]" in preset.read_text()
    assert main(["sweep", "--preset", "mine", "--trials", "1"]) == 0
    preset.write_text(preset.read_text() + "# and a word of mine\n")
    assert main(["sweep", "--preset", "mine", "--trials", "1"]) == 2
    assert main(["sweep", "--preset", "../mine"]) == 2


def test_a_trial_of_a_process_that_fell_silent_begins_again_but_not_for_ever(
    project: Path, values: dict[str, Any]
) -> None:
    params = validate_params(values)
    study = Study(Database(None, project), "s", params.sweep, Space(params.sweep.space, params), "a digest")
    first = study.begin(1)
    assert first is not None
    first.set_user_attr("owner", {"host": "another machine", "pid": 1})
    assert not study.has_room(1)
    for attempt in range(1, ATTEMPTS + 1):
        trial = study.trials[-1]
        assert trial.params == first.params
        running = optuna.Trial(study_of(project), trial._trial_id)
        running.set_user_attr("owner", {"host": "another machine", "pid": 1})
        running.set_user_attr("alive_at", time.time() - PATIENCE_S - 1)
        assert study.has_room(1) == (attempt < ATTEMPTS)
        assert not study.end(running, "COMPLETE", 0.5)
        study.begin(1)
    assert study.count_finished() == 1


def test_processes_share_a_study_in_postgresql_and_go_on_where_one_was_killed(project: Path) -> None:
    with run_postgres() as url:
        command = [sys.executable, str(ROOT / "tests/sweep_processes.py"), url]
        done = subprocess.run(
            command, env=clean_environment(), cwd=project, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        told = json.loads(done.stdout.splitlines()[-1])
        [study] = optuna.get_all_study_names(url)
        trials = optuna.load_study(study_name=study, storage=url).trials
    assert told == [-signal.SIGKILL, 0, 0]
    assert [trial.number for trial in trials] == list(range(len(trials)))
    states = [trial.state.name for trial in trials]
    assert states[0] == "FAIL"
    assert states[1:] == ["COMPLETE"] * 6
    assert trials[1].params == trials[0].params
    assert len({json.dumps(trial.params) for trial in trials}) == 6
    assert len({trial.user_attrs["owner"]["pid"] for trial in trials}) == 3
    [parent], nested = runs_of(project)
    assert parent.info.status == "FINISHED"
    assert sorted(run.info.status for run in nested) == ["FINISHED"] * 6 + ["KILLED"]


def study_of(project: Path) -> optuna.Study:
    url = f"sqlite:///{project / 'sweeps.db'}"
    [name] = optuna.get_all_study_names(url)
    return optuna.load_study(study_name=name, storage=url)


def runs_of(project: Path) -> tuple[list[Any], list[Any]]:
    """The runs of studies, and those of trials, which must all be nested in the first."""
    client = mlflow.MlflowClient(f"sqlite:///{project / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("modelyard sweeps")
    found = client.search_runs([experiment.experiment_id])
    parents = [run for run in found if run.data.tags["kind"] == "sweep"]
    nested = [run for run in found if run.data.tags["kind"] == "trial"]
    assert {run.data.tags["mlflow.parentRunId"] for run in nested} == {run.info.run_id for run in parents}
    return parents, nested


def compose_preset(project: Path, name: str) -> Params:
    with initialize_config_dir(str(project / "conf"), version_base=None):
        composed: Any = OmegaConf.to_container(compose("config", overrides=[f"model={name}"]), resolve=True)
    return validate_params(composed)
