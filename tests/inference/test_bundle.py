"""A bundle is written whole, read back the same, and refused when anything in it is not as it should be."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from modelyard.inference.bundle import Bundle, BundleError, Label, Preprocessing, is_content_key, read_bundle
from modelyard.inference.plain_text import show
from modelyard.packaging.writing import write_bundle

PREPROCESSING = Preprocessing("stretch", 299, 299, 3, 128.0, 0.0078125)
MODEL = b"\x1c\0\0\0TFL3 and the rest"


def write(folder: Path, **changes: Any) -> Bundle:
    arguments: dict[str, Any] = {
        "model": MODEL,
        "name": "inception-v3",
        "precision": "int8",
        "labels": [Label(None), Label("giant panda", "n02510455"), Label("Eisbär")],
        "preprocessing": PREPROCESSING,
        "provenance": {"url": "http://example.org/", "sha256": None},
    }
    return write_bundle(folder, **(arguments | changes))


def edit(path: Path, change: Callable[[Any], object]) -> None:
    value = json.loads(path.read_text())
    change(value)
    path.write_text(json.dumps(value))


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    return write(tmp_path / "a bundle")


def test_what_was_written_is_read_back(bundle: Bundle) -> None:
    assert read_bundle(bundle.folder) == bundle
    assert bundle.labels[1] == Label("giant panda", "n02510455")
    assert bundle.preprocessing == PREPROCESSING
    assert bundle.provenance == {"url": "http://example.org/", "sha256": None}
    assert (bundle.name, bundle.precision) == ("inception-v3", "int8")


def test_the_same_content_gives_the_same_bytes_and_the_same_key(bundle: Bundle, tmp_path: Path) -> None:
    again = write(tmp_path / "again")
    assert again.content_key == bundle.content_key
    names = sorted(path.name for path in bundle.folder.iterdir())
    assert names == ["labels.json", "model.tflite", "preprocessing.json", "provenance.json"]
    assert all((again.folder / name).read_bytes() == (bundle.folder / name).read_bytes() for name in names)


def test_the_size_is_that_of_the_content(bundle: Bundle) -> None:
    content = [path for path in bundle.folder.iterdir() if path.name != "provenance.json"]
    assert bundle.size_bytes == sum(len(path.read_bytes()) for path in content)


@pytest.mark.parametrize(
    "changes",
    [
        {"model": MODEL + b"!"},
        {"labels": [Label("a"), Label("b"), Label("c")]},
        {"preprocessing": replace(PREPROCESSING, fit="stretch_corners")},
    ],
)
def test_another_content_has_another_key(bundle: Bundle, tmp_path: Path, changes: dict[str, Any]) -> None:
    assert write(tmp_path / "other", **changes).content_key != bundle.content_key


def test_provenance_and_name_are_not_part_of_the_key(bundle: Bundle, tmp_path: Path) -> None:
    other = write(tmp_path / "other", name="another", provenance={"run": "1"})
    assert other.content_key == bundle.content_key


def test_a_changed_file_fails_verification(bundle: Bundle) -> None:
    bundle.verify(bundle.content_key)
    (bundle.folder / "model.tflite").write_bytes(MODEL + b"!")
    with pytest.raises(BundleError, match="a bundle: expected content"):
        read_bundle(bundle.folder).verify(bundle.content_key)


def test_an_older_bundle_is_replaced_and_nothing_is_left_beside(bundle: Bundle) -> None:
    write(bundle.folder, name="newer")
    assert read_bundle(bundle.folder).name == "newer"
    assert [path.name for path in bundle.folder.parent.iterdir()] == ["a bundle"]


def test_a_folder_with_other_files_is_never_replaced(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(BundleError, match="not a bundle"):
        write(tmp_path)
    assert (tmp_path / "thesis.txt").exists()


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"model": b"<html>404"}, "model.tflite: expected a LiteRT model"),
        ({"labels": []}, "labels.json: expected a list"),
        ({"labels": [Label(None)]}, "labels.json: no label has a name"),
        ({"labels": [Label("a"), Label(7)]}, "labels.json: label 1: name"),  # type: ignore[arg-type]
        ({"preprocessing": replace(PREPROCESSING, channels=4)}, "preprocessing.json: channels: expected 1"),
        ({"preprocessing": replace(PREPROCESSING, fit="mnist")}, "preprocessing.json: fit mnist makes 28"),
        ({"preprocessing": replace(PREPROCESSING, scale=0.0)}, "preprocessing.json: expected a finite"),
        ({"provenance": {"score": float("nan")}}, "provenance.json must hold"),
    ],
)
def test_an_invalid_bundle_is_not_written(tmp_path: Path, changes: dict[str, Any], reason: str) -> None:
    with pytest.raises(BundleError, match=reason):
        write(tmp_path / "new", **changes)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["model.tflite", "labels.json", "preprocessing.json", "provenance.json"])
def test_a_missing_file_is_named(bundle: Bundle, name: str) -> None:
    (bundle.folder / name).unlink()
    with pytest.raises(BundleError, match=f"{name}: No such file"):
        read_bundle(bundle.folder)


@pytest.mark.parametrize("name", ["labels.json", "preprocessing.json", "provenance.json"])
def test_a_file_that_is_not_json_is_named(bundle: Bundle, name: str) -> None:
    (bundle.folder / name).write_text("<html>")
    with pytest.raises(BundleError, match=f"{name} is not JSON"):
        read_bundle(bundle.folder)


@pytest.mark.parametrize(
    ("name", "change", "reason"),
    [
        ("provenance.json", {"format": 3}, "expected format 1 or 2, found 3"),
        ("provenance.json", {"name": 3}, "name: expected str, found 3"),
        ("preprocessing.json", {"height": "299"}, "height: expected int, found '299'"),
        ("preprocessing.json", {"width": True}, "width: expected int, found True"),
        ("preprocessing.json", {"fit": "sound"}, "fit: expected one of mnist, .*got 'sound'"),
        ("preprocessing.json", {"rotation": 90}, "expected the keys .* found .*'rotation'"),
    ],
)
def test_a_wrong_value_is_named(bundle: Bundle, name: str, change: dict[str, Any], reason: str) -> None:
    edit(bundle.folder / name, lambda value: value.update(change))
    with pytest.raises(BundleError, match=f"{name}: .*{reason}|{name}: {reason}"):
        read_bundle(bundle.folder)


def test_a_label_without_its_key_is_named_by_its_place(bundle: Bundle) -> None:
    edit(bundle.folder / "labels.json", lambda labels: labels[2].pop("synset"))
    with pytest.raises(BundleError, match=r"labels.json: label 2: expected the keys \['name', 'synset'\]"):
        read_bundle(bundle.folder)


@pytest.mark.parametrize("word", ["\ud800", "a\x1b[31m", "two\nlines", "\u202eexe.gpj", "x" * 301])
@pytest.mark.parametrize("place", ["label", "synset", "name", "precision"])
def test_a_word_that_an_answer_or_a_page_cannot_show_is_refused(
    bundle: Bundle, word: str, place: str
) -> None:
    if place in ("label", "synset"):
        key = "name" if place == "label" else place
        edit(bundle.folder / "labels.json", lambda labels: labels[1].update({key: word}))
    else:
        edit(bundle.folder / "provenance.json", lambda about: about.update({place: word}))
    with pytest.raises(BundleError, match=r"printable characters|is not JSON") as caught:
        read_bundle(bundle.folder)
    str(caught.value).encode()
    assert str(bundle.folder) not in caught.value.reason


def test_provenance_that_could_not_be_written_again_is_refused(bundle: Bundle) -> None:
    edit(bundle.folder / "provenance.json", lambda about: about["provenance"].update(url="\ud800"))
    with pytest.raises(BundleError, match="is not JSON"):
        read_bundle(bundle.folder)


def test_names_in_any_language_are_read(bundle: Bundle) -> None:
    names = ["Eisbär", "大熊猫", "นก", "👩\u200d🔬", "caf\u00a0noir"]
    assert [
        label.name for label in write(bundle.folder, labels=[Label(name) for name in names]).labels
    ] == names


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("labels.json", b"[" * 100_000),
        ("labels.json", b"[" + b"9" * 5000 + b"]"),
        ("preprocessing.json", b'{"mean": NaN}'),
        ("provenance.json", b"1" * 4_000_001),
        ("preprocessing.json", b" " * 100_001),
    ],
    ids=["deep", "digits", "NaN", "long provenance", "long preprocessing"],
)
def test_json_that_is_too_much_is_refused(bundle: Bundle, name: str, content: bytes) -> None:
    (bundle.folder / name).write_bytes(content)
    with pytest.raises(BundleError, match=f"{name}.*(is not JSON|expected a regular file)") as caught:
        read_bundle(bundle.folder)
    assert len(str(caught.value)) < 1000


@pytest.mark.parametrize("mean", ["1" + "0" * 400, "1e999", "-1e39"])
def test_a_number_that_no_float_holds_is_refused(bundle: Bundle, mean: str) -> None:
    path = bundle.folder / "preprocessing.json"
    path.write_text(path.read_text().replace("128.0", mean))
    with pytest.raises(BundleError, match=r"preprocessing\.json"):
        read_bundle(bundle.folder)


def test_a_device_in_the_place_of_a_file_is_refused(bundle: Bundle) -> None:
    (bundle.folder / "model.tflite").unlink()
    (bundle.folder / "model.tflite").symlink_to("/dev/zero")
    with pytest.raises(BundleError, match="expected a regular file"):
        read_bundle(bundle.folder)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0123456789abcdef" * 4, True),
        ("A" * 64, False),
        ("a" * 63, False),
        ("a" * 64 + "\n", False),
        (None, False),
    ],
)
def test_a_content_key_is_64_hex_digits(text: Any, expected: bool) -> None:
    assert is_content_key(text) is expected


def test_text_is_shown_in_one_line_of_bounded_length() -> None:
    assert show("a\x1b[31m\n\ud800ü") == r"a\x1b[31m\n\ud800ü"
    assert show("x" * 1000, 10) == "x" * 10 + "..."


# Before fits had names


def make_old(folder: Path, kind: str, align_corners: bool = False, **sizes: float) -> None:
    """Turn a bundle into one of format 1, as versions of before have it."""
    edit(folder / "provenance.json", lambda about: about.update(format=1))
    old = {"kind": kind, "align_corners": align_corners, "mean": 0.0, "scale": 1.0, **sizes}
    (folder / "preprocessing.json").write_text(json.dumps(old))


@pytest.mark.parametrize(
    ("kind", "align_corners", "sizes", "fit"),
    [
        ("digit", False, {"height": 28, "width": 28, "channels": 1}, "mnist"),
        ("photo", False, {"height": 299, "width": 299, "channels": 3}, "stretch"),
        ("photo", True, {"height": 224, "width": 299, "channels": 3}, "stretch_corners"),
    ],
)
def test_a_kind_of_format_1_is_read_as_the_fit_that_it_was(
    bundle: Bundle, kind: str, align_corners: bool, sizes: dict[str, int], fit: str
) -> None:
    make_old(bundle.folder, kind, align_corners, **sizes, scale=0.5)
    old = read_bundle(bundle.folder)
    assert old.preprocessing == Preprocessing(fit, **sizes, mean=0.0, scale=0.5)
    assert old.content_key != bundle.content_key


def test_another_kind_than_those_of_format_1_is_refused(bundle: Bundle) -> None:
    make_old(bundle.folder, "sound", height=28, width=28, channels=1)
    with pytest.raises(BundleError, match="expected 'digit' or 'photo', found 'sound'"):
        read_bundle(bundle.folder)


def test_format_1_has_no_fits_and_format_2_no_kinds(bundle: Bundle) -> None:
    edit(bundle.folder / "provenance.json", lambda about: about.update(format=1))
    with pytest.raises(BundleError, match=r"expected the keys .*'kind'"):
        read_bundle(bundle.folder)
    make_old(bundle.folder, "photo", height=28, width=28, channels=3)
    edit(bundle.folder / "provenance.json", lambda about: about.update(format=2))
    with pytest.raises(BundleError, match=r"expected the keys .*'fit'"):
        read_bundle(bundle.folder)
