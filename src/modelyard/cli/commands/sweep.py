"""Search for the parameters with the best validation accuracy.

Fit networks with parameters from the space in conf/sweep and all others from params.yaml, and write the best
trial as a preset to conf/model. Call it again to continue after a kill, or with a larger --trials to extend a
finished sweep. Several processes or machines can share one --storage. Every trial is a run in MLflow. The
test split is not read.
"""

import argparse

from modelyard.errors import ModelyardError, UsageError

# Options that override conf/sweep: metavar, type and help for each key.
OPTIONS = {
    "trials": ("N", int, "finished trials in total, including those of earlier calls"),
    "timeout_s": ("SECONDS", float, "start no trial after this time"),
    "seed": ("N", int, "seed of the sampler"),
    "storage": ("URL", str, "the database: sqlite:///FILE or postgresql://USER@HOST/DATABASE"),
    "study": ("NAME", str, "the study's name in the database"),
}


def add_arguments(command: argparse.ArgumentParser) -> None:
    for key, (metavar, kind, meaning) in OPTIONS.items():
        option = f"--{key.replace('_', '-')}"
        command.add_argument(option, dest=key, type=kind, metavar=metavar, help=f"{meaning} (conf/sweep)")
    command.add_argument("--preset", metavar="NAME", help="name of the file in conf/model (MODEL_swept)")
    command.add_argument("--force", action="store_true", help="overwrite a preset that was edited by hand")


def run(given: argparse.Namespace) -> None:
    """Run the sweep."""
    from importlib.util import find_spec

    from modelyard.params import load_params, validate_params
    from modelyard.repository import find_root

    if find_spec("optuna") is None:
        raise ModelyardError("modelyard sweep needs optuna: `make repro` installs requirements.txt")
    from modelyard.sweeps.preset import Preset
    from modelyard.sweeps.sweep import sweep

    root = find_root()
    values = load_params(root / "params.yaml").model_dump(mode="json")
    values["sweep"] |= {key: value for key in OPTIONS if (value := getattr(given, key)) is not None}
    try:
        params = validate_params(values, "modelyard sweep")
    except ModelyardError as error:
        raise UsageError(str(error)) from None
    preset = Preset(root / "conf", given.preset or f"{params.model.name}_swept", force=given.force)
    sweep(params, root, preset, lambda line: print(line, flush=True))
