"""A few pictures as files: one of each class in turn, named by their truth."""

import hashlib
import io
from pathlib import Path

import numpy as np
from PIL import Image

from made_data import make_levels, write_files
from modelyard.images.pictures import PictureFiles, PixelPictures
from modelyard.images.samples import one_of_each_in_turn, read_label, write_samples


def test_one_of_each_class_comes_in_turn() -> None:
    labels = np.array([2, 2, 0, 0, 2, 1, 0], np.uint8)
    assert one_of_each_in_turn(labels, 100).tolist() == [2, 5, 0, 3, 1, 6, 4]
    assert one_of_each_in_turn(labels, 4).tolist() == [2, 5, 0, 3]


def test_pictures_in_memory_are_written_as_png_with_every_pixel(tmp_path: Path) -> None:
    levels = make_levels(3)
    write_samples(tmp_path / "s", PixelPictures(np.array([1, 0, 1], np.uint8), ("nought", "one"), levels), 2)
    assert sorted(path.name for path in (tmp_path / "s").iterdir()) == [
        "00-label-nought.png",
        "01-label-one.png",
    ]
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "s/01-label-one.png")), levels[0])


def test_files_are_copied_byte_for_byte_and_named_by_what_they_are(tmp_path: Path) -> None:
    stream = io.BytesIO()
    Image.fromarray(make_levels(1)[0]).save(stream, "JPEG")
    files = {"a.png": stream.getvalue(), "b": make_levels(1)[0]}
    paths = write_files(tmp_path, files)
    sha256 = tuple(hashlib.sha256((tmp_path / path).read_bytes()).hexdigest() for path in paths)
    classes = ("T-shirt/top", "../giant panda")
    pictures = PictureFiles(np.array([0, 1], np.uint8), classes, tmp_path, paths, sha256)
    write_samples(tmp_path / "s", pictures, 9)
    names = sorted(path.name for path in (tmp_path / "s").iterdir())
    assert names == ["00-label-T-shirt-top.jpg", "01-label-..-giant-panda.png"]
    assert (tmp_path / "s" / names[0]).read_bytes() == stream.getvalue()


def test_samples_of_an_earlier_run_do_not_stay(tmp_path: Path) -> None:
    for count in (3, 1):
        pictures = PixelPictures(np.zeros(3, np.uint8), ("a", "b"), make_levels(3))
        write_samples(tmp_path / "s", pictures, count)
    assert [path.name for path in (tmp_path / "s").iterdir()] == ["00-label-a.png"]


def test_a_samples_name_tells_its_class_and_other_names_tell_none() -> None:
    classes = ("T-shirt/top", "dog", "3")
    assert read_label("00-label-T-shirt-top.png", classes) == "T-shirt/top"
    assert read_label("12-label-3.jpg", classes) == "3"
    assert [read_label(name, classes) for name in ("00-label-cat.png", "flower.jpg")] == [None, None]
