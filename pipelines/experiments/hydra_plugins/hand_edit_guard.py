"""`dvc exp run` composes params.yaml before any stage; this plugin checks the old one first.

DVC finds it through `hydra.plugins_path` in .dvc/config. The experiment's values are not known here, so an
edit is measured against the file in Git.
"""

import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from hydra.core.config_search_path import ConfigSearchPath
from hydra.plugins.search_path_plugin import SearchPathPlugin

from modelyard.stages.experiments import RECORD, name_choices
from modelyard.stages.hand_edits import kept_params, read_unedited

PARAMS = Path("params.yaml")


class HandEditGuard(SearchPathPlugin):
    """Checks params.yaml when Hydra calls its plugins, before each composition; it adds no search path."""

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:  # noqa: ARG002
        """Refuse a hand edit, say what an applied experiment loses, and keep a copy of the file."""
        before = read_unedited(PARAMS, Path("dvc.lock"), _committed_params())
        if record := before.get(RECORD):
            _tell("".join(f"\n  {choice}" for choice in name_choices(record)))
        if PARAMS.exists():
            shutil.copyfile(PARAMS, kept_params(PARAMS))


@cache
def _tell(choices: str) -> None:
    """Say once, however many experiments are queued, which values they do not include."""
    print(
        "An experiment is applied here, and `dvc exp run` starts from conf/, without its values. To keep "
        f"them, pass them with -S, or put them into conf/, for example as a preset in conf/model:{choices}",
        file=sys.stderr,
    )


def _committed_params() -> dict[str, Any]:
    shown = subprocess.run(["git", "show", "HEAD:./params.yaml"], capture_output=True, text=True, check=False)
    return yaml.safe_load(shown.stdout) or {} if shown.returncode == 0 else {}
