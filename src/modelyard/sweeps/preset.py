"""The best trial as a preset: a file below conf/model that `dvc exp run -S model=NAME` takes."""

import hashlib
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from modelyard.errors import UsageError
from modelyard.files import replace_file
from modelyard.sweeps.study import Study

if TYPE_CHECKING:
    import optuna


class Preset:
    """A preset's file.

    Args:
        conf: the folder of the configuration.
        name: of the preset, and of the model in it.
        force: whether a file may be overwritten that no sweep of the same study has written.

    Raises:
        UsageError: the name is none for a file.
    """

    def __init__(self, conf: Path, name: str, *, force: bool = False) -> None:
        if not re.fullmatch(r"[A-Za-z0-9_][\w.-]*", name):
            raise UsageError(f"--preset: expected letters, digits and _ . - for a file's name, got {name!r}")
        self.name, self.file = name, conf / "model" / f"{name}.yaml"
        self._defaults, self._force = conf / "train/default.yaml", force

    def refuse_to_overwrite(self, study: Study) -> None:
        """Refuse where the file is a person's, or another study's.

        Raises:
            UsageError: it is.
        """
        if self._force or not self.file.exists():
            return
        if _digest(self.file.read_text()) not in study.presets:
            raise UsageError(
                f"{self.file} is there, and is not as a sweep of the study {study.name!r} wrote it: give "
                "--preset another name, or overwrite it with --force"
            )

    def write(
        self, study: Study, best: "optuna.trial.FrozenTrial", values: Mapping[str, Any], seed: int
    ) -> None:
        """Write it, unless it says the same already.

        Args:
            study: that has the trial.
            best: the trial.
            values: its groups model and train.
            seed: of the sweep.

        Raises:
            UsageError: see `refuse_to_overwrite`.
        """
        comment = (
            f"# {best.value:.2%} of the validation split: trial {best.number}, the best of "
            f"{study.count_finished()} of the study {study.name!r}, seed {seed}."
        )
        text = f"# @package _global_\n{comment}\n{self._compose(values)}"
        if self.file.exists() and self.file.read_text() == text:
            return
        self.refuse_to_overwrite(study)
        study.note_preset(_digest(text))
        with replace_file(self.file) as new:
            new.write_text(text)

    def refuse_shared_values(self, names: Iterable[str]) -> None:
        """Refuse to search for what conf/train says, and no preset.

        Raises:
            UsageError: one of the dotted names is there.
        """
        shared = self._read_shared()
        for name in names:
            group, _, key = name.partition(".")
            if group == "train" and key.partition(".")[0] in shared:
                raise UsageError(
                    f"sweep.space: expected values of a preset, {name} stands in {self._defaults}, which "
                    "is no part of one: choose it there"
                )

    def _compose(self, values: Mapping[str, Any]) -> str:
        shared = self._read_shared()
        told = {
            "model": {**values["model"], "name": self.name},
            "train": {key: value for key, value in values["train"].items() if key not in shared},
        }
        return yaml.dump(told, Dumper=_Dumper, sort_keys=False, default_flow_style=None, width=115)

    def _read_shared(self) -> set[str]:
        """Return the names below train that conf/train has for all presets."""
        return set(yaml.safe_load(self._defaults.read_text()))


class _Dumper(yaml.SafeDumper):
    """Writes lists deeper than what they belong to, as the other presets have them."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:  # noqa: ARG002
        super().increase_indent(flow, False)

    def ignore_aliases(self, data: object) -> bool:  # noqa: ARG002
        return True


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
