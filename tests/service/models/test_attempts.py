"""A bundle is tried once; a process that ends while it loads one is counted, and the second is the last."""

import subprocess
import sys
from pathlib import Path

import pytest

from modelyard.inference.bundle import BundleError
from modelyard.service.models import attempts
from modelyard.service.models.attempts import RECORD, count_crash, try_once

CRASH = """
import os, signal, sys
from pathlib import Path
from modelyard.service.models.attempts import count_crash
with count_crash(Path(sys.argv[1])):
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def trials(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """What was tried in a process of its own; all goes well there."""
    tried: list[Path] = []
    monkeypatch.setattr(attempts, "try_bundle", tried.append)
    return tried


def crash(folder: Path) -> None:
    assert subprocess.run([sys.executable, "-c", CRASH, str(folder)]).returncode == -9


def test_what_went_well_once_is_not_tried_again(tmp_path: Path, trials: list[Path]) -> None:
    for _ in range(3):
        try_once(tmp_path)
        with count_crash(tmp_path):
            pass
    assert trials == [tmp_path]


def test_what_fails_is_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(folder: Path) -> None:
        raise BundleError(f"{folder}: no")

    monkeypatch.setattr(attempts, "try_bundle", fail)
    for _ in range(3):
        with pytest.raises(BundleError, match="no"):
            try_once(tmp_path)


def test_another_litert_tries_again(
    tmp_path: Path, trials: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    try_once(tmp_path)
    monkeypatch.setattr(attempts, "_describe_machine", lambda: "LiteRT of next year")
    try_once(tmp_path)
    assert len(trials) == 2


def test_a_second_crash_is_the_last_until_a_person_removes_its_record(
    tmp_path: Path, trials: list[Path]
) -> None:
    try_once(tmp_path)
    crash(tmp_path)
    try_once(tmp_path)
    assert len(trials) == 2
    crash(tmp_path)
    with pytest.raises(BundleError, match=f"ended 2 times .*remove {tmp_path / RECORD}") as caught:
        try_once(tmp_path)
    assert str(tmp_path) not in caught.value.reason
    (tmp_path / RECORD).unlink()
    try_once(tmp_path)
    assert len(trials) == 3


def test_a_load_that_goes_well_or_fails_in_words_takes_a_crash_back(
    tmp_path: Path, trials: list[Path]
) -> None:
    for error in (None, BundleError("no")):
        crash(tmp_path)
        try:
            with count_crash(tmp_path):
                if error:
                    raise error
        except BundleError:
            assert error is not None
    try_once(tmp_path)
    assert trials == [tmp_path]


@pytest.mark.parametrize("content", [b"", b'{"crashes', b"[]", b'{"crashes": "x", "tried": 3}', b"\xff"])
def test_a_record_that_cannot_be_read_says_nothing(
    tmp_path: Path, trials: list[Path], content: bytes
) -> None:
    (tmp_path / RECORD).write_bytes(content)
    try_once(tmp_path)
    try_once(tmp_path)
    assert trials == [tmp_path]


def test_a_copy_that_cannot_be_written_has_its_bundles_tried_every_time(
    tmp_path: Path, trials: list[Path]
) -> None:
    (tmp_path / RECORD).mkdir()
    for _ in range(2):
        try_once(tmp_path)
        with count_crash(tmp_path):
            pass
    assert trials == [tmp_path, tmp_path]
