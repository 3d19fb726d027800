"""A dataset in three splits, and its record."""

from pathlib import Path

import numpy as np
import pytest

from made_data import describe_folder, describe_idx, make_levels
from modelyard.errors import ModelyardError
from modelyard.images.dataset import Obtained, read_dataset, split_dataset, write_dataset
from modelyard.images.pictures import PixelPictures
from modelyard.inference.bundle import Preprocessing

TEN = tuple(str(digit) for digit in range(10))


def make_digits(count: int, seed: int = 0) -> PixelPictures:
    """Make noise of ten classes; the label also stands in the first pixel, so that a mix-up shows."""
    levels = make_levels(count, seed)
    labels = (np.arange(count) * 7 % 10).astype(np.uint8)
    levels[:, 0, 0] = labels
    return PixelPictures(labels, TEN, levels)


def test_validation_and_training_share_the_pictures_without_loss_and_in_order() -> None:
    digits, test = make_digits(1009), make_digits(20, seed=1)
    splits = split_dataset(Obtained(digits, None, test, "here"), describe_idx(validation=97, sha256={}))
    assert {name: len(part) for name, part in splits.items()} == {"train": 912, "validation": 97, "test": 20}
    assert splits["test"] is test
    train, validation = (splits[name].arrays()["levels"] for name in ("train", "validation"))
    assert sorted(map(bytes, np.concatenate([train, validation]))) == sorted(map(bytes, digits.levels))
    for name, levels in (("train", train), ("validation", validation)):
        np.testing.assert_array_equal(levels[:, 0, 0], splits[name].labels)
        places = [np.flatnonzero((digits.levels == picture).all((1, 2)))[0] for picture in levels[:20]]
        assert places == sorted(places)


def test_what_comes_split_stays_as_it_came() -> None:
    parts = [make_digits(20, seed) for seed in range(3)]
    splits = split_dataset(Obtained(*parts, "here"), describe_idx(sha256={}))
    assert list(splits.values()) == parts


def test_test_is_taken_before_validation_and_both_from_the_rest() -> None:
    splits = split_dataset(Obtained(make_digits(1000), None, None, "here"), describe_folder())
    assert {name: len(part) for name, part in splits.items()} == {
        "train": 640,
        "validation": 160,
        "test": 200,
    }


def test_too_few_pictures_name_the_parameter() -> None:
    obtained = Obtained(make_digits(10), None, make_digits(10), "here")
    with pytest.raises(ModelyardError, match=r"data\.validation: expected 1 to 9 of 10 pictures, got 10"):
        split_dataset(obtained, describe_idx(validation=10, sha256={}))


def test_a_class_without_a_picture_in_a_split_is_an_error() -> None:
    lacking = make_digits(10).take(range(9))
    with pytest.raises(ModelyardError, match="10 classes in the test split, got none of 3: add some"):
        split_dataset(Obtained(make_digits(40), None, lacking, "here"), describe_idx(sha256={}))


def test_the_record_comes_back_with_everything_that_was_put_on_it(tmp_path: Path) -> None:
    data = describe_folder(homepage="https://example.org")
    obtained = Obtained(make_digits(100), None, None, "over there", {"left_out": {"é.png": "empty"}})
    splits = split_dataset(obtained, data)
    write_dataset(tmp_path / "new" / "dataset.json", data, obtained, splits)
    dataset = read_dataset(tmp_path / "new" / "dataset.json")
    assert (dataset.name, dataset.classes, dataset.source) == ("made", TEN, "over there")
    assert dataset.preprocessing == Preprocessing(fit="smooth", height=8, width=8, channels=1)
    assert dataset.licence == "CC0"
    assert dataset.record["homepage"] == "https://example.org"
    assert dataset.record["seed"] == 0
    assert dataset.record["left_out"] == {"é.png": "empty"}
    assert dataset.record["splits"]["test"] == {"images": 20, "digest": splits["test"].digest}


@pytest.mark.parametrize("content", [None, "", "[]", '{"name": "made"}', '{"name": "made", "classes": 3}'])
def test_what_is_no_record_is_named(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "dataset.json").write_text(content)
    with pytest.raises(ModelyardError, match=r"dataset\.json: expected the record of a dataset .*`dvc repro"):
        read_dataset(tmp_path / "dataset.json")
