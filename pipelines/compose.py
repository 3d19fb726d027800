"""compose: conf/ becomes params.yaml, checked; links lead to the pictures and network files that it names.

`dvc exp run` composes with its overrides before any stage, and sets DVC_EXP_NAME: then this stage checks the
file, and records in it what differs from conf/. `dvc repro` composes nothing (treeverse/dvc#10750), so this
stage does; it keeps an applied experiment until conf/ changes one of its values.
"""

import os
import subprocess
from argparse import Namespace
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_dir
from hydra.errors import HydraException
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from modelyard.errors import ModelyardError
from modelyard.files import replace_file
from modelyard.images.folders.source_link import lay_files, lay_source
from modelyard.networks.importing.layout import find_unpinned
from modelyard.params import Params, load_params, validate_params
from modelyard.params.places import refuse_second_places
from modelyard.stages.experiments import RECORD, compare_values, follow_conf
from modelyard.stages.hand_edits import kept_params, read_unedited
from modelyard.stages.stage import run_script


def compose_params(paths: Namespace) -> None:
    """Compose conf/config.yaml into `out`; in an experiment, record what DVC composed.

    `source` becomes a link to the folder of pictures, `additions` to that of added ones, `network` a folder
    of links to the imported network's files without a sha256; see `source_link`.
    """
    conf, out = paths.conf, paths.out
    with putting_back(out):
        refuse_second_places(conf)
        values = _compose_conf(conf)
        if _in_experiment():
            _lay_links(load_params(out), paths)
            here: Any = OmegaConf.to_container(OmegaConf.load(out))
            values = {**here, RECORD: compare_values(values, here)}
        else:
            values, lines = follow_conf(values, read_unedited(out, out.with_name("dvc.lock"), values))
            origin = f"{conf}/ and the applied experiment" if values[RECORD] else f"{conf}/"
            _lay_links(validate_params(values, origin), paths)
            print(*lines, sep="\n", end="\n" if lines else "")
        with replace_file(out) as new:
            new.write_text(OmegaConf.to_yaml(OmegaConf.create(values)))


def _lay_links(params: Params, paths: Namespace) -> None:
    lay_source(params.data.path, paths.source)
    lay_source(params.data.additions, paths.additions, "data.additions")
    lay_files(find_unpinned(params.pretrained), paths.network)


def _compose_conf(conf: Path) -> dict[str, Any]:
    """Return the values of conf/ without any override."""
    try:
        with initialize_config_dir(str(conf.resolve()), version_base=None):
            config = compose("config")
        OmegaConf.resolve(config)
    except (HydraException, OmegaConfBaseException, YAMLError) as error:
        reason = " ".join(str(error).split())
        raise ModelyardError(f"{conf}/ cannot be composed: {reason}") from None
    values: Any = OmegaConf.to_container(config)
    return dict(values)


@contextmanager
def putting_back(out: Path) -> Iterator[None]:
    """If the body refuses an experiment, restore `out` as it was before DVC composed it."""
    kept = kept_params(out)
    try:
        yield
    except ModelyardError:
        if _in_experiment() and kept.exists():
            kept.replace(out)
            # DVC restores edited files so fast that Git takes those of the same size for unchanged;
            # with a new index, it reads them again.
            subprocess.run(["git", "read-tree", "HEAD"], check=False)
        raise
    kept.unlink(missing_ok=True)


def _in_experiment() -> bool:
    return bool(os.environ.get("DVC_EXP_NAME"))


if __name__ == "__main__":
    run_script("compose", compose_params, "conf", "out", "source", "additions", "network")
