"""conf/pretrained: one file for each network, and one line for each wrong value in it."""

import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from conftest import ROOT
from modelyard.errors import ModelyardError
from modelyard.params import validate_params
from modelyard.params.groups.pretrained import KerasFile

MINE = {
    "format": "keras",
    "name": "mine",
    "licence": "MIT",
    "homepage": None,
    "path": "networks/mine.keras",
    "network": {"file": "mine.keras", "sha256": None},
    "input": {
        "height": 96,
        "width": 128,
        "channels": 3,
        "fit": "crop",
        "order": "bgr",
        "mean": [103.9, 116.8, 123.7],
        "scale": 1.0,
    },
    "output": {"classes": 3, "named": 3, "activation": "logits"},
    "labels": {"format": "list", "names": ["ant", "bee", "cat"]},
    "proof": None,
}


def compose_with(folder: Path, network: dict[str, Any]) -> dict[str, Any]:
    """Compose the shipped configuration with one more file in conf/pretrained."""
    shutil.copytree(ROOT / "conf", folder / "conf")
    text = yaml.safe_dump({"defaults": ["_network", "_self_"], **network}, sort_keys=False)
    (folder / "conf" / "pretrained" / "mine.yaml").write_text(text)
    with initialize_config_dir(str(folder / "conf"), version_base=None):
        composed: Any = OmegaConf.to_container(compose("config", overrides=["pretrained=mine"]), resolve=True)
    return dict(composed)


def test_a_network_of_ones_own_is_one_file_with_the_defaults_of_all(tmp_path: Path) -> None:
    pretrained = validate_params(compose_with(tmp_path, MINE)).pretrained
    assert isinstance(pretrained, KerasFile)
    assert (pretrained.sources, pretrained.fallback, pretrained.features) == ((), None, None)
    assert pretrained.max_archive_bytes == 200_000_000
    assert pretrained.input.scale == (1.0,)
    assert pretrained.input.mean == (103.9, 116.8, 123.7)


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        (
            "format",
            "onnx",
            "pretrained.format: expected 'frozen_graph', 'saved_model', 'keras'",
        ),
        ("name", "team/mobilenet", "pretrained.name: expected"),
        ("input.fit", "squeeze", "pretrained.input: fit: expected one of mnist, digit, digit_2, digit_3"),
        ("input.mean", [1.0, 2.0], "pretrained.input: mean: expected 1 number or 3, got 2"),
        ("input.order", "grb", "pretrained.input.order: expected 'rgb' or 'bgr', got 'grb'"),
        ("input.tensor", "Mul:0", "pretrained.input.tensor: unknown key"),
        ("output.activation", "sigmoid", "pretrained.output: expected softmax or logits; a sigmoid names"),
        ("output.named", 4, "pretrained.output: expected named: at most the 3 classes"),
        (
            "labels.format",
            "xml",
            "pretrained.labels.format: expected 'imagenet_2015', 'lines'",
        ),
        ("labels.offset", -1, "pretrained.labels.offset: expected greater than or equal to 0, got -1"),
        ("network.file", "../mine.keras", "pretrained.network.file: expected"),
        ("network.sha256", "0", "pretrained.network.sha256: expected"),
        ("path", None, "pretrained: expected a path, or at least one address in sources"),
        ("decoded", None, "pretrained.decoded: unknown key"),
    ],
)
def test_a_wrong_value_is_one_line_that_names_the_key(
    tmp_path: Path, key: str, value: Any, expected: str
) -> None:
    values = compose_with(tmp_path, MINE)
    *groups, name = key.split(".")
    group = values["pretrained"]
    for one in groups:
        group = group[one]
    group[name] = value
    with pytest.raises(ModelyardError) as refused:
        validate_params(values)
    [_, line] = str(refused.value).split("\n")
    assert line.strip().startswith(expected)
    assert len(line) < 300


@pytest.mark.parametrize("key", ["proof", "format", "labels", "network"])
def test_a_key_that_is_compulsory_is_missed(tmp_path: Path, key: str) -> None:
    values = compose_with(tmp_path, {name: value for name, value in MINE.items() if name != key})
    with pytest.raises(ModelyardError, match=rf"pretrained\.{key}: missing"):
        validate_params(values)
