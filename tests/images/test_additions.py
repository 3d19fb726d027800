"""Pictures added to a dataset: to train on, beside the known ones, and recent ones for evaluation."""

from pathlib import Path

import numpy as np
import pytest

from made_data import write_files
from modelyard.errors import ModelyardError
from modelyard.images.additions.additions import add_pictures
from modelyard.images.additions.joined import JoinedPictures
from modelyard.images.pictures import PixelPictures, read_pictures, write_pictures

CLASSES = ("a", "b")
LEVELS = np.random.default_rng(0).integers(0, 256, (8, 9, 9), dtype=np.uint8)


def known(*places: int) -> PixelPictures:
    chosen = list(places)
    return PixelPictures((np.array(chosen) % 2).astype(np.uint8), CLASSES, LEVELS[chosen])


SPLITS = {"train": known(0, 1), "validation": known(2, 3), "test": known(4, 5)}


@pytest.fixture
def additions(tmp_path: Path) -> Path:
    """One picture to train on and one recent; beside them copies of a test and of a validation picture."""
    folder = tmp_path / "additions"
    files = {"train/b/new.png": LEVELS[6], "recent/a/late.png": LEVELS[7]}
    write_files(folder, files | {"train/a/test.png": LEVELS[4], "recent/b/validation.png": LEVELS[3]})
    return folder


def test_what_is_added_is_learned_together_with_the_known(additions: Path, tmp_path: Path) -> None:
    splits = add_pictures(SPLITS, additions)
    assert [len(splits[name]) for name in ("train", "validation", "test", "recent")] == [3, 2, 2, 1]
    training = splits["train"]
    assert isinstance(training, JoinedPictures)
    assert training.labels.tolist() == [1, 0, 1]
    assert [training.name(place) for place in range(3)] == ["train/b/new.png", "image 0", "image 1"]
    for place, source in enumerate((6, 0, 1)):
        assert np.array_equal(training.pixels(place, grey=True), LEVELS[source])
    assert splits["recent"].labels.tolist() == [0]


def test_joined_pictures_are_read_as_they_were_written(additions: Path, tmp_path: Path) -> None:
    training = add_pictures(SPLITS, additions)["train"].take([2, 0])
    write_pictures(tmp_path / "train.npz", training, np.zeros((2, 9, 9, 1), np.uint8))
    found = read_pictures(tmp_path / "train.npz", tmp_path / "source")
    assert found.digest == training.digest
    assert found.labels.tolist() == [1, 1]
    assert found.file(1) == (additions / "train/b/new.png").read_bytes()
    assert found.key(0) == SPLITS["train"].key(1)


def test_no_additions_change_nothing(tmp_path: Path) -> None:
    splits = add_pictures(SPLITS, tmp_path / "none")
    assert splits["train"] is SPLITS["train"]
    assert len(splits["recent"]) == 0
    write_pictures(tmp_path / "recent.npz", splits["recent"])
    assert len(read_pictures(tmp_path / "recent.npz", tmp_path)) == 0


@pytest.mark.parametrize(
    ("files", "fault"),
    [
        ({"train/c/one.png": LEVELS[6]}, "with a class of the dataset, got train/c/one.png"),
        ({"train/a/one.png": b"GIF89a"}, "train/a/one.png: expected a PNG or JPEG, got "),
    ],
)
def test_a_wrong_addition_is_named(tmp_path: Path, files: dict[str, object], fault: str) -> None:
    write_files(tmp_path, files)  # type: ignore[arg-type]
    with pytest.raises(ModelyardError, match=fault):
        add_pictures(SPLITS, tmp_path)
