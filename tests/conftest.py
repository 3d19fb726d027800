"""Fixtures that several test files share: the shipped configuration, and a repository for a store."""

import copy
import functools
import gc
import os
import shutil
import sys
from collections.abc import Iterator
from multiprocessing.util import Finalize
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

# First of all: NumPy reads what this sets as it is imported.
import surroundings  # noqa: F401
from memory_folder import use_memory
from modelyard.params import Params, validate_params

ROOT = Path(__file__).resolve().parent.parent
# Files that take more than seven seconds, the longest first. The second to the eighth mostly wait: they are
# placed where they do so beside the work of the first, and not beside each other.
SLOW = (
    "stages/test_pipelines.py",
    "service/recording/test_recording.py",
    "service/recording/test_recorder.py",
    "sources/test_transfers.py",
    "service/http/test_admission.py",
    "service/http/test_connections.py",
    "service/http/test_draining.py",
    "repository/test_benchmarks_recording.py",
    "stages/test_compose.py",
    "registry/test_team_server.py",
    "registry/test_versions.py",
    "stages/test_new_values.py",
    "service/models/test_models.py",
    "monitoring/test_loop.py",
    "service/page/test_page.py",
    "service/protocols/test_openapi.py",
    "training/test_fitting.py",
    "batch/test_spark.py",
    "batch/test_predict_command.py",
    "registry/champions/test_promotion.py",
    "packaging/test_packaging.py",
    "sweeps/test_sweeps.py",
    "networks/formats/test_keras_file.py",
    "tracking/test_runs.py",
    "stages/test_evaluate_stages.py",
    "ui/test_ui.py",
    "registry/test_verification.py",
    "inference/runtime/test_trial.py",
    "service/test_service.py",
    "training/test_other_pictures.py",
    "training/test_resuming.py",
    "inference/test_logged_model.py",
    "registry/comparison/test_compare_command.py",
    "registry/champions/test_history.py",
    "registry/test_sample_artifacts.py",
    "registry/test_destruction.py",
    "training/test_strategy.py",
    "repository/test_benchmarks_training.py",
    "service/protocols/test_bad_inputs.py",
    "networks/test_features.py",
    "plots/test_charts.py",
    "service/recording/test_recording_page.py",
    "stages/test_stage.py",
    "networks/formats/test_stand_in.py",
    "stages/test_registering_stages.py",
    "networks/importing/test_importing.py",
    "training/test_precision.py",
    "networks/formats/test_frozen_graph.py",
    "monitoring/test_monitor_command.py",
    "registry/comparison/test_comparison.py",
    "tracking/test_store.py",
    "networks/formats/test_litert_file.py",
    "monitoring/test_shifts.py",
    "service/page/test_page_files.py",
    "sweeps/test_sweep_space.py",
)
# A fourth of the time that it takes to import all tests.
gc.disable()
# As `import_for_training` sets it, which comes too late where another test has imported TensorFlow.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
MEMORY_FOLDER = pytest.StashKey[Path]()
SESSION = pytest.StashKey[pytest.Session]()
ENDED_WELL = (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED)
# What decides where a stage finds its store; MLflow sets the first two itself, for the processes it starts.
SETTINGS = (
    "MLFLOW_TRACKING_URI",
    "MLFLOW_REGISTRY_URI",
    "DVC_ROOT",
    "DVC_EXP_NAME",
    "DVC_EXP_BASELINE_REV",
    "DVC_STAGE",
)


def clean_environment() -> dict[str, str]:
    """Return the environment for a process that starts in a repository of its own: no settings, an author."""
    kept = {name: value for name, value in os.environ.items() if name not in SETTINGS}
    roles = ("GIT_AUTHOR_NAME", "GIT_AUTHOR_EMAIL", "GIT_COMMITTER_NAME", "GIT_COMMITTER_EMAIL")
    return kept | dict.fromkeys(roles, "tests@example.org")


def pytest_configure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput") and (folder := use_memory()):
        config.stash[MEMORY_FOLDER] = folder


def pytest_unconfigure(config: pytest.Config) -> None:
    """Leave no files in memory, but those of a failure until the next session."""
    folder, session = config.stash.get(MEMORY_FOLDER, None), config.stash.get(SESSION, None)
    if folder is not None and (session is None or session.exitstatus in ENDED_WELL):
        # After multiprocessing's own folder in it, whose removal has -100.
        Finalize(None, shutil.rmtree, (folder, True), exitpriority=-200)


def pytest_sessionstart(session: pytest.Session) -> None:
    session.config.stash[SESSION] = session


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let the files that take longest come first, so that the processes end at about the same time.

    Those are marked as slow: `make quick` leaves them out.
    """
    ranks = {ROOT / "tests" / name: rank for rank, name in enumerate(SLOW)}
    for item in items:
        if item.path in ranks:
            item.add_marker("slow")
    items.sort(key=lambda item: ranks.get(item.path, len(ranks)))


def pytest_collection_finish() -> None:
    """From here on Python looks for garbage, but not among the million objects that were imported."""
    gc.freeze()
    gc.enable()


@pytest.fixture(autouse=True)
def _environment_of_its_own() -> Iterator[None]:
    """No settings of the caller, and nothing that a test, or MLflow in it, sets is left to the next one."""
    with mock.patch.dict(os.environ):
        for name in SETTINGS:
            os.environ.pop(name, None)
        yield


def compose_values(*overrides: str) -> dict[str, Any]:
    """Return the shipped configuration, composed as the compose stage does it; free to change.

    Args:
        *overrides: as `dvc exp run -S` takes them.
    """
    return copy.deepcopy(_compose_once(overrides))


@functools.cache
def _compose_once(overrides: tuple[str, ...]) -> dict[str, Any]:
    """Hydra takes a quarter of a second, and hundreds of tests start from the same values."""
    with initialize_config_dir(str(ROOT / "conf"), version_base=None):
        config = compose("config", overrides=list(overrides))
    composed: Any = OmegaConf.to_container(config, resolve=True)
    return dict(composed)


@pytest.fixture
def values() -> dict[str, Any]:
    """The shipped configuration; free to change."""
    return compose_values()


@pytest.fixture
def params(values: dict[str, Any]) -> Params:
    return validate_params(values)


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty repository, the working directory of the test; its path has a space."""
    folder = tmp_path / "a repository"
    folder.mkdir()
    (folder / "dvc.yaml").write_text("stages: {}\n")
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture(scope="module", autouse=True)
def own_import_path() -> Iterator[None]:
    """Take back what a module's tests add to the import path.

    MLflow puts the code of a loaded version first, where a spawned process would look for this project.
    """
    before = list(sys.path)
    yield
    sys.path[:] = before


@pytest.fixture(scope="session")
def process_for_trials() -> Iterator[Any]:
    from shared_trials import SharedTrials

    shared = SharedTrials()
    yield shared
    shared.close()


@pytest.fixture(scope="module", autouse=True)
def _one_process_for_trials(request: pytest.FixtureRequest, process_for_trials: Any) -> Iterator[None]:
    """Every trial is a fork, as ever, but all are forks of one process; not where that process is tested."""
    from modelyard.inference.runtime.trial import Trials

    if request.path.name == "test_trial.py":
        yield
        return
    with (
        mock.patch.object(Trials, "__enter__", return_value=process_for_trials),
        mock.patch.object(Trials, "__exit__", return_value=None),
    ):
        yield


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for `Service` with one version of mnist; test files may add others."""
    from tflite_models import digit_bundle

    folder = tmp_path_factory.mktemp("served")
    digit_bundle(folder / "mnist" / "1")
    return folder
