"""The best trial as a preset: a file in conf/model for `dvc exp run -S model=NAME`."""

import hashlib
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from modelyard.errors import UsageError
from modelyard.files import replace_file
from modelyard.sweeps.study import FINISHED, Study

if TYPE_CHECKING:
    import optuna


class Preset:
    """The file conf/model/NAME.yaml; `force` overwrites what a person or another study wrote.

    Raises UsageError if the name is not valid for a file.
    """

    def __init__(self, conf: Path, name: str, *, force: bool = False) -> None:
        if not re.fullmatch(r"[A-Za-z0-9_][\w.-]*", name):
            raise UsageError(f"--preset: expected letters, digits and _ . - for a file's name, got {name!r}")
        self.name, self.file = name, conf / "model" / f"{name}.yaml"
        self._defaults, self._force = conf / "train/default.yaml", force

    def check_overwrite(self, study: Study) -> None:
        """Raise UsageError if a sweep of this study did not write the file, or it was edited since."""
        if self._force or not self.file.exists():
            return
        if _digest(self.file.read_text()) not in study.presets:
            raise UsageError(
                f"{self.file} exists, but not as a sweep of the study {study.name!r} wrote it: give --preset "
                "another name, or overwrite it with --force"
            )

    def write(
        self, study: Study, best: "optuna.trial.FrozenTrial", values: Mapping[str, Any], seed: int
    ) -> None:
        """Write a trial's groups model and train, if they are new; raise UsageError as `check_overwrite`."""
        comment = (
            f"# {best.value:.2%} of the validation split: trial {best.number}, the best of "
            f"{study.count(*FINISHED)} of the study {study.name!r}, seed {seed}."
        )
        text = f"# @package _global_\n{comment}\n{self._compose(values)}"
        if self.file.exists() and self.file.read_text() == text:
            return
        self.check_overwrite(study)
        study.record_preset(_digest(text))
        with replace_file(self.file) as new:
            new.write_text(text)

    def check_space(self, names: Iterable[str]) -> None:
        """Raise UsageError if a searched parameter belongs to conf/train, which all presets share."""
        shared = self._read_shared()
        for name in names:
            group, _, key = name.partition(".")
            if group == "train" and key.partition(".")[0] in shared:
                raise UsageError(
                    f"sweep.space: expected parameters of a preset, {name} belongs to {self._defaults}, "
                    "which all presets share: set it there"
                )

    def _compose(self, values: Mapping[str, Any]) -> str:
        shared = self._read_shared()
        preset = {
            "model": {**values["model"], "name": self.name},
            "train": {key: value for key, value in values["train"].items() if key not in shared},
        }
        return yaml.dump(preset, Dumper=_Dumper, sort_keys=False, default_flow_style=None, width=115)

    def _read_shared(self) -> set[str]:
        return set(yaml.safe_load(self._defaults.read_text()))


class _Dumper(yaml.SafeDumper):
    """Indents lists below their keys, as in the other presets."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:  # noqa: ARG002
        super().increase_indent(flow, False)

    def ignore_aliases(self, data: object) -> bool:  # noqa: ARG002
        return True


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
