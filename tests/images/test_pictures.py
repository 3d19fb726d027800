"""Labelled pictures, in memory and as files: what is refused, what comes back, what a digest tells."""

import hashlib
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from made_data import make_levels, write_files
from modelyard.errors import ModelyardError
from modelyard.images.examples import read_examples
from modelyard.images.pictures import (
    PictureFiles,
    Pictures,
    PixelPictures,
    label_type,
    read_pictures,
    write_pictures,
)

THREE = ("a", "b", "c")


@pytest.mark.parametrize(
    ("levels", "labels", "reason"),
    [
        (np.zeros((3, 4, 5, 1), np.uint8), np.zeros(3, np.uint8), r"images: expected uint8 \(3, h, w\)"),
        (np.zeros((3, 4, 5), np.float32), np.zeros(3, np.uint8), "images: .* got float32"),
        (np.zeros((3, 4, 5), np.uint8), np.zeros(2, np.uint8), r"images: expected uint8 \(2, h, w\)"),
        (np.zeros((3, 4, 5), np.uint8), np.zeros(3, np.int64), r"labels: expected uint8 \(n,\), got int64"),
        (np.zeros((3, 4, 5), np.uint8), np.array([0, 2, 3], np.uint8), r"expected 0\.\.2, one of 3 .* got 3"),
    ],
)
def test_what_is_no_labelled_pictures_is_refused(levels: Any, labels: Any, reason: str) -> None:
    with pytest.raises(ModelyardError, match=reason):
        PixelPictures(labels, THREE, levels)


@pytest.mark.parametrize(("classes", "dtype"), [(2, "uint8"), (256, "uint8"), (257, "uint16")])
def test_labels_take_a_byte_or_two(classes: int, dtype: str) -> None:
    assert label_type(classes) == dtype


@pytest.mark.parametrize("kind", ["levels", "files"])
def test_a_digest_tells_pictures_labels_and_their_order_apart(tmp_path: Path, kind: str) -> None:
    pictures = make(kind, tmp_path / "one", make_levels(12))
    changed = make_levels(12)
    changed[11, 3, 4] ^= 1
    several = (
        pictures,
        make(kind, tmp_path / "pixel", changed),
        make(kind, tmp_path / "label", make_levels(12), shift=1),
        pictures.take(np.arange(12)[::-1]),
        pictures.take(range(11)),
    )
    assert len({each.digest for each in several}) == 5
    assert make(kind, tmp_path / "again", make_levels(12)).digest == pictures.digest


@pytest.mark.parametrize("kind", ["levels", "files"])
def test_pictures_come_back_from_their_file(tmp_path: Path, kind: str) -> None:
    pictures = make(kind, tmp_path / "files", make_levels(12))
    write_pictures(tmp_path / "new folder" / "p.npz", pictures)
    back = read_pictures(tmp_path / "new folder" / "p.npz", tmp_path / "files")
    assert type(back) is type(pictures)
    assert (back.digest, back.classes) == (pictures.digest, THREE)
    np.testing.assert_array_equal(back.labels, pictures.labels)
    for place in range(12):
        assert back.file(place) == pictures.file(place)


@pytest.mark.parametrize("kind", ["levels", "files"])
def test_file_and_pixels_are_the_same_picture_in_grey_and_in_colour(tmp_path: Path, kind: str) -> None:
    levels = make_levels(3)
    pictures = make(kind, tmp_path, levels)
    for place in range(3):
        np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(pictures.file(place)))), levels[place])
        np.testing.assert_array_equal(pictures.pixels(place, grey=True), levels[place])
        colour = pictures.pixels(place, grey=False)
        assert colour.shape == (8, 9, 3)
        assert (colour == levels[place][:, :, None]).all()


@pytest.mark.parametrize("kind", ["levels", "files"])
def test_some_of_the_pictures_keep_their_labels_and_the_order_asked_for(tmp_path: Path, kind: str) -> None:
    levels = make_levels(12)
    some = make(kind, tmp_path, levels).take([7, 0, 11])
    assert some.labels.tolist() == [7 % 3, 0, 11 % 3]
    np.testing.assert_array_equal(some.pixels(2, grey=True), levels[11])


def test_the_same_pictures_give_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_pictures(tmp_path / name, make("levels", tmp_path, make_levels(12)))
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_what_a_network_sees_is_kept_only_where_the_fit_changes_something(tmp_path: Path) -> None:
    pictures = make("levels", tmp_path, make_levels(12))
    same, other = make_levels(12)[..., None], np.ones((12, 4, 4, 3), np.float32)
    write_pictures(tmp_path / "same.npz", pictures, same)
    write_pictures(tmp_path / "other.npz", pictures, other)
    assert "inputs" not in np.load(tmp_path / "same.npz")
    np.testing.assert_array_equal(read_examples(tmp_path / "same.npz").inputs, same)
    examples = read_examples(tmp_path / "other.npz")
    assert examples.inputs.dtype == np.float32
    np.testing.assert_array_equal(examples.inputs, other)
    assert (examples.classes, examples.labels.tolist()) == (3, pictures.labels.tolist())


def test_a_file_that_changed_is_named(tmp_path: Path) -> None:
    pictures = make("files", tmp_path, make_levels(3))
    path = tmp_path / pictures.name(1)
    path.write_bytes(path.read_bytes() + b" ")
    for read in (pictures.file, lambda place: pictures.pixels(place, grey=True)):
        with pytest.raises(ModelyardError, match=f"{pictures.name(1)} has changed .*`dvc repro`"):
            read(1)
    assert pictures.file(0)


def test_a_file_that_vanished_is_named(tmp_path: Path) -> None:
    pictures = make("files", tmp_path, make_levels(3))
    (tmp_path / pictures.name(2)).unlink()
    with pytest.raises(ModelyardError, match=rf"{pictures.name(2)}: No such file.*`dvc repro`"):
        pictures.file(2)


def test_a_file_that_is_no_picture_any_more_is_named(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"GIF89a")
    gif = PictureFiles(
        np.zeros(1, np.uint8), THREE, tmp_path, ("x",), (hashlib.sha256(b"GIF89a").hexdigest(),)
    )
    with pytest.raises(ModelyardError, match="x: a GIF, not PNG or JPEG"):
        gif.pixels(0, grey=False)


def test_a_missing_file_says_which_stage_makes_it(tmp_path: Path) -> None:
    with pytest.raises(ModelyardError, match=r"none\.npz is missing: `dvc repro download`"):
        read_pictures(tmp_path / "none.npz", tmp_path)


def test_a_file_with_anything_else_in_it_is_named(tmp_path: Path) -> None:
    whole, names = tmp_path / "cut.npz", np.array(["a", "b"])
    write_pictures(whole, make("levels", tmp_path, make_levels(12)))
    whole.write_bytes(whole.read_bytes()[:-100])
    levels, label = np.zeros((1, 2, 2), np.uint8), np.zeros(1, np.uint8)
    np.savez(tmp_path / "pickled.npz", levels=np.array([{}], dtype=object), labels=label, classes=names)
    np.savez(tmp_path / "lacking.npz", levels=levels, classes=names)
    np.savez(tmp_path / "wrong.npz", levels=levels, labels=label + 2, classes=names)
    with (tmp_path / "bare.npz").open("wb") as bare:
        np.save(bare, np.zeros(3))
    for name in ("cut", "pickled", "lacking", "wrong", "bare"):
        with pytest.raises(ModelyardError, match=rf"{name}\.npz: "):
            read_pictures(tmp_path / f"{name}.npz", tmp_path)


class Touch:
    """What a pickle could do: its loading makes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[[Path], None], tuple[Path]]:
        return Path.touch, (self.path,)


def test_nothing_in_a_file_is_run(tmp_path: Path) -> None:
    trap = np.array([Touch(tmp_path / "was run")], dtype=object)
    np.savez(tmp_path / "d.npz", levels=trap, labels=np.zeros(1, np.uint8), classes=np.array(["a", "b"]))
    with pytest.raises(ModelyardError, match="allow_pickle=False"):
        read_pictures(tmp_path / "d.npz", tmp_path)
    assert not (tmp_path / "was run").exists()


def make(kind: str, folder: Path, levels: np.ndarray, shift: int = 0) -> Pictures:
    """Make pictures of three classes in turn, in memory or as PNG files in `folder`."""
    labels = ((np.arange(len(levels)) + shift) % 3).astype(np.uint8)
    if kind == "levels":
        return PixelPictures(labels, THREE, levels)
    paths = write_files(folder, {f"{number:02}.png": picture for number, picture in enumerate(levels)})
    sha256 = tuple(hashlib.sha256((folder / path).read_bytes()).hexdigest() for path in paths)
    return PictureFiles(labels, THREE, folder, paths, sha256)
