"""Parameters: what is wrong is refused at once, and named."""

import hashlib
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from conftest import ROOT, compose_values
from modelyard.errors import ModelyardError
from modelyard.params import Params, load_params, validate_params


def test_the_shipped_configuration_is_valid(params: Params) -> None:
    assert params.model.name == "cnn"
    assert params.data.sources[-1].kind == "npm"


@pytest.mark.parametrize("folder", ["/package/data", "../data", "package/../../data", "package//data", "."])
def test_a_folder_of_a_package_lies_within_it(values: dict[str, Any], folder: str) -> None:
    values["data"]["sources"][-1]["folder"] = folder
    with pytest.raises(ModelyardError, match=r"data\.sources\S*folder: expected"):
        validate_params(values)


@pytest.mark.parametrize("model", sorted(path.stem for path in (ROOT / "conf/model").glob("*.yaml")))
def test_every_model_preset_is_valid(model: str) -> None:
    assert validate_params(compose_values(f"model={model}")).model.name == model


def test_the_committed_params_are_what_the_configuration_gives(values: dict[str, Any]) -> None:
    assert yaml.safe_load((ROOT / "params.yaml").read_text()) == {**values, "experiment": {}}


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("train.epochs", "2", "train.epochs: expected a valid integer, got '2' (str)"),
        ("train.epochs", 0, "train.epochs: expected greater than or equal to 1, got 0"),
        ("train.epochs", True, "train.epochs: expected a valid integer, got True (bool)"),
        (
            "train.optimizer.learning_rate",
            float("nan"),
            "train.optimizer.learning_rate: expected a finite number",
        ),
        ("train.optimizer.beta_1", 1, "train.optimizer.beta_1: expected less than 1, got 1"),
        ("train.epoch", 2, "train.epoch: unknown key, got 2"),
        ("data.sha256.train-images-idx3-ubyte", "abc", "data.sha256.train-images-idx3-ubyte: expected"),
        ("pretrained.fallback.name", "inception-v3", "expected a stand-in with a name of its own"),
        ("train.resume_from", "models:/mnist", "train.resume_from"),
        ("serve.trained", "mnist", "serve.trained: expected"),
        (
            "train.schedule",
            {"name": "constant", "warmup": 0.5},
            "expected warmup 0.0 with the constant schedule",
        ),
        (
            "train.schedule",
            {"name": "cosine", "warmup": 1.0},
            "expected warmup below 1, a share of all steps",
        ),
        ("train.schedule", {"name": "one_cycle", "warmup": 0.0}, "expected warmup above 0"),
        (
            "train.schedule.name",
            "linear",
            "train.schedule.name: expected 'constant', 'cosine' or 'one_cycle'",
        ),
        ("train.optimizer.name", "adagrad", "train.optimizer.name: expected 'adam', 'adamw'"),
        ("train.augmentation.scale", 1.0, "train.augmentation.scale: expected less than 1"),
        ("train.early_stopping.patience", 0, "train.early_stopping.patience: expected greater than"),
        ("train.strategy", "horovod", "train.strategy: expected 'none', 'mirrored' or 'multi_worker'"),
        ("model.input", "features", "expected no convolutions on features"),
        (
            "model.convolutions",
            [{"filters": 1, "kernel": 28, "stride": 1, "padding": "valid", "pool": 2}],
            "expected pictures large enough, convolution 1 leaves nothing of 28x28",
        ),
        (
            "model.crop",
            12,
            "expected pictures large enough, convolution 1 leaves nothing of 4x4, of pictures of 28x28",
        ),
        ("model.crop", 14, "model.crop: expected something left of 28x28, got 14"),
        ("evaluate.corruptions.kinds", ["fog", "snow"], "kinds.1: expected one of noise, impulse_noise"),
        ("train.label_smoothing", 1.0, "train.label_smoothing: expected less than 1"),
    ],
)
def test_a_wrong_value_is_named_with_what_was_expected_and_what_came(
    values: dict[str, Any], key: str, value: Any, expected: str
) -> None:
    _set(values, key, value)
    with pytest.raises(ModelyardError) as refused:
        validate_params(values)
    assert expected in str(refused.value)


@pytest.mark.parametrize(
    ("convolutions", "expected"),
    [
        ([], "expected first_filters learned if there are no convolutions"),
        (
            [{"filters": 20, "kernel": 3, "stride": 1, "padding": "valid", "pool": 1}],
            "expected an even number of filters, at most 18, in a first convolution of 3x3",
        ),
    ],
)
def test_filters_that_cannot_be_computed_are_refused(
    values: dict[str, Any], convolutions: list[Any], expected: str
) -> None:
    values["model"] |= {"first_filters": "whitening", "convolutions": convolutions}
    with pytest.raises(ModelyardError) as refused:
        validate_params(values)
    assert expected in str(refused.value)


def test_features_which_are_computed_once_cannot_be_augmented(values: dict[str, Any]) -> None:
    values["model"] |= {"input": "features", "convolutions": [], "head": "flatten"}
    values["train"]["augmentation"] = dict.fromkeys(values["train"]["augmentation"], 0.0)
    validate_params(values)
    values["train"]["augmentation"]["shift_pixels"] = 2.0
    with pytest.raises(ModelyardError, match=r"\n  train\.augmentation: expected 0\.0 throughout"):
        validate_params(values)


def test_no_more_pictures_than_there_are_can_be_filtered(values: dict[str, Any]) -> None:
    values["train"]["augmentation"] |= {"thicken": 0.4, "thin": 0.3, "blur": 0.2, "coarsen": 0.1}
    validate_params(values)
    values["train"]["augmentation"]["coarsen"] = 0.2
    with pytest.raises(ModelyardError, match=r"blur and coarsen: expected at most 1 together, got 1\.1"):
        validate_params(values)


def test_pictures_need_not_fit_layers_that_see_features(values: dict[str, Any]) -> None:
    values["model"] |= {"input": "features", "convolutions": []}
    values["train"]["augmentation"] = dict.fromkeys(values["train"]["augmentation"], 0.0)
    values["data"]["input"] = {"fit": "smooth", "height": 1, "width": 1, "channels": 1}
    assert validate_params(values).data.input.height == 1


@pytest.mark.parametrize(("group", "role"), [("data", "trained"), ("pretrained", "imported")])
def test_a_served_model_must_be_one_that_is_made(values: dict[str, Any], group: str, role: str) -> None:
    values[group]["name"] = "mine"
    with pytest.raises(ModelyardError, match=rf"serve\.{role}: expected a version of mine"):
        validate_params(values)


def test_two_models_cannot_have_one_name(values: dict[str, Any]) -> None:
    values["data"]["name"] = values["pretrained"]["fallback"]["name"]
    values["serve"]["trained"] = f"models:/{values['data']['name']}@champion"
    with pytest.raises(ModelyardError, match=r"data\.name: expected a name other than inception-v3, incep"):
        validate_params(values)


def test_every_fault_has_a_line_of_its_own(values: dict[str, Any]) -> None:
    _set(values, "train.epochs", 0)
    _set(values, "serve.top_k", "three")
    with pytest.raises(ModelyardError) as refused:
        validate_params(values)
    assert len(str(refused.value).splitlines()) == 3


def test_parameters_cannot_be_changed(params: Params) -> None:
    with pytest.raises(ValidationError, match="frozen"):
        params.train.epochs = 3  # type: ignore[misc]


def test_the_committed_params_are_those_that_dvc_recorded() -> None:
    """Otherwise the first edit of conf/ in a fresh clone would be taken for one of params.yaml by hand."""
    lock = yaml.safe_load((ROOT / "dvc.lock").read_text())
    [recorded] = [out["md5"] for out in lock["stages"]["compose"]["outs"] if out["path"] == "params.yaml"]
    assert recorded == hashlib.md5((ROOT / "params.yaml").read_bytes(), usedforsecurity=False).hexdigest()


def test_a_missing_file_says_how_to_make_it(tmp_path: Path) -> None:
    with pytest.raises(ModelyardError, match="dvc repro compose"):
        load_params(tmp_path / "params.yaml")


def test_a_stage_with_a_wrong_parameter_stops_before_tensorflow_is_imported(
    values: dict[str, Any], tmp_path: Path
) -> None:
    _set(values, "train.epochs", -1)
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(values))
    names = ("train", "validation", "features", "source", "dataset", "network", "record")
    names += ("history", "checkpoints")
    paths = [word for name in names for word in (f"--{name}", str(tmp_path / name))]
    script = [sys.executable, "-X", "importtime", str(ROOT / "pipelines/train.py")]
    stage = subprocess.run([*script, *paths], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert stage.returncode == 1
    assert stage.stderr.rstrip().endswith("train.epochs: expected greater than or equal to 1, got -1 (int)")
    imported = re.findall(r"\| +(\w+)", stage.stderr)
    assert "modelyard" in imported
    assert not {"tensorflow", "mlflow"} & set(imported)


def _set(values: dict[str, Any], key: str, value: Any) -> None:
    *groups, name = key.split(".")
    for group in groups:
        values = values[group]
    values[name] = value
