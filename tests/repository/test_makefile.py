"""The Makefile's environment: made once, and made anew where the folder was moved."""

import shutil
import subprocess
from pathlib import Path

import pytest

from conftest import ROOT, SLOW

# Stands in for Python: `-m venv .venv` leaves what is looked at later, and pip has nothing to do.
PYTHON = """#!/bin/sh
if [ "$2" = venv ]; then
    mkdir -p .venv/bin && cp "$0" .venv/bin/python && echo "#!$PWD/.venv/bin/python" > .venv/bin/pip
fi
"""
MOVED = "the folder was moved: .venv still names its old place, so it is made again"
INSTALLING = "installing requirements.txt into .venv (a few minutes, once)"


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A folder with the Makefile and an environment; its path has a space."""
    folder = tmp_path / "a place"
    folder.mkdir()
    shutil.copy(ROOT / "Makefile", folder)
    for name in ("requirements.txt", "requirements-dev.txt", "pyproject.toml"):
        (folder / name).touch()
    (tmp_path / "python").write_text(PYTHON)
    (tmp_path / "python").chmod(0o755)
    assert make(folder) == [INSTALLING]
    return folder


def test_make_quick_leaves_out_files_that_there_are() -> None:
    assert [name for name in SLOW if not (ROOT / "tests" / name).is_file()] == []
    assert len(set(SLOW)) == len(SLOW)


def test_a_second_run_installs_nothing(checkout: Path) -> None:
    assert make(checkout) == []


def test_the_environment_of_a_moved_folder_is_made_anew_once(checkout: Path) -> None:
    (checkout / ".venv/bin/left-over").touch()
    moved = checkout.rename(checkout.parent / "another place")
    assert make(moved) == [MOVED, INSTALLING]
    assert not (moved / ".venv/bin/left-over").exists()
    assert make(moved) == []


def test_a_link_to_an_environment_elsewhere_is_left_alone(checkout: Path) -> None:
    elsewhere = (checkout / ".venv").rename(checkout.parent / "environment")
    (checkout / ".venv").symlink_to(elsewhere)
    assert make(checkout.rename(checkout.parent / "another place")) == []


@pytest.mark.parametrize(("status", "told"), [(0, True), (1, False)])
def test_make_repro_tells_its_results_if_dvc_ended_well(checkout: Path, status: int, told: bool) -> None:
    python = checkout / ".venv/bin/python"
    python.write_text(f'#!/bin/sh\necho "$2 $3"\n[ "$2" != dvc ] || exit {status}\n')
    done = subprocess.run(
        ["make", "--silent", "repro"], cwd=checkout, capture_output=True, text=True, check=False
    )
    assert (done.returncode == 0) == told
    assert done.stdout.splitlines() == ["dvc repro", "modelyard.overview.results --since"][: 1 + told]


def make(folder: Path) -> list[str]:
    """Make the environment, and return what was said."""
    done = subprocess.run(
        ["make", "--silent", ".venv/requirements", f"PYTHON={folder.parent / 'python'}"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.splitlines()
