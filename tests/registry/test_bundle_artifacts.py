"""Artifacts that somebody else wrote: nothing outside them is read, and no more than a bundle may hold."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from modelyard.registry.artifact_files import ArtifactError
from modelyard.registry.bundle_artifacts import bring_bundle, find_bundle
from small_registry import make_bundle

BOMB = "a: &a [x]\n" + "\n".join(
    f"{chr(98 + n)}: &{chr(98 + n)} [{(f'*{chr(97 + n)},' * 9)[:-1]}]" for n in range(9)
)


def describe(path: str) -> str:
    return f"flavors:\n  python_function:\n    artifacts:\n      bundle:\n        path: {path}\n"


@pytest.fixture
def artifacts(tmp_path: Path) -> Path:
    """Those of a logged model, with another bundle beside them."""
    folder = tmp_path / "logged"
    for place in (folder / "artifacts" / "bundle", tmp_path / "outside"):
        shutil.copytree(make_bundle(tmp_path / "made").folder, place)
    (folder / "MLmodel").write_text(describe("artifacts/bundle"))
    return folder


@pytest.fixture
def target(tmp_path: Path) -> Path:
    (tmp_path / "target").mkdir()
    return tmp_path / "target"


def replace_by_link(path: Path, to: str) -> None:
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    path.symlink_to(to)


@pytest.mark.parametrize("form", ["{}", "file://{}"])
def test_a_bundle_is_found_in_its_place_or_copied(artifacts: Path, target: Path, form: str) -> None:
    place = artifacts / "artifacts" / "bundle"
    (place / "another file").write_text("not copied")
    location = form.format(artifacts)
    assert bring_bundle(location, None, "") == place
    copied = bring_bundle(location, target, "")
    assert copied.is_relative_to(target)
    assert sorted(path.name for path in copied.iterdir()) == [
        "labels.json",
        "model.tflite",
        "preprocessing.json",
        "provenance.json",
    ]


@pytest.mark.parametrize(
    "path",
    [
        "/outside",
        "../outside",
        "artifacts/../../outside",
        "",
        '"a\\\\b"',
        "a%2e%2e",
        "[a, b]",
        "7",
        '"\\ud800"',
    ],
)
@pytest.mark.parametrize("copied", [True, False])
def test_a_path_that_leads_outside_is_refused(artifacts: Path, target: Path, path: str, copied: bool) -> None:
    (artifacts / "MLmodel").write_text(describe(path))
    with pytest.raises(ArtifactError) as caught:
        bring_bundle(str(artifacts), target if copied else None, "")
    assert caught.value.reason == "its MLmodel file names no bundle"
    assert list(target.iterdir()) == []


SPOILT: dict[str, Callable[[Path], object]] = {
    "a link to a device": lambda folder: replace_by_link(folder / "model.tflite", "/dev/zero"),
    "a link to a file": lambda folder: replace_by_link(
        folder / "labels.json", str(folder.parents[2] / "outside" / "labels.json")
    ),
    "a link to a folder": lambda folder: replace_by_link(folder, str(folder.parents[2] / "outside")),
    "a pipe": lambda folder: ((folder / "labels.json").unlink(), os.mkfifo(folder / "labels.json")),
    "too large": lambda folder: os.truncate(folder / "labels.json", 16_000_001),
    "a folder": lambda folder: ((folder / "labels.json").unlink(), (folder / "labels.json").mkdir()),
    "missing": lambda folder: (folder / "provenance.json").unlink(),
}


@pytest.mark.parametrize("spoil", SPOILT.values(), ids=SPOILT)
@pytest.mark.parametrize("copied", [True, False])
def test_what_is_no_file_of_a_bundle_is_neither_read_nor_copied(
    artifacts: Path, target: Path, spoil: Callable[[Path], object], copied: bool
) -> None:
    spoil(artifacts / "artifacts" / "bundle")
    with pytest.raises(ArtifactError, match="its artifacts cannot be fetched") as caught:
        bring_bundle(str(artifacts), target if copied else None, "")
    assert caught.value.reason == "its artifacts cannot be fetched"
    assert sum(file.stat().st_size for file in target.rglob("*") if file.is_file()) < 100_000


@pytest.mark.parametrize(
    "content",
    [BOMB.encode(), b"[" * 5000, b"\xff\xfe", b"x" * 20_001, b"a: " + b"9" * 5000, b"- 1\n- 2\n", b""],
    ids=["aliases", "deep", "no text", "long", "digits", "list", "empty"],
)
def test_a_description_that_is_none_is_refused_in_few_words(artifacts: Path, content: bytes) -> None:
    (artifacts / "MLmodel").write_bytes(content)
    with pytest.raises(ArtifactError, match="its MLmodel file names no bundle") as caught:
        find_bundle(artifacts / "MLmodel")
    assert len(str(caught.value)) < 500


def test_a_description_that_is_a_link_is_refused(artifacts: Path) -> None:
    replace_by_link(artifacts / "MLmodel", "/dev/zero")
    with pytest.raises(ArtifactError, match="expected a regular file"):
        find_bundle(artifacts / "MLmodel")
