"""Whether a process runs, asked of the system and not of a folder that only Linux has."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from modelyard.processes import is_running, own_environment


def test_a_process_runs_until_it_has_ended() -> None:
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    assert is_running(process.pid)
    process.communicate(b"\n")
    assert not is_running(process.pid)


def test_a_process_of_somebody_else_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(pid: int, signal: int) -> None:
        assert signal == 0
        raise PermissionError

    monkeypatch.setattr(os, "kill", refuse)
    assert is_running(1)


def test_what_a_process_starts_by_name_is_of_this_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", os.defpath)
    done = subprocess.run(
        ["python", "-c", "import sys; print(sys.prefix)"],
        env=own_environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == sys.prefix
    assert (
        Path(str(shutil.which("mlflow", path=own_environment()["PATH"]))).parent
        == Path(sys.executable).parent
    )
