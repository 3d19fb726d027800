"""Several sources, the first that answers, and where downloads are kept."""

from pathlib import Path

import pytest

from modelyard.errors import ModelyardError
from modelyard.sources.choice import (
    NoSourceAnswers,
    SourceError,
    Unreachable,
    WrongContent,
    download_folder,
    first_that_answers,
    kept_path,
)


def failing(error: Exception) -> str:
    raise error


def test_the_first_source_that_answers_is_taken() -> None:
    asked = []
    sources = {name: lambda name=name: asked.append(name) or name.upper() for name in ("a", "b")}
    assert first_that_answers("digits", sources, "hint") == ("A", "a")
    assert asked == ["a"]


@pytest.mark.parametrize("kind", [Unreachable, WrongContent])
def test_after_a_failure_the_next_source_is_tried_and_both_are_told(
    capsys: pytest.CaptureFixture[str], kind: type[SourceError]
) -> None:
    sources = {"a": lambda: failing(kind("a", "404 Not Found")), "b": lambda: "bytes"}
    assert first_that_answers("digits", sources, "hint") == ("bytes", "b")
    assert capsys.readouterr().err == "digits: a: 404 Not Found\ndigits: from b\n"


def test_when_no_source_answers_each_is_listed_with_its_reason_and_the_hint_comes_last() -> None:
    sources = {
        "a": lambda: failing(Unreachable("a", "host not found")),
        "b": lambda: failing(WrongContent("b", "wrong checksum")),
    }
    with pytest.raises(NoSourceAnswers) as caught:
        first_that_answers("digits", sources, "Use local files.")
    assert str(caught.value) == (
        "no source gives digits:\n  a: host not found\n  b: wrong checksum\nUse local files."
    )


@pytest.mark.parametrize(("kind", "unreachable"), [(Unreachable, True), (WrongContent, False)])
def test_wrong_content_is_told_apart_from_no_answer(kind: type[SourceError], unreachable: bool) -> None:
    sources = {
        "a": lambda: failing(Unreachable("a", "host not found")),
        "b": lambda: failing(kind("b", "reason")),
    }
    with pytest.raises(NoSourceAnswers) as caught:
        first_that_answers("digits", sources, "hint")
    assert caught.value.unreachable is unreachable


def test_no_source_at_all_is_an_error() -> None:
    with pytest.raises(NoSourceAnswers, match="no source is named"):
        first_that_answers("digits", {}, "hint")


def test_what_is_not_the_fault_of_a_source_ends_the_search() -> None:
    sources = {"a": lambda: failing(ModelyardError("the disk is full")), "b": lambda: "bytes"}
    with pytest.raises(ModelyardError, match="the disk is full"):
        first_that_answers("digits", sources, "hint")


def test_downloads_are_kept_in_the_root_of_the_repository(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "dvc.yaml").touch()
    (tmp_path / "a" / "b").mkdir(parents=True)
    monkeypatch.delenv("DVC_ROOT", raising=False)
    monkeypatch.chdir(tmp_path / "a" / "b")
    assert download_folder() == tmp_path / ".downloads"


def test_an_experiment_shares_the_downloads_of_its_repository(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = tmp_path / ".dvc" / "tmp" / "exps" / "1"
    copy.mkdir(parents=True)
    (copy / "dvc.yaml").touch()
    monkeypatch.chdir(copy)
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    assert download_folder() == tmp_path / ".downloads"


def test_mirrors_do_not_share_a_file_and_no_address_leaves_the_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    kept = tmp_path / ".downloads"
    assert kept_path("https://one.example/mnist/f.gz?x=1") == kept / "one.example" / "mnist" / "f.gz"
    assert kept_path("https://two.example//../../f.gz") == kept / "two.example" / "f.gz"
