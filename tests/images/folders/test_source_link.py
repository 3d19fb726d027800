"""The place of the pictures: a link to wherever they lie, never in the place of somebody's files."""

import os
from pathlib import Path

import pytest

from modelyard.errors import ModelyardError
from modelyard.images.folders.source_link import lay_files, lay_source

LINK = Path("data/source")


def test_an_absolute_path_is_linked_as_it_is(repository: Path, tmp_path: Path) -> None:
    pictures = tmp_path / "my pictures"
    pictures.mkdir()
    lay_source(str(pictures), LINK)
    assert LINK.is_symlink()
    assert str(LINK.readlink()) == str(pictures)
    assert LINK.with_suffix(".txt").read_text() == f"{pictures}\n"


def test_a_relative_path_lies_below_the_working_directory_or_else_below_the_repository(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = tmp_path / "copy of an experiment"
    for folder in (repository / "pictures", repository / "others", copy / "pictures"):
        folder.mkdir(parents=True)
    monkeypatch.setenv("DVC_ROOT", str(repository))
    monkeypatch.chdir(copy)
    lay_source("pictures", LINK)
    assert LINK.resolve() == copy / "pictures"
    lay_source("others", LINK)
    assert LINK.resolve() == repository / "others"
    assert LINK.with_suffix(".txt").read_text() == "others\n"


def test_a_tilde_is_the_home_of_a_user_who_exists(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "home/pictures").mkdir(parents=True)
    lay_source("~/pictures", LINK)
    assert LINK.resolve() == tmp_path / "home/pictures"
    assert LINK.with_suffix(".txt").read_text() == "~/pictures\n"
    (repository / "~no such user").mkdir()
    lay_source("~no such user", LINK)
    assert LINK.resolve() == repository / "~no such user"


def test_without_a_path_a_folder_says_where_the_pictures_come_from(repository: Path) -> None:
    lay_source(None, LINK)
    assert not LINK.is_symlink()
    assert [file.name for file in LINK.iterdir()] == ["README"]
    assert "conf/data" in (LINK / "README").read_text()
    assert LINK.with_suffix(".txt").read_text() == "none\n"


def test_an_earlier_link_or_folder_of_its_own_is_replaced(repository: Path) -> None:
    for name in ("one", "two"):
        (repository / name).mkdir()
        (repository / name / "picture").write_text(name)
    for path in ("one", None, "two", "two", None, None, "one"):
        lay_source(path, LINK)
        assert (LINK / "README").exists() if path is None else (LINK / "picture").read_text() == path
    assert (repository / "two/picture").read_text() == "two"


def test_a_link_to_a_folder_that_is_gone_is_replaced(repository: Path) -> None:
    (repository / "one").mkdir()
    lay_source("one", LINK)
    (repository / "one").rename(repository / "two")
    lay_source("two", LINK)
    assert LINK.resolve() == repository / "two"


def test_the_record_is_written_only_where_it_differs(repository: Path) -> None:
    (repository / "one").mkdir()
    record = LINK.with_suffix(".txt")
    lay_source("one", LINK)
    os.utime(record, (1, 1))
    lay_source("one", LINK)
    assert record.stat().st_mtime == 1
    lay_source(None, LINK)
    assert record.stat().st_mtime != 1


@pytest.mark.parametrize("content", ["their.png", "README"])
@pytest.mark.parametrize("path", ["one", None])
def test_a_real_folder_of_somebodys_is_left_alone(repository: Path, path: str | None, content: str) -> None:
    (repository / "one").mkdir()
    LINK.mkdir(parents=True)
    (LINK / content).write_text("mine")
    with pytest.raises(ModelyardError, match=r"data/source: expected links .* got something else: move it"):
        lay_source(path, LINK)
    assert (LINK / content).read_text() == "mine"


def test_a_file_in_its_place_is_left_alone(repository: Path) -> None:
    LINK.parent.mkdir()
    LINK.write_text("mine")
    with pytest.raises(ModelyardError, match="got something else"):
        lay_source(None, LINK)
    assert LINK.read_text() == "mine"


def test_files_are_linked_by_their_names_and_an_earlier_folder_is_replaced(
    repository: Path, tmp_path: Path
) -> None:
    folder = Path("models/source")
    for name in ("one", "two"):
        (tmp_path / name).write_text(name)
    for files in ({}, {"a": tmp_path / "one", "net/b": tmp_path / "two"}, {}, {"a": tmp_path / "two"}):
        lay_files(files, folder)
        found = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
        assert set(found) == (set(files) or {"README"})
        assert all(found[name].samefile(file) for name, file in files.items())
        assert folder.with_suffix(".txt").read_text().split() == (list(files) or ["none"])
    assert (tmp_path / "two").read_text() == "two"
    (folder / "more").write_text("mine")
    with pytest.raises(ModelyardError, match=r"models/source: expected .* got something else: move it"):
        lay_files({}, folder)
    assert (folder / "more").read_text() == "mine"


def test_a_missing_folder_is_named_with_the_places_where_it_was_looked_for(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    with pytest.raises(ModelyardError) as refused:
        lay_source("none", LINK)
    assert str(refused.value) == (
        f"data.path: expected a folder, but there is no {repository}/none and no {tmp_path}/none"
    )
    with pytest.raises(ModelyardError, match=r"data.path: expected a folder, but there is no /no/where$"):
        lay_source("/no/where", LINK)
    assert not LINK.exists()


def test_a_path_that_is_no_folder_is_refused(repository: Path) -> None:
    with pytest.raises(ModelyardError, match=r"data.path: expected a folder, .*dvc.yaml is not one"):
        lay_source("dvc.yaml", LINK)


@pytest.mark.parametrize("path", [".", "data", "data/source"])
def test_a_folder_around_the_link_is_refused(repository: Path, path: str) -> None:
    (repository / "one").mkdir()
    lay_source("one", LINK)
    with pytest.raises(ModelyardError, match=rf"expected a folder apart from data/source, got {path}"):
        lay_source(path, LINK)
    assert LINK.resolve() == repository / "one"
