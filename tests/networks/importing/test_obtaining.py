"""The files of a network from elsewhere: in a folder, in any archive, beside each other, each of its own."""

import hashlib
import shutil
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from fault_server import FaultServer, run_fault_server
from foreign_networks import describe_network
from modelyard.errors import ModelyardError
from modelyard.networks.importing.layout import find_unpinned
from modelyard.networks.importing.obtaining import Obtained, digest_network, obtain_network

NETWORK, WORDS = b"TFL3 of a kind" * 50, b"ant\nbee\ncat\ndog\neel\n"
SUM = hashlib.sha256(NETWORK).hexdigest()
LABELS = {"format": "lines", "file": "labels.txt", "sha256": hashlib.sha256(WORDS).hexdigest()}


def write_folder(folder: Path) -> Path:
    folder.mkdir(parents=True)
    (folder / "mine.tflite").write_bytes(NETWORK)
    (folder / "labels.txt").write_bytes(WORDS)
    (folder / "LICENSE").write_text("MIT\n")
    return folder


def write_tar(folder: Path, path: Path, top: str) -> None:
    with tarfile.open(path, "w:gz" if path.suffix == ".tgz" else "w") as tar:
        for file in folder.iterdir():
            tar.add(file, f"{top}{file.name}")


def write_zip(folder: Path, path: Path, top: str) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as whole:
        for file in folder.iterdir():
            whole.write(file, f"{top}{file.name}")


@pytest.fixture
def folder(repository: Path) -> Path:
    return write_folder(repository / "networks" / "mine")


def obtain(path: Path | str | None, scratch: Path, **changes: Any) -> Obtained:
    values = {"network": {"file": "mine.tflite", "sha256": SUM}, "labels": LABELS, **changes}
    scratch.mkdir(exist_ok=True)
    return obtain_network(describe_network("litert", path and Path(path), **values), scratch)


def assert_whole(obtained: Obtained) -> None:
    assert obtained.paths["mine.tflite"].read_bytes() == NETWORK
    assert obtained.paths["labels.txt"].read_bytes() == WORDS
    assert obtained.sha256 == {"mine.tflite": SUM, "labels.txt": LABELS["sha256"]}


@pytest.mark.parametrize("top", ["", "./", "mobile/"])
@pytest.mark.parametrize(("name", "write"), [("a.tar", write_tar), ("a.tgz", write_tar), ("a", write_zip)])
def test_an_archive_of_any_kind_gives_its_files(
    folder: Path, tmp_path: Path, name: str, write: Callable[[Path, Path, str], None], top: str
) -> None:
    write(folder, tmp_path / name, top)
    obtained = obtain(tmp_path / name, tmp_path / "scratch")
    assert_whole(obtained)
    assert obtained.address == name


@pytest.mark.parametrize("place", ["networks/mine", "networks", "networks/mine/mine.tflite"])
def test_a_folder_and_a_file_below_the_repository_are_found(folder: Path, tmp_path: Path, place: str) -> None:
    assert_whole(obtain(place, tmp_path / "scratch"))


def test_a_file_under_another_name_is_the_network_where_its_ending_is_the_same(
    folder: Path, tmp_path: Path
) -> None:
    (folder / "mine.tflite").rename(folder / "v2.tflite")
    assert_whole(obtain(folder / "v2.tflite", tmp_path / "scratch"))


def test_a_file_may_have_a_place_of_its_own(folder: Path, tmp_path: Path) -> None:
    shutil.move(folder / "labels.txt", tmp_path / "words.txt")
    assert_whole(obtain(folder, tmp_path / "scratch", labels=LABELS | {"path": str(tmp_path / "words.txt")}))


@pytest.fixture
def server() -> Iterator[FaultServer]:
    with run_fault_server() as server:
        yield server


def test_a_file_may_have_an_address_of_its_own(folder: Path, tmp_path: Path, server: FaultServer) -> None:
    url = server.serve("/words.txt", WORDS)
    (folder / "labels.txt").unlink()
    assert_whole(obtain(folder, tmp_path / "scratch", labels=LABELS | {"url": url}))


@pytest.mark.parametrize("packed", [False, True])
def test_a_source_gives_an_archive_or_the_file_itself(
    folder: Path, tmp_path: Path, server: FaultServer, packed: bool
) -> None:
    words = server.serve("/words.txt", WORDS)
    write_zip(folder, tmp_path / "a.zip", "mobile/")
    content = (tmp_path / "a.zip").read_bytes() if packed else NETWORK
    url = server.serve("/mine.tflite" if not packed else "/download", content)
    labels = LABELS if packed else LABELS | {"url": words}
    obtained = obtain(None, tmp_path / "scratch", sources=[url], labels=labels)
    assert_whole(obtained)
    assert obtained.address == url


def test_an_own_file_without_a_checksum_is_recorded(folder: Path, tmp_path: Path) -> None:
    obtained = obtain(folder, tmp_path / "scratch", network={"file": "mine.tflite", "sha256": None})
    assert obtained.sha256["mine.tflite"] == SUM


@pytest.mark.parametrize(
    "changes",
    [
        {"sources": ["http://localhost/a.tgz"]},
        {"labels": LABELS | {"sha256": None, "url": "http://localhost/words.txt"}},
    ],
)
def test_what_comes_from_elsewhere_needs_a_checksum(folder: Path, changes: dict[str, Any]) -> None:
    network = {"file": "mine.tflite", "sha256": None if "sources" in changes else SUM}
    path = None if "sources" in changes else folder
    with pytest.raises(ValidationError, match=r"the sha256 of (mine\.tflite|labels\.txt), which comes from"):
        describe_network("litert", path, **{"network": network, "labels": LABELS, **changes})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"network": {"file": "mine.tflite", "sha256": "0" * 64}},
            f"mine: mine.tflite: .*, got {SUM}",
        ),
        (
            {"network": {"file": "other.tflite", "sha256": SUM}},
            "mine: lacks other.tflite; found LICENSE",
        ),
        ({"labels": LABELS | {"file": "words.txt"}}, "mine: lacks words.txt"),
        ({"labels": LABELS | {"path": "nowhere.txt"}}, r"labels\.txt: expected .*there is no .*nowhere\.txt"),
        ({"labels": LABELS | {"file": ".."}}, "lacks .."),
    ],
)
def test_what_is_missing_or_wrong_is_named(
    folder: Path, tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(ModelyardError, match=message) as refused:
        obtain(folder, tmp_path / "scratch", **changes)
    assert "\n" not in str(refused.value)


def test_a_link_in_a_folder_is_refused(folder: Path, tmp_path: Path) -> None:
    (folder / "labels.txt").rename(tmp_path / "elsewhere")
    (folder / "labels.txt").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ModelyardError, match=r"lacks labels\.txt"):
        obtain(folder, tmp_path / "scratch")
    with pytest.raises(ModelyardError, match=r"labels\.txt is a link, no file: refused"):
        digest_network(folder)


def test_a_folders_checksum_covers_names_and_contents(folder: Path) -> None:
    lines = sorted(
        f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n" for path in folder.iterdir()
    )
    assert digest_network(folder) == hashlib.sha256("".join(lines).encode()).hexdigest()
    before = digest_network(folder)
    (folder / "LICENSE").rename(folder / "LICENCE")
    assert digest_network(folder) != before


@pytest.mark.parametrize("place", ["networks/mine", "networks", "networks/mine/mine.tflite"])
def test_the_files_without_a_checksum_are_found_wherever_they_lie(folder: Path, place: str) -> None:
    own = folder.parent.parent / "words.txt"
    own.write_bytes(WORDS)
    network, labels = {"file": "mine.tflite"}, LABELS | {"sha256": None}

    def find(sha256: str | None, **changes: Any) -> dict[str, Path]:
        values = {"network": network | {"sha256": sha256}, "labels": labels, **changes}
        return find_unpinned(describe_network("litert", folder.parent.parent / place, **values))

    both = {name: folder / name for name in ("mine.tflite", "labels.txt")}
    assert find(None) == both
    assert find(SUM) == {"labels.txt": both["labels.txt"]}
    assert find(SUM, labels=LABELS) == {}
    assert find(SUM, labels=labels | {"path": "words.txt"}) == {"words.txt": own}
    both["labels.txt"].unlink()
    assert find(SUM) == {}


def test_an_archive_stands_for_the_files_without_a_checksum_that_it_holds(
    folder: Path, tmp_path: Path
) -> None:
    write_zip(folder, tmp_path / "all.zip", "")
    network = {"file": "mine.tflite", "sha256": None}
    found = find_unpinned(describe_network("litert", tmp_path / "all.zip", network=network, labels=LABELS))
    assert found == {"all.zip": tmp_path / "all.zip"}


def test_every_file_of_a_saved_model_without_a_checksum_is_found(repository: Path) -> None:
    files = {"net/saved_model.pb": b"graph", "net/variables/variables.index": b"index"}
    for name, content in files.items():
        (repository / name).parent.mkdir(parents=True, exist_ok=True)
        (repository / name).write_bytes(content)
    network = {"file": "net", "sha256": None}
    found = find_unpinned(describe_network("saved_model", repository / "net", network=network))
    assert found == {name: repository / name for name in files}


def test_a_relative_path_lies_below_the_working_directory_or_else_below_the_repository(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = tmp_path / "copy of an experiment"
    for place in (repository / "one.tflite", repository / "two.tflite", copy / "one.tflite"):
        place.parent.mkdir(exist_ok=True)
        place.write_bytes(b"network")
    monkeypatch.setenv("DVC_ROOT", str(repository))
    monkeypatch.chdir(copy)
    for name, where in (("one.tflite", copy), ("two.tflite", repository)):
        network = {"file": name, "sha256": None}
        found = find_unpinned(describe_network("litert", Path(name), network=network))
        assert found == {name: where / name}


def test_a_file_without_a_checksum_that_is_not_there_is_named(repository: Path) -> None:
    with pytest.raises(ModelyardError, match=r"^pretrained.path: expected .*there is no .*nowhere.tflite"):
        find_unpinned(describe_network("litert", repository / "nowhere.tflite"))
