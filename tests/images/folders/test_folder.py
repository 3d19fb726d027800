"""A folder of pictures becomes a dataset, or an error that says what was found and what is expected."""

import os
import random
import tracemalloc
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from made_data import describe_folder, make_levels, write_files
from modelyard.errors import ModelyardError
from modelyard.images import threads
from modelyard.images.dataset import Obtained, read_dataset, split_dataset, write_dataset
from modelyard.images.fitting import fit_pictures
from modelyard.images.folders.folder import obtain_folder
from modelyard.images.pictures import PictureFiles, Pictures

Contents = Mapping[str, NDArray[np.uint8] | bytes]
NOISE = make_levels(200, seed=1)
LAYOUT = "expected a folder for each class with its PNG or JPEG files directly inside, or train/ and test/"


def name_classes(*classes: str, count: int = 6) -> dict[str, NDArray[np.uint8]]:
    """Return pictures for folders of these names, all different."""
    names = [f"{name}/{number}.png" for name in classes for number in range(count)]
    return dict(zip(names, NOISE, strict=False))


def obtain(folder: Path, files: Contents, **changed: Any) -> Obtained:
    write_files(folder, files)
    return obtain_folder(describe_folder(**changed), folder)


def paths_of(pictures: Pictures | None) -> tuple[str, ...]:
    assert isinstance(pictures, PictureFiles)
    return pictures.paths


def refusal(folder: Path, files: Contents, **changed: Any) -> str:
    with pytest.raises(ModelyardError) as refused:
        obtain(folder, files, **changed)
    return str(refused.value)


def png(folder: Path, pixels: NDArray[np.uint8] = NOISE[150]) -> bytes:
    Image.fromarray(pixels).save(folder / "one.png")
    content = (folder / "one.png").read_bytes()
    (folder / "one.png").unlink()
    return content


def test_classes_are_in_the_order_of_their_characters_on_every_machine(tmp_path: Path) -> None:
    obtained = obtain(tmp_path, name_classes("ant", "Zebra", "10", "9", "äpfel", "a b"))
    assert obtained.training.classes == ("10", "9", "Zebra", "a b", "ant", "äpfel")
    for path, label in zip(paths_of(obtained.training), obtained.training.labels, strict=True):
        assert path.split("/")[0] == obtained.training.classes[label]


def test_listed_classes_keep_their_order(tmp_path: Path) -> None:
    obtained = obtain(tmp_path, name_classes("cat", "ant", "bee"), classes=["bee", "cat", "ant"])
    assert obtained.training.classes == ("bee", "cat", "ant")
    assert obtained.training.labels[paths_of(obtained.training).index("cat/0.png")] == 1


def test_a_listed_class_without_a_folder_and_a_folder_that_is_not_listed_are_both_named(
    tmp_path: Path,
) -> None:
    said = refusal(tmp_path, name_classes("ant", "bee", "cow"), classes=["ant", "bee", "dog"])
    assert said.startswith("mine: data.classes: expected a folder with pictures for each class in the list")
    assert "without one: dog; not in the list: cow" in said


def test_two_spellings_of_one_name_are_one_class(tmp_path: Path) -> None:
    composed, decomposed = "caf\u00e9", "cafe\u0301"
    files = {f"train/{composed}/0.png": NOISE[0], f"test/{decomposed}/1.png": NOISE[1]}
    files |= {f"{split}/bar/{split}.png": NOISE[9 + number] for number, split in enumerate(("train", "test"))}
    obtained = obtain(tmp_path, files, classes=["bar", decomposed])
    assert obtained.test is not None
    assert obtained.training.labels.tolist() == obtained.test.labels.tolist() == [0, 1]


def test_a_folder_with_splits_keeps_them(tmp_path: Path) -> None:
    names = [
        f"{split}/{label}/{number}.png"
        for split in ("train", "validation", "test")
        for label in ("ant", "bee")
        for number in range(3)
    ]
    obtained = obtain(tmp_path, dict(zip(names, NOISE, strict=False)))
    splits = split_dataset(obtained, describe_folder())
    assert {name: tuple(sorted(paths_of(part))) for name, part in splits.items()} == {
        split: tuple(sorted(name for name in names if name.startswith(split)))
        for split in ("train", "validation", "test")
    }
    assert splits["test"].labels.tolist() == [0, 0, 0, 1, 1, 1]


def test_what_lacks_is_taken_from_train_only(tmp_path: Path) -> None:
    files = name_classes("train/ant", "train/bee", count=10)
    files |= {f"test/{name}/t.png": NOISE[50 + place] for place, name in enumerate(("ant", "bee"))}
    splits = split_dataset(obtain(tmp_path, files), describe_folder(validation=0.3))
    assert paths_of(splits["test"]) == ("test/ant/t.png", "test/bee/t.png")
    assert len(splits["validation"]) == 6
    assert set(paths_of(splits["train"]) + paths_of(splits["validation"])) == set(
        name_classes("train/ant", "train/bee", count=10)
    )


def test_a_class_that_test_lacks_is_an_error(tmp_path: Path) -> None:
    obtained = obtain(tmp_path, name_classes("train/ant", "train/bee", "test/ant"))
    with pytest.raises(ModelyardError, match=r"2 classes in the test split, got none of bee"):
        split_dataset(obtained, describe_folder())


def test_train_and_test_can_be_classes_too(tmp_path: Path) -> None:
    assert obtain(tmp_path, name_classes("train", "test")).training.classes == ("test", "train")


def test_png_and_jpeg_are_told_by_their_content_whatever_the_name_says(tmp_path: Path) -> None:
    colour = np.stack([NOISE[:4]] * 3, axis=-1)
    files: dict[str, Any] = {
        "ant/a.jpg": NOISE[0],
        "ant/b": NOISE[1],
        "bee/c.JPG": colour[2],
        "bee/d.txt": colour[3],
    }
    write_files(tmp_path, files)
    (tmp_path / "ant/a.jpg").rename(tmp_path / "ant/a.png")
    obtained = obtain_folder(describe_folder(), tmp_path)
    assert set(paths_of(obtained.training)) == {"ant/a.png", "ant/b", "bee/c.JPG", "bee/d.txt"}
    place = paths_of(obtained.training).index("ant/a.png")
    assert obtained.training.file(place).startswith(b"\xff\xd8")


def test_hidden_files_and_empty_folders_are_skipped_and_counted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files: dict[str, Any] = name_classes("ant", "bee") | dict.fromkeys(
        (
            ".DS_Store",
            "ant/._0.png",
            "ant/Thumbs.db",
            "bee/desktop.ini",
            ".ipynb_checkpoints/x.png",
            "cow/.keep",
        ),
        b"x",
    )
    (tmp_path / "ant/old").mkdir(parents=True)
    obtained = obtain(tmp_path, files)
    assert obtained.training.classes == ("ant", "bee")
    assert len(obtained.training) == 12
    assert obtained.facts == {"skipped": {"hidden files": 6, "empty folders": 2}, "left_out": {}}
    assert "mine: 12 pictures; skipped: 6 hidden files, 2 empty folders" in capsys.readouterr().err


def other_files(folder: Path) -> dict[str, bytes]:
    """Return files that are not whole PNG or JPEG, each in its own way."""
    whole = png(folder)
    broken = bytearray(whole)
    broken[len(whole) // 2] ^= 0xFF
    return {
        "ant/a.gif": b"GIF89a....",
        "ant/b.bmp": b"BM......",
        "ant/c.png": b"",
        "ant/cut.png": whole[:-30],
        "bee/broken.png": bytes(broken),
        "bee/base64.txt": b"iVBORw0KGgo=",
        "bee/notes.md": b"# notes",
        "labels.csv": b"file,label",
    }


def test_anything_else_is_listed_with_its_reason_and_stops(tmp_path: Path) -> None:
    said = refusal(tmp_path, name_classes("ant", "bee") | other_files(tmp_path))
    assert said.startswith("mine: expected whole PNG or JPEG files only, found others (8):\n")
    for line in (
        "ant/a.gif: a GIF, not PNG or JPEG",
        "ant/b.bmp: a BMP, not PNG or JPEG",
        "ant/c.png: empty",
        "bee/base64.txt: neither PNG nor JPEG",
        "bee/notes.md: neither PNG nor JPEG",
        "labels.csv: neither PNG nor JPEG",
    ):
        assert f"\n  {line}" in said
    assert "\n  ant/cut.png: " in said
    assert "\n  bee/broken.png: " in said
    assert "`on_unreadable: skip`" in said.splitlines()[-1]


def test_at_most_ten_are_listed(tmp_path: Path) -> None:
    said = refusal(tmp_path, name_classes("ant", "bee") | {f"ant/{n:02}.gif": b"GIF89a" for n in range(23)})
    assert "found others (23):" in said
    assert said.count("a GIF") == 10
    assert "\n  and 13 more\n" in said


def test_with_skip_they_are_left_out_and_stand_on_record(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    others = other_files(tmp_path)
    data = describe_folder(on_unreadable="skip")
    obtained = obtain(tmp_path, name_classes("ant", "bee") | others, on_unreadable="skip")
    assert sorted(paths_of(obtained.training)) == sorted(name_classes("ant", "bee"))
    write_dataset(tmp_path / "dataset.json", data, obtained, split_dataset(obtained, data))
    left_out = read_dataset(tmp_path / "dataset.json").record["left_out"]
    assert left_out.keys() == others.keys()
    assert left_out["ant/a.gif"] == "a GIF, not PNG or JPEG"
    said = capsys.readouterr().err
    assert (
        "mine: left out, files that are not whole PNG or JPEG (8): ant/a.gif, ant/b.bmp, ant/c.png, ..."
        in said
    )


def test_a_class_of_which_only_unreadable_files_remain_is_refused(tmp_path: Path) -> None:
    files = name_classes("ant", "bee") | {f"cow/{number}": b"GIF89a" for number in range(3)}
    assert "two pictures of each class, found fewer of some (1):\n  cow: 0" in refusal(
        tmp_path, files, on_unreadable="skip"
    )


def test_links_that_lead_nowhere_and_pipes_are_no_pictures(tmp_path: Path) -> None:
    write_files(tmp_path, name_classes("ant", "bee"))
    (tmp_path / "ant/gone.png").symlink_to(tmp_path / "nowhere.png")
    (tmp_path / "ant/self.png").symlink_to(tmp_path / "ant/self.png")
    os.mkfifo(tmp_path / "bee/pipe")
    said = refusal(tmp_path, {})
    for name in ("ant/gone.png", "ant/self.png", "bee/pipe"):
        assert f"\n  {name}: not a file, or a link that leads nowhere" in said


def test_a_file_of_a_gigabyte_is_not_even_read(tmp_path: Path) -> None:
    write_files(tmp_path, name_classes("ant", "bee"))
    with (tmp_path / "ant/film.mp4").open("wb") as film:
        film.truncate((1 << 30) + 1)
    assert "\n  ant/film.mp4: more than 1,073,741,824 bytes" in refusal(tmp_path, {})


def test_links_to_files_and_folders_elsewhere_are_followed(tmp_path: Path) -> None:
    write_files(tmp_path / "elsewhere", name_classes("ant", "bee"))
    (tmp_path / "mine/bee").mkdir(parents=True)
    (tmp_path / "mine/ant").symlink_to(tmp_path / "elsewhere/ant")
    for number in range(6):
        (tmp_path / f"mine/bee/{number}.png").symlink_to(tmp_path / f"elsewhere/bee/{number}.png")
    (tmp_path / "source").symlink_to(tmp_path / "mine")
    assert len(obtain_folder(describe_folder(), tmp_path / "source").training) == 12


@pytest.mark.parametrize("name", ["0.png", "train/0.png"])
def test_pictures_that_lie_in_no_class_are_refused_even_with_skip(tmp_path: Path, name: str) -> None:
    inside = "train/" if "/" in name else ""
    files = name_classes(f"{inside}ant", f"{inside}bee") | {name: NOISE[100]}
    said = refusal(tmp_path, files, on_unreadable="skip")
    assert said.startswith(f"mine: {LAYOUT}")
    assert f"found pictures outside the class folders (1):\n  {name}" in said


@pytest.mark.parametrize("classes", [None, ["ant", "bee"]])
def test_pictures_without_any_folder_are_refused(tmp_path: Path, classes: list[str] | None) -> None:
    said = refusal(tmp_path, {f"{number}.png": NOISE[number] for number in range(12)}, classes=classes)
    assert LAYOUT in said
    assert "found pictures outside the class folders (12):" in said
    assert said.endswith("and 2 more")


def test_one_class_is_refused(tmp_path: Path) -> None:
    said = refusal(tmp_path, name_classes("ant"))
    assert LAYOUT in said
    assert said.endswith("and at least two classes; found 1 class (ant)")


def test_a_folder_without_pictures_is_refused(tmp_path: Path) -> None:
    (tmp_path / "ant").mkdir()
    said = refusal(tmp_path, {"bee/.hidden": b""})
    assert said.startswith(f"mine: {LAYOUT}")
    assert said.endswith("found no files (skipped: 1 hidden files, 2 empty folders)")


def test_a_class_with_fewer_than_two_pictures_is_refused(tmp_path: Path) -> None:
    said = refusal(tmp_path, name_classes("ant", "bee") | {"cow/0.png": NOISE[100]})
    assert "expected at least two pictures of each class, found fewer of some (1):\n  cow: 1\n" in said


def test_folders_inside_a_class_are_refused(tmp_path: Path) -> None:
    said = refusal(tmp_path, name_classes("train/ant", "train/bee", "val/ant", count=2))
    assert said.startswith(f"mine: {LAYOUT}")
    assert "found files in folders inside a class (6):\n  train/ant/0.png" in said
    assert said.endswith("\nAt the top lie train, val.")


def test_links_that_lead_in_a_circle_are_refused(tmp_path: Path) -> None:
    write_files(tmp_path, name_classes("ant", "bee"))
    (tmp_path / "ant/loop").symlink_to(tmp_path)
    assert refusal(tmp_path, {}) == (
        "mine: expected no links in circles, got the link ant/loop to a folder that contains it"
    )


def test_a_folder_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(
        ModelyardError, match=r"^mine: expected a folder that can be read, got .*none: No such"
    ):
        obtain_folder(describe_folder(), tmp_path / "none")


def test_a_class_that_cannot_be_a_label_is_refused(tmp_path: Path) -> None:
    assert "names of classes without line breaks and in UTF-8, got 'b\\nee'" in refusal(
        tmp_path, name_classes("ant", "b\nee")
    )


def test_a_name_that_is_not_utf_8_is_left_out_by_skip(tmp_path: Path) -> None:
    write_files(tmp_path, name_classes("ant", "bee"))
    content = png(tmp_path)
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/ant/\xff.png")).write_bytes(content)
    data = describe_folder(on_unreadable="skip")
    obtained = obtain_folder(data, tmp_path)
    write_dataset(tmp_path / "dataset.json", data, obtained, split_dataset(obtained, data))
    assert read_dataset(tmp_path / "dataset.json").record["left_out"] == {
        "ant/\\udcff.png": "a name that is not UTF-8"
    }


def test_splits_are_the_same_whatever_order_the_file_system_lists(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = describe_folder()
    write_files(tmp_path, name_classes("ant", "bee", "cow", count=20))
    listdir, shuffle, found = os.listdir, random.Random(0), []  # noqa: S311
    for _ in range(3):
        monkeypatch.setattr(
            os, "listdir", lambda folder: shuffle.sample(names := listdir(folder), len(names))
        )
        splits = split_dataset(obtain_folder(data, tmp_path), data)
        found.append({name: paths_of(part) for name, part in splits.items()})
    assert found[0] == found[1] == found[2]
    assert {name: len(paths) for name, paths in found[0].items()} == {
        "train": 38,
        "validation": 10,
        "test": 12,
    }


def test_another_seed_gives_another_test_split(tmp_path: Path) -> None:
    obtained = obtain(tmp_path, name_classes("ant", "bee", count=20))
    first, other = (split_dataset(obtained, describe_folder(seed=seed))["test"] for seed in (0, 1))
    assert set(paths_of(first)) != set(paths_of(other))


@pytest.mark.parametrize("seed", range(8))
def test_copies_never_lie_on_both_sides_of_a_split(tmp_path: Path, seed: int) -> None:
    files: dict[str, Any] = name_classes("ant", "bee", count=12)
    for name, place in (("ant", 0), ("bee", 12)):
        grey, colour = NOISE[place], np.stack([NOISE[place]] * 3, axis=-1)
        # The same pixels in another form of file.
        files |= {f"{name}/copy{number}.png": pixels for number, pixels in enumerate([grey, colour, grey])}
    splits = split_dataset(obtain(tmp_path, files), describe_folder(seed=seed))
    for name in ("ant", "bee"):
        group = {f"{name}/0.png", *(f"{name}/copy{number}.png" for number in range(3))}
        assert sorted(len(group.intersection(paths_of(part))) for part in splits.values()) == [0, 0, 4]


def test_copies_in_two_classes_stop_with_both_paths(tmp_path: Path) -> None:
    files = name_classes("train/ant", "train/bee", "test/bee") | {"test/ant/again.png": NOISE[8]}
    said = refusal(tmp_path, files)
    assert said.startswith("mine: expected each picture in one class, found copies in two (1):")
    assert "\n  test/ant/again.png and train/bee/2.png\n" in said


def test_what_test_has_too_is_left_out_of_train_and_validation(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = name_classes("train/ant", "train/bee", "validation/ant", "validation/bee", "test/ant", "test/bee")
    files |= {"test/ant/x.png": files["train/ant/0.png"], "test/bee/y.png": files["validation/bee/3.png"]}
    files |= {"test/bee/z.png": files["test/bee/0.png"], "train/bee/v.png": files["validation/bee/1.png"]}
    obtained = obtain(tmp_path, files)
    gone = {"train/ant/0.png", "validation/bee/3.png", "train/bee/v.png"}
    assert paths_of(obtained.test) == tuple(sorted(name for name in files if name.startswith("test/")))
    assert gone.isdisjoint(paths_of(obtained.training) + paths_of(obtained.validation))
    assert (len(obtained.training), len(paths_of(obtained.validation))) == (11, 11)
    assert obtained.facts["left_out"] == dict.fromkeys(gone, "a copy of a picture in another split")
    told = [line for line in capsys.readouterr().err.splitlines() if "copies" in line]
    assert told == [
        "mine: left out, copies of pictures in test/ or validation/ (3): "
        "train/ant/0.png, train/bee/v.png, validation/bee/3.png"
    ]


def test_every_split_has_a_picture_of_a_small_class(tmp_path: Path) -> None:
    files = name_classes("ant", count=40) | {f"bee/{number}.png": NOISE[100 + number] for number in range(3)}
    splits = split_dataset(obtain(tmp_path, files), describe_folder(validation=0.02, test=0.02))
    assert [int((part.labels == 1).sum()) for part in splits.values()] == [1, 1, 1]


def test_a_class_too_small_for_all_splits_is_named(tmp_path: Path) -> None:
    obtained = obtain(
        tmp_path, name_classes("ant", "bee") | {f"cow/{n}.png": NOISE[100 + n] for n in range(2)}
    )
    with pytest.raises(ModelyardError, match=r"in the test split, got none of cow: add some"):
        split_dataset(obtained, describe_folder())


def test_more_than_256_classes_have_labels_of_two_bytes(tmp_path: Path) -> None:
    names = [f"{label:03}/{number}.png" for label in range(300) for number in range(2)]
    pictures = np.arange(600, dtype=np.uint16).view(np.uint8).reshape(600, 1, 2)
    obtained = obtain(tmp_path, dict(zip(names, pictures, strict=True)))
    assert obtained.training.labels.dtype == np.uint16
    assert obtained.training.labels.max() == 299


def test_memory_holds_the_pictures_that_are_worked_on_and_no_more(tmp_path: Path) -> None:
    for number in range(40):
        colour = np.full((1000, 1000, 3), number, np.uint8)
        write_files(tmp_path, {f"{'ant' if number % 2 else 'bee'}/{number}.png": colour})
    data = describe_folder()
    tracemalloc.start()
    try:
        fit_pictures(obtain_folder(data, tmp_path).training, data.input, "fitting")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    # A decoded picture is 3 MB, all of them 120; at most eight are worked on, each held twice for a moment.
    assert peak < 60e6


def test_long_work_says_one_line_where_there_is_no_terminal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(threads, "MANY", 11)
    obtain(tmp_path, name_classes("ant", "bee"))
    assert capsys.readouterr().err.splitlines()[0] == "reading: 12 pictures"


def test_real_handwriting_is_learned_from_a_folder(tmp_path: Path) -> None:
    """Pictures, labels and what a network sees belong together from end to end: digits of scikit-learn."""
    from sklearn.datasets import load_digits
    from sklearn.neighbors import KNeighborsClassifier

    digits = load_digits()
    levels = (digits.images * 15).astype(np.uint8)
    names = [f"digit {target}/{number}.png" for number, target in enumerate(digits.target)]
    data = describe_folder(validation=0.1)
    splits = split_dataset(obtain(tmp_path, dict(zip(names, levels, strict=True))), data)
    assert {name: len(part) for name, part in splits.items()} == {
        "train": 1294,
        "validation": 144,
        "test": 359,
    }
    inputs = {
        name: fit_pictures(part, data.input, name).reshape(len(part), -1) for name, part in splits.items()
    }
    learner = KNeighborsClassifier(1).fit(inputs["train"], splits["train"].labels)
    assert learner.score(inputs["test"], splits["test"].labels) > 0.97


def test_the_first_training_pictures_are_some_of_each_class(tmp_path: Path) -> None:
    first = obtain(tmp_path, name_classes("ant", "bee", count=20)).training.labels[:20]
    assert 4 <= first.sum() <= 16
