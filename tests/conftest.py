"""Fixtures that several test files share: the shipped configuration, and a repository for a store."""

import copy
import functools
import os
from pathlib import Path
from typing import Any

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from modelyard.params import Params, validate_params

ROOT = Path(__file__).resolve().parent.parent
# What decides where a stage finds its store; MLflow sets the first itself, for the processes it starts.
SETTINGS = ("MLFLOW_TRACKING_URI", "DVC_ROOT", "DVC_EXP_NAME", "DVC_EXP_BASELINE_REV", "DVC_STAGE")


def clean_environment() -> dict[str, str]:
    """Return the environment for a process that starts in a repository of its own: no settings, an author."""
    kept = {name: value for name, value in os.environ.items() if name not in SETTINGS}
    roles = ("GIT_AUTHOR_NAME", "GIT_AUTHOR_EMAIL", "GIT_COMMITTER_NAME", "GIT_COMMITTER_EMAIL")
    return kept | dict.fromkeys(roles, "tests@example.org")


@pytest.fixture(autouse=True)
def _no_settings_of_the_caller(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in SETTINGS:
        monkeypatch.delenv(name, raising=False)


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
