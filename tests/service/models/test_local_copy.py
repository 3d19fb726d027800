"""A copy on this machine: checked whenever it is read, whole or not there, downloaded once."""

import os
import shutil
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from modelyard.inference.bundle import Bundle, BundleError
from modelyard.service.models.local_copy import LocalCopy
from modelyard.service.models.registry_state import RegisteredModel, RegisteredVersion, RegistryState
from small_registry import make_bundle

STATE = RegistryState(
    {
        "mnist": RegisteredModel(
            "mnist",
            {"champion": 2},
            {
                1: RegisteredVersion(1, {"content_key": "a" * 64}, {"test/accuracy": 0.99}),
                2: RegisteredVersion(2, {"content_key": "b" * 64, "precision": "schön"}, {}),
            },
        )
    },
    ("colours", "mnist"),
)


@pytest.fixture
def copy(tmp_path: Path) -> LocalCopy:
    return LocalCopy(tmp_path / "copy")


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    return make_bundle(tmp_path / "bundle")


def test_what_the_registry_said_is_read_as_it_was_written(copy: LocalCopy) -> None:
    copy.write_state(STATE)
    assert copy.read_state() == STATE


def test_a_copy_that_holds_nothing_yet_says_so(copy: LocalCopy) -> None:
    assert copy.read_state() is None
    assert copy.read("a" * 64) is None


@pytest.mark.parametrize(
    "content", ["", "[]", '{"format": 2}', '{"format": 1, "models": {"mnist": 3}}', "\0"]
)
def test_a_state_that_cannot_be_read_is_no_state(
    copy: LocalCopy, tmp_path: Path, content: str, caplog: pytest.LogCaptureFixture
) -> None:
    copy.write_state(STATE)
    (tmp_path / "copy" / "registry.json").write_text(content)
    assert copy.read_state() is None
    assert "registry.json cannot be used" in caplog.text


def test_a_bundle_is_downloaded_once(copy: LocalCopy, bundle: Bundle) -> None:
    downloads = _Downloads(bundle)
    with ThreadPoolExecutor(4) as threads:
        fetched = list(threads.map(lambda _: copy.fetch(bundle.content_key, downloads), range(4)))
    assert downloads.count == 1
    assert {one.content_key for one in fetched} == {bundle.content_key}
    assert copy.read(bundle.content_key) == fetched[0]


@pytest.mark.parametrize(
    "spoil",
    [
        lambda folder: (folder / "labels.json").write_text("[]"),
        lambda folder: (folder / "model.tflite").unlink(),
        lambda folder: (folder / "provenance.json").write_bytes(b"\xff"),
        lambda folder: (folder / "model.tflite").write_bytes((folder / "model.tflite").read_bytes()[:-1]),
    ],
    ids=["labels changed", "model gone", "provenance is no text", "model cut short"],
)
def test_a_corrupted_copy_is_refused_removed_and_fetched_again(
    copy: LocalCopy, bundle: Bundle, caplog: pytest.LogCaptureFixture, spoil: Callable[[Path], object]
) -> None:
    folder = copy.fetch(bundle.content_key, _Downloads(bundle)).folder
    spoil(folder)
    assert copy.read(bundle.content_key) is None
    assert not folder.exists()
    assert "a corrupted copy is removed" in caplog.text
    again = _Downloads(bundle)
    assert copy.fetch(bundle.content_key, again).content_key == bundle.content_key
    assert again.count == 1


def test_a_download_of_something_else_is_refused_and_not_kept(
    copy: LocalCopy, bundle: Bundle, tmp_path: Path
) -> None:
    other = make_bundle(tmp_path / "other", mark="b")
    with pytest.raises(
        BundleError, match=f"expected content {bundle.content_key}, found {other.content_key}"
    ):
        copy.fetch(bundle.content_key, _Downloads(other))
    assert copy.read(bundle.content_key) is None
    assert copy.read(other.content_key) is None


def test_a_download_that_fails_leaves_nothing_behind(copy: LocalCopy, bundle: Bundle, tmp_path: Path) -> None:
    def fail(folder: Path) -> Path:
        (folder / "half").write_text("half")
        raise ConnectionResetError("cut off")

    with pytest.raises(ConnectionResetError):
        copy.fetch(bundle.content_key, fail)
    assert not list((tmp_path / "copy").rglob("half"))
    assert copy.fetch(bundle.content_key, _Downloads(bundle)).content_key == bundle.content_key


def test_what_was_used_longest_ago_is_removed_beyond_eight_spare_bundles(
    copy: LocalCopy, tmp_path: Path
) -> None:
    keys = []
    for number in range(11):
        bundle = make_bundle(tmp_path / f"bundle-{number}", mark=str(number))
        age(copy.fetch(bundle.content_key, _Downloads(bundle)).folder, hours=30 - number)
        keys.append(bundle.content_key)
    copy.read(keys[1])
    copy.prune([keys[0]])
    assert [key for key in keys if copy.read(key) is None] == [keys[2], keys[3]]


def test_what_was_used_within_the_hour_stays_whatever_there_is(copy: LocalCopy, tmp_path: Path) -> None:
    for number in range(10):
        bundle = make_bundle(tmp_path / f"bundle-{number}", mark=str(number))
        copy.fetch(bundle.content_key, _Downloads(bundle))
    copy.prune([])
    assert len(list((tmp_path / "copy" / "bundles").glob("*/model.tflite"))) == 10


def test_what_a_killed_process_left_is_removed_after_an_hour(copy: LocalCopy, tmp_path: Path) -> None:
    left = [tmp_path / "copy" / "bundles" / name for name in (".download.old", ".download.new")]
    for folder in left:
        folder.mkdir(parents=True)
    age(left[0], hours=2)
    copy.prune([])
    assert [folder.exists() for folder in left] == [False, True]


@pytest.mark.parametrize(
    "key", ["", ".", "..", "../../precious", "{}/precious", "a" * 63, "A" * 64, "a" * 64 + "\n"]
)
def test_what_is_no_content_key_reads_makes_and_removes_nothing(
    copy: LocalCopy, bundle: Bundle, tmp_path: Path, key: str
) -> None:
    kept = copy.fetch(bundle.content_key, _Downloads(bundle)).folder
    precious = tmp_path / "precious"
    precious.mkdir()
    before = sorted(tmp_path.rglob("*"))
    for ask in (copy.read, lambda key: copy.fetch(key, _Downloads(bundle))):
        with pytest.raises(ValueError, match="expected a content key of 64 hex digits"):
            ask(key.format(tmp_path))
    assert sorted(tmp_path.rglob("*")) == before
    assert kept.is_dir()


def test_a_state_that_names_a_folder_as_content_key_names_none(copy: LocalCopy) -> None:
    tags = {"content_key": "../../precious"}
    model = RegisteredModel("mnist", {"champion": 1}, {1: RegisteredVersion(1, tags, {})})
    copy.write_state(RegistryState({"mnist": model}))
    restored = copy.read_state()
    assert restored is not None
    assert restored.models["mnist"].versions[1].content_key is None


def test_a_link_in_the_copy_leads_to_nothing_that_is_removed(
    copy: LocalCopy, bundle: Bundle, tmp_path: Path
) -> None:
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "thesis.txt").write_text("years of work")
    age(precious, hours=2)
    folder = copy.fetch(bundle.content_key, _Downloads(bundle)).folder
    for name in ("c" * 64, ".download.old"):
        (folder.parent / name).symlink_to(precious)
    assert copy.read("c" * 64) is None
    copy.prune([])
    assert (precious / "thesis.txt").exists()


def test_a_folder_that_is_no_bundle_of_the_copy_stays(copy: LocalCopy, bundle: Bundle) -> None:
    folder = copy.fetch(bundle.content_key, _Downloads(bundle)).folder
    other = folder.parent / "photographs"
    other.mkdir()
    age(other, hours=48)
    copy.prune([])
    assert other.is_dir()


def age(folder: Path, hours: int) -> None:
    """Let a folder have been used so long ago."""
    used = time.time() - hours * 3600
    os.utime(folder, (used, used))


class _Downloads:
    """Stands for a registry that has one bundle; counts."""

    def __init__(self, bundle: Bundle) -> None:
        self._bundle, self.count = bundle, 0

    def __call__(self, folder: Path) -> Path:
        self.count += 1
        return Path(shutil.copytree(self._bundle.folder, folder / "came"))
