"""A folder that was moved, with its database and artifacts: noticed, and mended by one command."""

import json
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from modelyard.cli import main
from modelyard.errors import ModelyardError
from modelyard.registry.artifacts import fetch_bundle
from modelyard.registry.verification import verify_registry
from modelyard.registry.versions import list_versions
from modelyard.tracking.address import ARTIFACTS
from modelyard.tracking.relocation import find_former_folders, relocate
from modelyard.tracking.store import Store, ensure_experiment, open_store, open_tracking
from small_registry import SmallRegistry

Move = Callable[[str], Store]


@pytest.fixture
def before(tmp_path: Path) -> Path:
    """A folder with a registry of two published versions; its path has a space."""
    registry = SmallRegistry(tmp_path / "a place")
    for mark in "ab":
        version = str(registry.add(mark=mark))
        registry.client.set_model_version_tag("mnist", version, "published", "true")
    registry.point(1)
    return tmp_path / "a place"


@pytest.fixture
def move(before: Path, monkeypatch: pytest.MonkeyPatch) -> Move:
    """Move the folder to a path below the test's, and open the registry there."""

    def do(name: str) -> Store:
        after = before.parent / name
        after.parent.mkdir(exist_ok=True)
        before.rename(after)
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{after}/mlflow.db")
        return open_store()

    return do


def test_a_moved_registry_is_noticed_once_and_works_after_one_command(
    before: Path, move: Move, capsys: pytest.CaptureFixture[str]
) -> None:
    store = move("another place")
    findings = [one for one in verify_registry(store) if one.subject != "mnist@champion"]
    assert [(one.problem, one.remedy) for one in findings] == [
        (f"the folder was moved from {before}", "`modelyard relocate`")
    ]
    assert main(["relocate", "--json"]) == 0
    # An experiment, two runs, two logged models, two versions.
    assert json.loads(capsys.readouterr().out) == {"locations": 7}
    assert [one.subject for one in verify_registry(store)] == ["mnist@champion"]
    for version in list_versions(store.client, "mnist"):
        assert fetch_bundle(store, version).content_key == version.tags["content_key"]


def test_a_copy_writes_nothing_into_the_folder_that_it_was_copied_from(
    before: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = before.parent / "copy"
    shutil.copytree(before, copy)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{copy}/mlflow.db")
    store = open_store()
    [experiment] = [one.name for one in store.client.search_experiments() if one.name != "Default"]
    with pytest.raises(ModelyardError) as caught:
        open_tracking(experiment)
    assert str(caught.value) == (
        f"{copy} was moved or copied from {before}, where new artifacts would be written: run "
        "`modelyard relocate` once"
    )
    relocate(store.uri)
    assert open_tracking(experiment).experiment_id


def test_nothing_names_the_former_folder_any_more(before: Path, move: Move) -> None:
    store = move("another place")
    relocate(store.uri)
    with closing(sqlite3.connect(before.parent / "another place" / "mlflow.db")) as connection:
        dump = "\n".join(connection.iterdump())
    assert before.name not in dump.replace("%20", " ").replace("another place", "")


def test_relocating_again_changes_nothing(move: Move) -> None:
    store = move("another place")
    relocate(store.uri)
    assert relocate(store.uri) == 0
    assert find_former_folders(store.uri) == []


def test_what_was_made_after_the_move_stays_where_it_is(move: Move) -> None:
    # The new address begins like the former one.
    store = move("a place of its own")
    ensure_experiment(store.client, store.uri, "new", "What it holds.")
    relocate(store.uri)
    locations = {one.artifact_location for one in store.client.search_experiments() if one.name != "Default"}
    assert locations == {Path(store.uri.removeprefix("sqlite:///")).with_name(ARTIFACTS).as_uri()}


def test_a_registry_that_stayed_has_no_former_folder(before: Path) -> None:
    assert find_former_folders(f"sqlite:///{before}/mlflow.db") == []


def test_artifacts_that_are_gone_are_no_move(before: Path, move: Move) -> None:
    (before / ARTIFACTS).rename(before.parent / "elsewhere")
    assert find_former_folders(move("another place").uri) == []


def test_a_server_is_refused() -> None:
    with pytest.raises(ModelyardError, match="expected a SQLite database, but the store is http://example"):
        relocate("http://example.org")


def test_a_file_that_is_no_database_of_mlflow_is_told(tmp_path: Path) -> None:
    (tmp_path / ARTIFACTS).mkdir()
    (tmp_path / "mlflow.db").write_bytes(b"")
    with pytest.raises(ModelyardError, match=r"cannot be used as a database of MLflow 3.17 \(no such table"):
        relocate(f"sqlite:///{tmp_path}/mlflow.db")
