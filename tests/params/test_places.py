"""Each value of conf/ stands in one file."""

import shutil
from pathlib import Path

import pytest

from conftest import ROOT
from modelyard.errors import ModelyardError
from modelyard.params.places import refuse_second_places


@pytest.fixture
def conf(tmp_path: Path) -> Path:
    return Path(shutil.copytree(ROOT / "conf", tmp_path / "conf"))


def append(file: Path, text: str) -> None:
    file.write_text(f"{file.read_text()}{text}\n")


def test_the_shipped_values_stand_in_one_file_each(conf: Path) -> None:
    refuse_second_places(conf)


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        (
            "train/default.yaml",
            "epochs: 5",
            r"train\.epochs: in conf/train/default\.yaml and in model/cnn\.yaml",
        ),
        (
            "train/default.yaml",
            "optimizer: null",
            r"train\.optimizer\.name: in conf/train/default\.yaml and in ",
        ),
        (
            "model/mlp.yaml",
            "package: {trained: [int8]}",
            r"package\.trained: in conf/package/default\.yaml and in ",
        ),
        ("config.yaml", "data: {seed: 5}", r"data\.seed: in conf/data/_dataset\.yaml and in config\.yaml"),
    ],
)
def test_a_value_in_a_second_file_is_refused_with_both(
    conf: Path, file: str, text: str, message: str
) -> None:
    append(conf / file, text)
    with pytest.raises(ModelyardError, match=message):
        refuse_second_places(conf)


def test_a_dataset_may_change_what_all_datasets_begin_with(conf: Path) -> None:
    (conf / "data/mine.yaml").write_text("defaults: [_folder, _self_]\nseed: 7\n")
    refuse_second_places(conf)


def test_a_file_that_is_no_yaml_is_named(conf: Path) -> None:
    (conf / "data/mine.yaml").write_text("name: [mine")
    with pytest.raises(ModelyardError, match=r"mine\.yaml: expected YAML"):
        refuse_second_places(conf)
