"""compose: conf/ decides, and no edit of params.yaml is lost in silence. A real DVC repository throughout."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import pytest
import yaml

from conftest import ROOT, clean_environment
from experiment_queue import run_queue
from forked_programs import put_on_path

PIPELINE = """
stages:
  compose:
    cmd: >-
      python pipelines/compose.py --conf conf --out params.yaml --source data/source
      --additions data/additions --network models/source
    deps: [conf, pipelines/compose.py]
    outs:
      - params.yaml: {cache: false, persist: true}
  fit:
    cmd: python -c "import yaml; print(yaml.safe_load(open('params.yaml'))['train']['epochs'])" > fitted
    params: [train]
    outs: [fitted]
"""


@pytest.fixture(scope="module", autouse=True)
def _stages_are_forks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with mock.patch.dict(os.environ, put_on_path(tmp_path_factory.mktemp("bin"), dict(os.environ))):
        yield


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Git and DVC repository with the shipped conf/ and compose stage, run once and committed."""
    folder = tmp_path_factory.mktemp("compose") / "a repository"
    for name in ("conf", "pipelines"):
        shutil.copytree(ROOT / name, folder / name)
    (folder / "dvc.yaml").write_text(PIPELINE)
    _run(folder, "git", "init", "-q")
    _run(folder, "dvc", "init", "-q")
    shutil.copy(ROOT / ".dvc/config", folder / ".dvc/config")
    _run(folder, "dvc", "repro", "-q")
    _commit(folder)
    return folder


@pytest.fixture
def pipeline(fresh: Path, tmp_path: Path) -> Path:
    """A copy of it for the test alone."""
    return Path(shutil.copytree(fresh, tmp_path / "a repository", symlinks=True))


@pytest.fixture(scope="module")
def applied_once(fresh: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = Path(shutil.copytree(fresh, tmp_path_factory.mktemp("applied") / "a repository", symlinks=True))
    _run(folder, "dvc", "exp", "run", "-q", "-n", "longer", "-S", "train.epochs=5")
    return folder


@pytest.fixture
def applied(applied_once: Path, tmp_path: Path) -> Path:
    """A copy of it in which an experiment with 5 epochs was run."""
    return Path(shutil.copytree(applied_once, tmp_path / "a repository", symlinks=True))


def test_an_edit_in_conf_reaches_the_stages_that_use_it(pipeline: Path) -> None:
    _set_epochs_in_conf(pipeline, 7)
    _run(pipeline, "dvc", "repro", "-q")
    assert (pipeline / "fitted").read_text().strip() == "7"


def test_a_second_run_does_nothing(pipeline: Path) -> None:
    assert "up to date" in _run(pipeline, "dvc", "repro").stdout


def test_a_repro_after_an_experiment_keeps_what_the_experiment_chose(applied: Path) -> None:
    assert "up to date" in _run(applied, "dvc", "repro").stdout
    assert (applied / "fitted").read_text().strip() == "5"


def test_an_applied_experiment_is_kept_and_named_while_conf_changes_elsewhere(applied: Path) -> None:
    _run(applied, "dvc", "exp", "run", "-q", "-S", "model=mlp")
    assert yaml.safe_load((applied / "params.yaml").read_text())["model"]["dense"] == [512]
    _run(applied, "dvc", "exp", "apply", "longer")
    _replace(applied / "conf/train/default.yaml", "seed: 0", "seed: 7")
    assert (
        "kept from the applied experiment: train.epochs=5 (conf/ says 3)"
        in _run(applied, "dvc", "repro").stdout
    )
    train = yaml.safe_load((applied / "params.yaml").read_text())["train"]
    assert (train["epochs"], train["seed"]) == (5, 7)
    assert (applied / "fitted").read_text().strip() == "5"


def test_an_applied_experiment_ends_aloud_when_conf_changes_one_of_its_values(pipeline: Path) -> None:
    _run(pipeline, "dvc", "exp", "run", "-q", "-S", "train.epochs=5", "-S", "train.seed=4")
    _set_epochs_in_conf(pipeline, 7)
    told = _run(pipeline, "dvc", "repro").stdout
    assert "conf/ has changed train.epochs from 3 to 7: the applied experiment ends" in told
    assert "given up from the applied experiment: train.seed=4 (conf/ says 0)" in told
    params = yaml.safe_load((pipeline / "params.yaml").read_text())
    assert (params["train"]["epochs"], params["train"]["seed"], params["experiment"]) == (7, 0, {})


def test_the_next_experiment_says_first_what_of_the_applied_one_is_no_part_of_it(applied: Path) -> None:
    told = _run(applied, "dvc", "exp", "run", "-S", "train.seed=4", merged=True).stdout
    warning = "conf/, for example as a preset in conf/model:\n  train.epochs=5 (conf/ says 3)"
    assert told.index(warning) < told.index("Running stage")
    assert (applied / "fitted").read_text().strip() == "3"


def test_a_refused_experiment_leaves_everything_as_it_was(applied: Path) -> None:
    before = (applied / "params.yaml").read_text(), _run(applied, "git", "status", "--short").stdout
    refused = _run(applied, "dvc", "exp", "run", "-S", "train.epochs=-1", expect=255)
    assert "train.epochs: expected greater than or equal to 1, got -1" in refused.stderr
    after = (applied / "params.yaml").read_text(), _run(applied, "git", "status", "--short").stdout
    assert after == before
    assert "up to date" in _run(applied, "dvc", "repro").stdout


def test_queued_experiments_all_run_with_their_own_values(pipeline: Path) -> None:
    _run(pipeline, "dvc", "exp", "run", "-q", "--queue", "-S", "train.epochs=3,4", "-S", "model=mlp")
    run_queue(pipeline, clean_environment(), jobs=2)
    shown = yaml.safe_load(_run(pipeline, "dvc", "exp", "show", "--json").stdout)
    experiments = [one["revs"][0]["data"] for one in shown[-1]["experiments"]]
    chosen = [experiment["params"]["params.yaml"]["data"] for experiment in experiments]
    assert sorted((one["train"]["epochs"], one["model"]["name"]) for one in chosen) == [
        (3, "mlp"),
        (4, "mlp"),
    ]


@pytest.mark.parametrize("command", [("dvc", "repro"), ("dvc", "exp", "run", "-S", "train.seed=4")])
def test_a_hand_edit_is_refused_with_what_to_do_and_not_lost(
    pipeline: Path, command: tuple[str, ...]
) -> None:
    edited = (pipeline / "params.yaml").read_text().replace("epochs: 3", "epochs: 9")
    (pipeline / "params.yaml").write_text(edited)
    refused = _run(pipeline, *command, expect=255)
    assert "train.epochs=9 (conf/ says 3)" in refused.stderr
    assert "git checkout HEAD params.yaml" in refused.stderr
    assert (pipeline / "params.yaml").read_text() == edited


def test_a_hand_edit_that_conf_follows_is_accepted(pipeline: Path) -> None:
    _set_epochs_in_conf(pipeline, 9)
    edited = (pipeline / "params.yaml").read_text().replace("epochs: 3", "epochs: 9")
    (pipeline / "params.yaml").write_text(edited)
    _run(pipeline, "dvc", "repro", "-q")
    assert (pipeline / "fitted").read_text().strip() == "9"


def test_a_wrong_value_in_conf_leaves_params_as_they_were(pipeline: Path) -> None:
    before = (pipeline / "params.yaml").read_text()
    _set_epochs_in_conf(pipeline, -2)
    refused = _run(pipeline, "dvc", "repro", expect=255)
    assert "train.epochs: expected greater than or equal to 1, got -2" in refused.stderr
    assert (pipeline / "params.yaml").read_text() == before


def _set_epochs_in_conf(folder: Path, epochs: int) -> None:
    _replace(folder / "conf/model/cnn.yaml", "epochs: 3", f"epochs: {epochs}")


def _replace(file: Path, old: str, new: str) -> None:
    assert old in file.read_text()
    file.write_text(file.read_text().replace(old, new))


def _commit(folder: Path) -> None:
    _run(folder, "git", "add", "-A")
    _run(folder, "git", "commit", "-qm", "a pipeline")


def _run(
    folder: Path, *command: str, expect: int = 0, merged: bool = False
) -> subprocess.CompletedProcess[str]:
    """Run a command; `merged` puts what it says on stderr among what it says on stdout."""
    done = subprocess.run(
        command,
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT if merged else subprocess.PIPE,
        text=True,
        check=False,
        env=clean_environment(),
    )
    assert done.returncode == expect, f"{done.stdout}{done.stderr}"
    return done
