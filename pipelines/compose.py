"""compose: conf/ becomes params.yaml, checked.

`dvc exp run` has composed with its overrides before any stage runs, and sets DVC_EXP_NAME: then the file is
only checked. `dvc repro` composes nothing (treeverse/dvc#10750), so this stage does it.
"""

import argparse
import os
import sys
from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from modelyard.errors import ModelyardError
from modelyard.files import replace_file
from modelyard.hand_edits import refuse_hand_edit
from modelyard.params import load_params, validate_params


def compose_params(conf: Path, out: Path) -> None:
    """Compose `conf`/config.yaml into `out`, unless an experiment already has."""
    if os.environ.get("DVC_EXP_NAME"):
        load_params(out)
        return
    with initialize_config_dir(str(conf.resolve()), version_base=None):
        config = compose("config")
    OmegaConf.resolve(config)
    values: Any = OmegaConf.to_container(config)
    refuse_hand_edit(out, out.with_name("dvc.lock"), values)
    validate_params(values, f"{conf}/")
    with replace_file(out) as new:
        new.write_text(OmegaConf.to_yaml(config))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--conf", type=Path, required=True, metavar="FOLDER")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE")
    arguments = parser.parse_args()
    try:
        compose_params(arguments.conf, arguments.out)
    except ModelyardError as error:
        sys.exit(f"compose: {error}")
