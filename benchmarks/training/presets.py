"""The presets: the networks of conf/model that see pixels, each with its way of training."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from modelyard.errors import UsageError
from modelyard.params import Params, validate_params

CONF = Path("conf")
# In the order of tables; others follow by name.
ORDER = ("mlp", "cnn", "cnn_fast", "cnn_tiny", "cnn_best", "ensemble")


def compose_preset(name: str, seed: int = 0, overrides: Sequence[str] = ()) -> Params:
    """Compose the configuration with one preset and Hydra's overrides; an unknown one is a `UsageError`."""
    if name not in _list_names():
        raise UsageError(f"expected a preset of {CONF}/model ({', '.join(_list_names())}), got {name}")
    with initialize_config_dir(str(CONF.resolve()), version_base=None):
        config = compose("config", [f"model={name}", f"train.seed={seed}", *overrides])
    values: Any = OmegaConf.to_container(config, resolve=True)
    return validate_params(values, f"{CONF}/, model={name}")


def choose_presets(wanted: Sequence[str] | None) -> dict[str, Params]:
    """Return the presets with these names in order; an unknown one is a `UsageError`.

    None stands for all, except an ensemble whose members are another preset's seeds: their answers are
    averaged without a second training.
    """
    composed = {name: compose_preset(name) for name in _list_names()}
    known = {name: params for name, params in composed.items() if params.model.input == "pixels"}
    if wanted is None:
        return {name: params for name, params in known.items() if not repeats_another(params, known.values())}
    if unknown := [name for name in wanted if name not in known]:
        raise UsageError(f"--presets: expected some of {', '.join(known)}, got {', '.join(unknown)}")
    return {name: params for name, params in known.items() if name in wanted}


def repeats_another(params: Params, others: Iterable[Params]) -> bool:
    """Say whether a preset is an ensemble of networks that another one fits alone, in the same way."""
    same = {"name": "", "members": 1}
    alone = params.model.model_copy(update=same)
    return params.model.members > 1 and any(
        other.model.members == 1
        and other.model.model_copy(update=same) == alone
        and other.train == params.train
        for other in others
    )


def _list_names() -> list[str]:
    names = sorted(path.stem for path in (CONF / "model").glob("*.yaml"))
    return sorted(names, key=lambda name: ORDER.index(name) if name in ORDER else len(ORDER))
