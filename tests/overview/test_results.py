"""`make repro` ends with three lines, and they never fail it."""

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from conftest import ROOT
from modelyard.overview.results import tell_results


@pytest.fixture
def made(tmp_path: Path) -> Path:
    """A folder after a run that registered mnist v3 and two imported versions."""
    registered = {
        "trained/float32": {"name": "mnist", "version": 3},
        "imported/float32": {"name": "inception-v3", "version": 1},
        "imported/int8": {"name": "inception-v3", "version": 2},
    }
    (tmp_path / "registered.json").write_text(json.dumps(registered))
    for name in ("reports/trained/float32/plots", "served"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "reports/trained/float32/plots/mistakes.png").touch()
    report = {"float32": {"test": {"accuracy": 0.9932, "errors": 68}}}
    (tmp_path / "reports/trained.json").write_text(json.dumps(report))
    (tmp_path / "params.yaml").write_text("model: {name: cnn}")
    (tmp_path / "dvc.lock").touch()
    serve(tmp_path, 3)
    return tmp_path


def serve(folder: Path, version: int) -> None:
    served = {f"models:/mnist/{version}": {}, "models:/inception-v3/1": {}}
    (folder / "served/predictions.json").write_text(json.dumps(served))


def run(folder: Path, since: float) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "modelyard.overview.results", "--since", str(since)]
    return subprocess.run(
        command, cwd=folder, env={"PYTHONPATH": str(ROOT / "src")}, capture_output=True, text=True, check=True
    )


def test_the_lines_say_what_was_made_where_to_look_and_what_to_try(made: Path) -> None:
    first, second, third = tell_results(made)
    assert first == "made:  mnist v3 (cnn, 99.32%, 68 errors), inception-v3 v1 (float32) and v2 (int8)"
    assert second.endswith("reports/trained/float32/plots/mistakes.png and served/contact_sheet.png")
    assert third.startswith("next:  `modelyard serve --model mnist`")


def test_a_version_that_is_not_served_yet_is_to_be_compared_and_promoted(made: Path) -> None:
    serve(made, 1)
    assert tell_results(made)[2] == (
        "next:  v1 is served, not v3: `modelyard compare mnist 1 3`, then `modelyard promote mnist 3`"
    )


def test_a_run_that_made_nothing_says_nothing(made: Path) -> None:
    assert run(made, time.time() + 60).stdout == ""
    assert len(run(made, time.time() - 60).stdout.split("\n")) == 5


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"trained/float32": {}}'])
def test_files_that_are_not_as_expected_cost_the_lines_only(made: Path, content: str) -> None:
    (made / "registered.json").write_text(content)
    done = run(made, 0)
    assert done.stdout == ""
    assert done.stderr.startswith("made, but not told what: ")


def test_the_lines_need_no_heavy_import() -> None:
    code = "import sys, modelyard.overview.results; print({'mlflow', 'numpy', 'pandas'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
