"""`modelyard sweep`: the parameters with the best validation accuracy, as a preset."""

import argparse

# Options that say for one call what conf/sweep says: the key, what stands for the value, what it is.
OPTIONS = {
    "trials": ("N", int, "finished trials in all, those of earlier calls too"),
    "timeout_s": ("SECONDS", float, "begin no trial after so long"),
    "seed": ("N", int, "of what the trials choose"),
    "storage": ("URL", str, "the database: sqlite:///FILE or postgresql://USER@HOST/DATABASE"),
    "study": ("NAME", str, "the study's name in the database"),
}


def add_commands(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `sweep`."""
    sweep = commands.add_parser(
        "sweep",
        help="search for the parameters with the best validation accuracy",
        description="Fit networks with parameters out of the space in conf/sweep, the others as params.yaml "
        "has them, and write the best as a preset into conf/model. Call it again to go on after a kill, with "
        "a larger --trials to go on after the end, and in several processes or machines at once with the "
        "same --storage. Every trial is a run in MLflow. The test split is not read.",
    )
    for key, (stands_for, kind, what) in OPTIONS.items():
        option = f"--{key.replace('_', '-')}"
        sweep.add_argument(option, dest=key, type=kind, metavar=stands_for, help=f"{what} (conf/sweep)")
    sweep.add_argument("--preset", metavar="NAME", help="of the file below conf/model (MODEL_swept)")
    sweep.add_argument("--force", action="store_true", help="overwrite a preset that another hand wrote")
    sweep.set_defaults(run=_sweep)


def _sweep(given: argparse.Namespace) -> None:
    from importlib.util import find_spec

    from modelyard.errors import ModelyardError, UsageError
    from modelyard.params import load_params, validate_params
    from modelyard.repository import find_root

    if find_spec("optuna") is None:
        raise ModelyardError("expected optuna, it is not installed: `make repro` installs requirements.txt")
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
