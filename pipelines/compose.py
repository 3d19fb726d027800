"""compose: conf/ becomes params.yaml, checked, and data/source leads to the pictures that it names.

`dvc exp run` has composed with its overrides before any stage runs, and sets DVC_EXP_NAME: then the file is
checked, and what it says other than conf/ is put on record in it. `dvc repro` composes nothing
(treeverse/dvc#10750), so this stage does it; an experiment that was applied is kept as long as conf/ does not
change one of its values.
"""

import argparse
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from modelyard.errors import ModelyardError
from modelyard.experiments import RECORD, compare_values, follow_conf
from modelyard.files import replace_file
from modelyard.hand_edits import kept_params, read_unedited
from modelyard.images.source_link import lay_source
from modelyard.params import load_params, validate_params
from modelyard.params.places import refuse_second_places


def compose_params(conf: Path, out: Path, source: Path) -> None:
    """Compose `conf`/config.yaml into `out`; in an experiment, record what DVC composed.

    `source` becomes a link to the folder of pictures, see `source_link.lay_source`.
    """
    refuse_second_places(conf)
    with initialize_config_dir(str(conf.resolve()), version_base=None):
        config = compose("config")
    OmegaConf.resolve(config)
    values: Any = OmegaConf.to_container(config)
    if os.environ.get("DVC_EXP_NAME"):
        values = _read_experiment(out, values, source)
    else:
        values, lines = follow_conf(values, read_unedited(out, out.with_name("dvc.lock"), values))
        validate_params(values, f"{conf}/ and the applied experiment" if values[RECORD] else f"{conf}/")
        lay_source(values["data"]["path"], source)
        print(*lines, sep="\n", end="\n" if lines else "")
    with replace_file(out) as new:
        new.write_text(OmegaConf.to_yaml(OmegaConf.create(values)))


def _read_experiment(out: Path, conf: dict[str, Any], source: Path) -> dict[str, Any]:
    """Read what `dvc exp run` composed; where it is refused, `out` becomes again what it was before."""
    kept = kept_params(out)
    try:
        lay_source(load_params(out).data.path, source)
    except ModelyardError:
        if kept.exists():
            kept.replace(out)
            # DVC has put edited files back, so fast that Git takes those of the same size for unchanged:
            # without what it remembers of files, it reads them again.
            subprocess.run(["git", "read-tree", "HEAD"], check=False)
        raise
    kept.unlink(missing_ok=True)
    here: Any = OmegaConf.to_container(OmegaConf.load(out))
    return {**here, RECORD: compare_values(conf, here)}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--conf", type=Path, required=True, metavar="FOLDER")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE")
    parser.add_argument("--source", type=Path, required=True, metavar="LINK")
    arguments = parser.parse_args()
    try:
        compose_params(arguments.conf, arguments.out, arguments.source)
    except ModelyardError as error:
        sys.exit(f"compose: {error}")
