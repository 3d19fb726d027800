"""`dvc exp run` composes params.yaml itself, before any stage; this plugin looks at the old one first.

DVC finds it through `hydra.plugins_path` in .dvc/config. The values of the experiment are not known here, so
an edit is measured against the file that Git has.
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

from modelyard.experiments import RECORD, name_choices
from modelyard.hand_edits import kept_params, read_unedited

PARAMS = Path("params.yaml")


class HandEditGuard(SearchPathPlugin):
    """Called once a composition; the search path stays as it is."""

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:  # noqa: ARG002
        """Refuse a hand edit, say what an applied experiment loses, and keep the file for a refusal."""
        before = read_unedited(PARAMS, Path("dvc.lock"), _committed_params())
        if record := before.get(RECORD):
            _tell("; ".join(name_choices(record)))
        if PARAMS.exists():
            shutil.copyfile(PARAMS, kept_params(PARAMS))


@cache
def _tell(choices: str) -> None:
    """Say once, however many experiments are queued, what is no part of them."""
    print(
        f"An experiment is applied here: {choices}. `dvc exp run` starts from conf/, without these values. "
        "To keep them, pass them with -S, or put them into conf/, for example as a preset in conf/model.",
        file=sys.stderr,
    )


def _committed_params() -> dict[str, Any]:
    shown = subprocess.run(["git", "show", "HEAD:./params.yaml"], capture_output=True, text=True, check=False)
    return yaml.safe_load(shown.stdout) or {} if shown.returncode == 0 else {}
