"""conf/data: the shipped datasets and one of a user's own are valid, and a wrong value is refused."""

import shutil
from pathlib import Path
from typing import Any

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf
from pydantic import TypeAdapter, ValidationError

from conftest import ROOT
from made_data import make_levels, write_files
from modelyard.images.folders.folder import obtain_folder
from modelyard.params import Data, FolderDataset, IdxDataset
from modelyard.params.published import Limit

MINE = """\
defaults: [_folder, _self_]
name: mine
licence: mine alone
homepage: null
path: {path}
input: {{fit: crop, height: 96, width: 128, channels: 3}}
validation: 0.15
card:
  about: Names the animal in a photo.
  data: Photos of my own.
"""


def compose_data(conf: Path, name: str) -> dict[str, Any]:
    """Compose the group `data` alone, as the whole configuration would have it."""
    with initialize_config_dir(str(conf), version_base=None):
        config = compose("config", overrides=[f"data={name}"])
    composed: Any = OmegaConf.to_container(OmegaConf.create({"data": config.data}), resolve=True)
    return dict(composed["data"])


def validate(values: dict[str, Any]) -> IdxDataset | FolderDataset:
    data: IdxDataset | FolderDataset = TypeAdapter(Data).validate_python(values)
    return data


@pytest.fixture(scope="module")
def mine(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The values of one more dataset, which ten lines in a copy of conf/ describe."""
    folder = tmp_path_factory.mktemp("a place")
    shutil.copytree(ROOT / "conf", folder / "conf")
    (folder / "conf/data/mine.yaml").write_text(MINE.format(path=folder / "mine"))
    return compose_data(folder / "conf", "mine")


@pytest.mark.parametrize(("name", "first"), [("mnist", "0"), ("fashion_mnist", "T-shirt/top")])
def test_the_shipped_datasets_are_valid(name: str, first: str) -> None:
    data = validate(compose_data(ROOT / "conf", name))
    assert isinstance(data, IdxDataset)
    assert (data.name, len(data.classes), data.classes[0]) == (name.replace("_", "-"), 10, first)


def test_ten_lines_describe_a_folder_of_ones_own(mine: dict[str, Any]) -> None:
    data = validate(mine)
    assert isinstance(data, FolderDataset)
    assert len(MINE.splitlines()) == 10
    assert (data.classes, data.test, data.validation, data.on_unreadable) == (None, 0.2, 0.15, "stop")
    assert data.gate.metrics["test/accuracy"] == Limit(min="majority")
    assert data.card.about == "Names the animal in a photo."
    levels = make_levels(4)
    write_files(Path(data.path), {f"{'ab'[n % 2]}/{n}.png": picture for n, picture in enumerate(levels)})
    assert obtain_folder(data, Path(data.path)).training.classes == ("a", "b")


@pytest.mark.parametrize(
    ("key", "value", "reason"),
    [
        ("classes", ["a", "b", "a"], "every class once, got a, b, a"),
        ("classes", ["a"], "at least two classes, got a"),
        ("classes", ["a", "b\nc"], "should match pattern"),
        ("test", 0.0, "greater than 0"),
        ("test", 1.0, "less than 1"),
        ("test", 0, "greater than or equal to 1"),
        ("on_unreadable", "guess", "'stop' or 'skip'"),
        (
            "input",
            {"fit": "squeeze", "height": 8, "width": 8, "channels": 3},
            "expected one of mnist",
        ),
        ("input", {"fit": "mnist", "height": 8, "width": 8, "channels": 3}, "fit mnist makes 28 x 28 x 1"),
        ("format", "tar", "'idx', 'folder'"),
        ("folder", "mine", "Extra inputs are not permitted"),
    ],
)
def test_a_wrong_value_is_refused(mine: dict[str, Any], key: str, value: Any, reason: str) -> None:
    with pytest.raises(ValidationError) as refused:
        validate(mine | {key: value})
    assert reason in str(refused.value)
