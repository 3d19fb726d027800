"""Sweeps of tiny networks: counted, resumed, pruned, shared by processes, and written as a preset.

All sweeps that need TensorFlow run once, in processes that share its import; the tests check the outcome.
"""

import json
import re
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mlflow
import optuna
import pytest
import sqlalchemy
import yaml
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from conftest import clean_environment, compose_values
from forked_programs import run_programs
from modelyard.cli import main
from modelyard.errors import ModelyardError
from modelyard.params import Params, load_params, validate_params
from modelyard.sweeps.database import RETRIES, Database
from modelyard.sweeps.space import Space
from modelyard.sweeps.study import FINISHED, Study
from small_registry import leave_database
from sweep_project import make_project
from team_server import run_postgres

ADAM = compose_values()["train"]["optimizer"]
GOOD, SLOW = ADAM | {"learning_rate": 0.02}, ADAM | {"learning_rate": 1e-7}
WILD = ADAM | {"name": "sgd", "learning_rate": 10.0, "weight_decay": 0.99}
# Kills the process in its first trial.
KILL = """
import os, signal
from modelyard.sweeps import trials
trials.fit_members = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
"""


@dataclass
class Swept:
    """A project after its sweeps: the exit code and output of each, and the study's trials."""

    folder: Path
    ends: list[tuple[int, str]]
    trials: list[optuna.trial.FrozenTrial]

    @property
    def best(self) -> optuna.trial.FrozenTrial:
        return max(self.trials, key=lambda trial: trial.value if trial.state.name == "COMPLETE" else 0)


@pytest.fixture(scope="module")
def postgres() -> Iterator[str]:
    with run_postgres() as url:
        yield url


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory, postgres: str) -> tuple[Swept, Swept]:
    """Two projects, one swept by three processes in PostgreSQL, one by one in a file; one tracking store."""
    folder = tmp_path_factory.mktemp("sweeps")
    leave_database(folder / "mlflow.db")
    values = compose_values()
    shared = make_project(folder / "a shared one", values)
    alone = make_project(
        folder / "alone",
        values,
        train__epochs=3,
        train__batch_size=2,
        sweep__trials=3,
        sweep__seed=4,
        sweep__pruner={"name": "median", "startup_trials": 1, "warmup_epochs": 0},
        sweep__space={"train.optimizer": {"choices": [GOOD, SLOW, WILD]}},
    )
    command = ["-m", "modelyard.cli", "sweep"]
    options = ["--trials", "3", "--storage", postgres, "--preset", "found"]
    both = {"folder": str(shared), "arguments": [*command, *options]}
    one = {"folder": str(alone), "arguments": command}
    store = {"MLFLOW_TRACKING_URI": f"sqlite:///{folder / 'mlflow.db'}?timeout=60"}
    ends = run_programs([[both | {"setup": KILL}], [both, both, one]], clean_environment() | store)
    url = f"sqlite:///{alone / 'sweeps.db'}"
    return Swept(shared, ends[:3], _load(postgres).trials), Swept(alone, ends[3:], _load(url).trials)


def test_processes_share_a_study_in_postgresql_and_retry_the_trial_of_a_killed_one(
    swept: tuple[Swept, Swept],
) -> None:
    shared, _ = swept
    assert [code for code, _ in shared.ends] == [-signal.SIGKILL, 0, 0], shared.ends
    trials = shared.trials
    # Two processes that finish a trial at the same moment start one more than three.
    complete = len(trials) - 1
    assert complete in (3, 4)
    assert [trial.number for trial in trials] == [0, *range(1, complete + 1)]
    assert [trial.state.name for trial in trials] == ["FAIL"] + ["COMPLETE"] * complete
    assert trials[1].params == trials[0].params
    assert len({json.dumps(trial.params) for trial in trials}) == complete
    assert len({trial.user_attrs["owner"]["pid"] for trial in trials}) == 3
    [parent], nested = _runs_of(shared, "mnist mlp", len(trials))
    assert (parent.info.status, parent.data.tags["best_trial"]) == ("FINISHED", str(shared.best.number))
    assert sorted(run.info.status for run in nested) == ["FINISHED"] * complete + ["KILLED"]
    accuracies = {run.data.metrics.get("sweep/accuracy") for run in nested}
    assert accuracies == {trial.value for trial in trials}
    assert parent.data.metrics["sweep/best_accuracy"] == shared.best.value


def test_the_best_trial_is_a_preset_that_can_be_used_at_once(swept: tuple[Swept, Swept]) -> None:
    shared, _ = swept
    text = (shared.folder / "conf/model/found.yaml").read_text()
    assert text.startswith(f"# @package _global_\n# {shared.best.value:.2%} of the validation split: trial")
    assert "  dense: [8]\n" in text
    rate = float(f"{shared.best.params['train.optimizer.learning_rate']:.6g}")
    base = load_params(shared.folder / "params.yaml")
    chosen = _compose_preset(shared.folder, "found")
    assert chosen.model == base.model.model_copy(update={"name": "found"})
    optimizer = base.train.optimizer.model_copy(update={"learning_rate": rate})
    assert chosen.train == base.train.model_copy(update={"optimizer": optimizer})
    # What stands in conf/train stands nowhere else, and everything else is there.
    common = yaml.safe_load((shared.folder / "conf/train/default.yaml").read_text())
    assert set(yaml.safe_load(text)["train"]) == set(base.train.model_dump()) - set(common)


def test_a_trial_below_the_median_is_pruned_and_one_whose_loss_is_not_finite_fails_alone(
    swept: tuple[Swept, Swept],
) -> None:
    _, alone = swept
    [(code, out)] = alone.ends
    assert code == 0, out
    words = [line.split()[2] for line in out.splitlines() if line.startswith("trial")]
    assert set(words) == {"complete", "pruned", "failed"}, out
    assert re.search(r"failed    the loss is (nan|inf) at step", out), out
    assert "pruned    worse than the median after epoch 1" in out
    assert len(out.splitlines()) == 3 + 2, out
    states = {"complete": "COMPLETE", "pruned": "PRUNED", "failed": "FAIL"}
    assert [trial.state.name for trial in alone.trials] == [states[word] for word in words]
    [parent], nested = _runs_of(alone, "mnist mlp", 3)
    ends = {"complete": ("FINISHED", None), "pruned": ("KILLED", "true"), "failed": ("FAILED", None)}
    assert {
        int(run.data.tags["trial"]): (run.info.status, run.data.tags.get("pruned")) for run in nested
    } == {number: ends[word] for number, word in enumerate(words)}
    assert parent.data.params["space.train.optimizer"].startswith('{"choices": [{')


def test_a_sweep_that_is_done_does_nothing_and_says_so(
    swept: tuple[Swept, Swept], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _, alone = swept
    monkeypatch.chdir(alone.folder)
    assert main(["sweep"]) == 0
    assert "the study 'mnist mlp' has its 3 trials: nothing to do" in capsys.readouterr().out
    assert len(_load(f"sqlite:///{alone.folder / 'sweeps.db'}").trials) == 3


def test_a_preset_that_was_edited_is_not_overwritten_without_force(
    swept: tuple[Swept, Swept], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _, alone = swept
    monkeypatch.chdir(alone.folder)
    preset = alone.folder / "conf/model/mlp_swept.yaml"
    written = preset.read_text()
    preset.write_text(f"{written}# edited\n")
    assert main(["sweep", "--trials", "99"]) == 2
    assert "overwrite it with --force" in capsys.readouterr().err
    assert preset.read_text() == f"{written}# edited\n"
    assert main(["sweep", "--force"]) == 0
    assert preset.read_text() == written
    assert main(["sweep", "--preset", "../mine"]) == 2
    assert "--preset: expected letters, digits" in capsys.readouterr().err


def test_a_study_with_other_parameters_is_refused(
    swept: tuple[Swept, Swept], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _, alone = swept
    monkeypatch.chdir(alone.folder)
    kept = (alone.folder / "params.yaml").read_text()
    try:
        (alone.folder / "params.yaml").write_text(kept.replace("epochs: 3", "epochs: 4"))
        assert main(["sweep"]) == 2
        assert "train.epochs: the study has 3, now it is 4" in capsys.readouterr().err
    finally:
        (alone.folder / "params.yaml").write_text(kept)
    assert main(["sweep", "--trials", "0"]) == 2
    assert "sweep.trials: expected greater than or equal to 1, got 0" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "dimension"),
    [
        ("train.seed", {"low": 0, "high": 9}),
        ("train.early_stopping.patience", {"low": 1, "high": 5}),
    ],
)
def test_a_parameter_that_all_presets_share_is_not_searched(
    tmp_path: Path,
    values: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    name: str,
    dimension: dict[str, int],
) -> None:
    folder = make_project(tmp_path / "a project", values, sweep__space={name: dimension})
    monkeypatch.chdir(folder)
    assert main(["sweep"]) == 2
    assert (
        f"{name} belongs to {folder}/conf/train/default.yaml, which all presets share"
        in capsys.readouterr().err
    )
    assert not (folder / "sweeps.db").exists()


@pytest.fixture
def study(repository: Path, params: Params) -> Study:
    """An empty study in a file of its own."""
    space = Space(params.sweep.space, params)
    return Study(Database(None, repository), "s", params.sweep, space, "a digest")


def test_a_trial_of_a_silent_machine_is_retried_but_not_forever(study: Study, repository: Path) -> None:
    def lose_machine(trial: optuna.Trial) -> float:
        """Be another machine that was silent for long, while a second process starts its sweep."""
        assert not study.lacks(1)
        trial.set_user_attr("owner", {"host": "another machine", "pid": 1})
        study.retry_killed()
        assert study.count("RUNNING") == 1
        _age_heartbeats(repository / "sweeps.db")
        study.retry_killed()
        return 0.5

    for attempt in range(1 + RETRIES):
        assert study.lacks(1)
        with pytest.raises(ModelyardError, match=r"trial \d was given up by another process"):
            study.optimize(lose_machine, 1, None, lambda _: None)
        assert study.count("WAITING") == (attempt < RETRIES)
    assert len({json.dumps(trial.params) for trial in study.trials}) == 1
    assert (study.count(*FINISHED), study.lacks(1)) == (1, False)


def test_an_interrupted_trial_is_retried_with_the_same_parameters(study: Study) -> None:
    def interrupt(_: optuna.Trial) -> float:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        study.optimize(interrupt, 1, None, lambda _: None)
    # The retry has no owner yet: another process would take it for killed.
    assert [trial.user_attrs.keys() for trial in study.trials] == [{"owner"}, set()]
    study.optimize(lambda _: 0.5, 1, None, lambda _: None)
    interrupted, retried = study.trials
    assert (interrupted.state.name, retried.state.name) == ("FAIL", "COMPLETE")
    assert retried.params == interrupted.params
    assert study.count(*FINISHED) == 1


def test_one_process_at_a_time_has_the_lock_of_a_shared_database(postgres: str, tmp_path: Path) -> None:
    database = Database(postgres, tmp_path)
    other = sqlalchemy.create_engine(postgres, poolclass=sqlalchemy.NullPool)
    ask = sqlalchemy.text("SELECT pg_try_advisory_lock(:number)")
    number = {"number": int.from_bytes(b"sweep")}
    with database.lock(), other.connect() as connection:
        assert not connection.execute(ask, number).scalar()
    with other.connect() as connection:
        assert connection.execute(ask, number).scalar()


def test_a_database_that_does_not_answer_is_named_without_its_password(
    tmp_path: Path,
    values: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(make_project(tmp_path / "a project", values))
    assert main(["sweep", "--storage", "postgresql://me:secret@127.0.0.1:1/sweeps"]) == 1
    error = capsys.readouterr().err
    assert "sweep.storage: the database postgresql+psycopg2://me:***@127.0.0.1:1/sweeps failed (" in error
    assert "secret" not in error
    assert main(["sweep", "--storage", "mysql://127.0.0.1/sweeps"]) == 2
    assert "sweep.storage: expected a URL with sqlite:///" in capsys.readouterr().err


def _load(url: str) -> optuna.Study:
    [name] = optuna.get_all_study_names(url)
    return optuna.load_study(study_name=name, storage=url)


def _age_heartbeats(database: Path) -> None:
    age = sqlalchemy.text("UPDATE trial_heartbeats SET heartbeat = datetime('now', '-1 hour')")
    with sqlalchemy.create_engine(f"sqlite:///{database}").begin() as connection:
        connection.execute(age)


def _runs_of(swept: Swept, study: str, count: int) -> tuple[list[Any], list[Any]]:
    """Return the parent runs of a project's study, and the runs of its trials, which are nested in them."""
    client = mlflow.MlflowClient(f"sqlite:///{swept.folder.parent / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("modelyard sweeps")
    found = client.search_runs([experiment.experiment_id])
    own = {trial.user_attrs["run_id"] for trial in swept.trials}
    nested = [run for run in found if run.info.run_id in own]
    assert len(nested) == count
    above = {run.data.tags["mlflow.parentRunId"] for run in nested}
    parents = [run for run in found if run.info.run_id in above]
    assert {run.data.tags["study"] for run in parents + nested} == {study}
    assert [run.data.tags["kind"] for run in parents] == ["sweep"]
    assert {run.data.tags["kind"] for run in nested} == {"trial"}
    # One for each of the two projects.
    assert sum(run.data.tags["kind"] == "sweep" for run in found) == 2
    return parents, nested


def _compose_preset(project: Path, name: str) -> Params:
    """As `dvc exp run -S model=NAME` composes it; what the test changed is not in conf/."""
    with initialize_config_dir(str(project / "conf"), version_base=None):
        composed: Any = OmegaConf.to_container(compose("config", overrides=[f"model={name}"]), resolve=True)
    return validate_params(composed)
