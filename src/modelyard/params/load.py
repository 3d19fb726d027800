"""params.yaml as typed parameters, or errors that name every fault."""

from pathlib import Path
from typing import Any, Literal, Self

import yaml
from pydantic import Field, ValidationError, model_validator

from modelyard.errors import ModelyardError
from modelyard.params.group import Group
from modelyard.params.groups.data import Data
from modelyard.params.groups.evaluate import Evaluate
from modelyard.params.groups.features import Features
from modelyard.params.groups.model import Model
from modelyard.params.groups.monitor import Monitor
from modelyard.params.groups.package import Package
from modelyard.params.groups.pretrained import AnyPretrained
from modelyard.params.groups.registry import Registry
from modelyard.params.groups.serve import Serve
from modelyard.params.groups.sweep import Sweep
from modelyard.params.groups.train import Train


class Params(Group):
    """All of params.yaml."""

    data: Data
    model: Model
    train: Train
    features: Features
    package: Package
    pretrained: AnyPretrained
    evaluate: Evaluate
    registry: Registry
    serve: Serve
    monitor: Monitor
    sweep: Sweep
    # By dotted key, the value in conf/ and here, unless it is missing; empty without an experiment.
    experiment: dict[str, dict[Literal["conf", "here"], Any]] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _groups_fit_together(self) -> Self:
        if self.model.input == "features" and self.train.augmentation.changes_pictures:
            raise ValueError(
                "train.augmentation: expected 0.0 throughout for model.input features, which are computed "
                f"once for every picture, got {self.train.augmentation}"
            )
        if misfit := self.model.find_misfit(self.data.input):
            raise ValueError(misfit)
        _refuse_other_names("data", self.data.name, self.serve.trained, "trained")
        _refuse_other_names("pretrained", self.pretrained.name, self.serve.imported, "imported")
        stand_in = self.pretrained.fallback
        names = [self.pretrained.name, *([stand_in.name] if stand_in else [])]
        if self.data.name in names:
            raise ValueError(f"data.name: expected a name other than {', '.join(names)} of pretrained")
        return self


def _refuse_other_names(group: str, name: str, uri: str, role: str) -> None:
    served = uri.removeprefix("models:/").partition("@")[0].partition("/")[0]
    if served != name:
        raise ValueError(f"serve.{role}: expected a version of {name} ({group}.name), got {uri}")


def validate_params(values: Any, origin: str = "params.yaml") -> Params:
    """Make parameters of plain values, as YAML gives them.

    Raises ModelyardError if a key is unknown or missing, a type is wrong, or a value is out of range. Every
    fault has its own line with the key, what was expected and what came.
    """
    try:
        return Params.model_validate(values)
    except ValidationError as error:
        faults = [_describe(fault, values) for fault in error.errors(include_url=False)]
        raise ModelyardError(f"{origin}: {len(faults)} wrong:\n  " + "\n  ".join(faults)) from None


def load_params(path: Path | str = "params.yaml") -> Params:
    """Read params.yaml; raises ModelyardError if it is missing or invalid (see `validate_params`)."""
    try:
        values = yaml.safe_load(Path(path).read_text())
    except FileNotFoundError:
        raise ModelyardError(f"{path} is missing: `dvc repro compose` makes it from conf/") from None
    except yaml.YAMLError as error:
        raise ModelyardError(
            f"{path} is not YAML ({error}): `git checkout HEAD {path}`, then edit conf/"
        ) from None
    return validate_params(values, str(path))


def _describe(fault: Any, values: Any) -> str:
    key = _name_key(fault, values)
    if not fault["loc"] and fault["type"] == "value_error":
        # Groups that do not fit together: the message names the key.
        return str(fault["msg"]).removeprefix("Value error, ")
    if fault["type"] in ("union_tag_invalid", "union_tag_not_found"):
        # The kind of group, such as pretrained.format.
        context = fault["ctx"]
        key = f"{key}.{context['discriminator']}".replace("'", "")
        expected, got = context.get("expected_tags"), context.get("tag")
        return f"{key}: missing" if got is None else f"{key}: expected {expected}, got {got!r}"
    if fault["type"] == "extra_forbidden":
        return f"{key}: unknown key, got {fault['input']!r}"
    if fault["type"] == "missing":
        return f"{key}: missing"
    expected = fault["msg"].removeprefix("Input should be ").removeprefix("Value error, ")
    if fault["type"] == "value_error" and isinstance(fault["input"], dict):
        # Values of a group that do not fit together: the message names them.
        return f"{key}: {expected}" if "expected" in expected else f"{key}: expected {expected}"
    return f"{key}: expected {expected}, got {fault['input']!r} ({type(fault['input']).__name__})"


def _name_key(fault: Any, values: Any) -> str:
    """Return the key as it is in the file; pydantic adds the format if a group has several."""
    names: list[str] = []
    for place, part in enumerate(fault["loc"], 1):
        missing = fault["type"] == "missing" and place == len(fault["loc"])
        if isinstance(values, dict) and part not in values and not missing:
            continue
        names.append(str(part))
        try:
            values = values[part]
        except (KeyError, IndexError, TypeError):
            values = None
    return ".".join(names) or "params"
