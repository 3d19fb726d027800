"""`dvc exp run` composes params.yaml itself, before any stage; this plugin has it refuse a hand edit too.

DVC finds it through `hydra.plugins_path` in .dvc/config. The values of the experiment are not known here, so
an edit is measured against the file that Git has.
"""

import subprocess
from pathlib import Path
from typing import Any

import yaml
from hydra.core.config_search_path import ConfigSearchPath
from hydra.plugins.search_path_plugin import SearchPathPlugin

from modelyard.hand_edits import refuse_hand_edit


class HandEditGuard(SearchPathPlugin):
    """Called once a composition; the search path stays as it is."""

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:  # noqa: ARG002
        """Refuse where params.yaml holds what neither Git nor the last run put there."""
        refuse_hand_edit(Path("params.yaml"), Path("dvc.lock"), _committed_params())


def _committed_params() -> dict[str, Any]:
    shown = subprocess.run(["git", "show", "HEAD:./params.yaml"], capture_output=True, text=True, check=False)
    return yaml.safe_load(shown.stdout) or {} if shown.returncode == 0 else {}
