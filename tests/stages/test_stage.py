"""How a stage ends: one line for what a person can mend, a traceback for a bug. Real processes."""

import subprocess
import sys
from pathlib import Path

import pytest

from conftest import ROOT

SCRIPT = """
import errno
from modelyard.errors import ModelyardError
from modelyard.inference.bundle import BundleError
from modelyard.stages.stage import run_stage

def bake(arguments, params):
    {body}

run_stage(bake, "out")
"""


def test_a_stage_gets_its_paths_and_its_parameters(tmp_path: Path) -> None:
    assert run(tmp_path, "print(arguments.out.name, params.model.name)").stdout == "bread cnn\n"


@pytest.mark.parametrize(
    ("body", "line"),
    [
        ("raise ModelyardError('no flour: buy some')", "bake: no flour: buy some\n"),
        ("raise BundleError('bundles/mnist: no labels')", "bake: bundles/mnist: no labels\n"),
        (
            "raise OSError(errno.ENOSPC, 'No space left on device', 'bread')",
            "bake: No space left on device: bread: make room, then run again\n",
        ),
        (
            "import mlflow; raise mlflow.MlflowException('the database is locked')",
            "bake: the tracking store failed (the database is locked): check the store, then run again\n",
        ),
    ],
)
def test_what_a_person_can_mend_is_one_line(tmp_path: Path, body: str, line: str) -> None:
    ended = run(tmp_path, body)
    assert (ended.returncode, ended.stderr) == (1, line)


def test_a_full_disk_is_told_by_the_file(tmp_path: Path) -> None:
    body = "file = open('/dev/full', 'w'); file.write('x' * 100000); file.close()"
    assert "No space left on device" in run(tmp_path, body).stderr


def test_a_bug_keeps_its_traceback(tmp_path: Path) -> None:
    ended = run(tmp_path, "[].pop()")
    assert ended.returncode == 1
    assert "Traceback" in ended.stderr
    assert "IndexError: pop from empty list" in ended.stderr


def test_ctrl_c_ends_without_a_traceback(tmp_path: Path) -> None:
    ended = run(tmp_path, "raise KeyboardInterrupt")
    assert (ended.returncode, ended.stderr) == (130, "")


def run(folder: Path, body: str) -> subprocess.CompletedProcess[str]:
    (folder / "bake.py").write_text(SCRIPT.format(body=body))
    command = [sys.executable, "bake.py", "--out", "bread"]
    command += ["--params", str(ROOT / "params.yaml")]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
