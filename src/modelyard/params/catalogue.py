"""Every registered name in conf/, with its card and its gate."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from modelyard.errors import ModelyardError, first_line
from modelyard.params.load import Params
from modelyard.params.published import Card, Gate

# Each file of these groups describes a registered name.
GROUPS = ("data", "pretrained")


@dataclass(frozen=True)
class Entry:
    """The card and the gate of a registered name in conf/."""

    card: Card
    gate: Gate


def list_entries(params: Params) -> dict[str, Entry]:
    """Return the names that a pipeline may register; a stand-in has the gate of its original."""
    entries = {one.name: Entry(one.card, one.gate) for one in (params.data, params.pretrained)}
    if stand_in := params.pretrained.fallback:
        entries[stand_in.name] = Entry(stand_in.card, params.pretrained.gate)
    return entries


def find_gate(name: str, params: Params, conf: Path) -> Gate:
    """Return the gate of a name, from `params` or the other files of `conf`; else raise a ModelyardError."""
    if entry := list_entries(params).get(name):
        return entry.gate
    names = []
    for file, values in _compose_choices(conf):
        stand_in = values.get("fallback") or {}
        names += [str(one["name"]) for one in (values, stand_in) if one.get("name")]
        if name in names:
            return _read_gate(file, values.get("gate"))
    raise ModelyardError(
        f"{name}: expected a file with `name: {name}` and a gate in conf/data or conf/pretrained, found "
        f"{', '.join(dict.fromkeys(names)) or 'none'}: write conf/data/{name}.yaml"
    )


def _compose_choices(conf: Path) -> Iterator[tuple[Path, Mapping[str, Any]]]:
    """Yield the files of both groups, composed as if they were chosen, without parts (named _*)."""
    from hydra import compose, initialize_config_dir
    from hydra.errors import HydraException
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException
    from yaml import YAMLError

    with initialize_config_dir(str(conf.resolve()), version_base=None):
        for group in GROUPS:
            for file in sorted((conf / group).glob("[!_]*.yaml")):
                try:
                    config = compose("config", overrides=[f"{group}={file.stem}"])
                    values: Any = OmegaConf.to_container(config[group], resolve=True)
                except (HydraException, OmegaConfBaseException, YAMLError) as error:
                    reason = first_line(error)
                    raise ModelyardError(f"{file}: expected a file that can be composed: {reason}") from None
                yield file, values


def _read_gate(file: Path, gate: Any) -> Gate:
    try:
        return Gate.model_validate(gate)
    except ValidationError as error:
        fault = error.errors(include_url=False)[0]
        key = ".".join(map(str, ("gate", *fault["loc"])))
        raise ModelyardError(f"{file}: {key}: {fault['msg']}, got {fault['input']!r}") from None
