"""TensorFlow's chatter is held back until it is needed."""

import importlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

import modelyard
from modelyard.errors import ModelyardError
from modelyard.imports import left_out
from modelyard.quiet import quiet_tensorflow


def test_chatter_is_shown_when_something_unexpected_happens(capfd: pytest.CaptureFixture[str]) -> None:
    with quiet_tensorflow():
        os.write(2, b"all is well\n")
    with pytest.raises(RuntimeError):
        fail_with(RuntimeError())
    assert capfd.readouterr().err == "the last words\n"


def test_an_error_that_says_enough_shows_no_chatter(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ModelyardError):
        fail_with(ModelyardError("expected this, got that"))
    assert capfd.readouterr().err == ""


def test_what_is_left_out_is_as_if_not_installed_and_can_be_imported_afterwards(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delitem(sys.modules, "colorsys", raising=False)
    with left_out("colorsys", "os"):
        with pytest.raises(ImportError):
            importlib.import_module("colorsys")
        assert importlib.import_module("os") is os
    assert importlib.import_module("colorsys").rgb_to_hsv(0, 0, 0) == (0, 0, 0)


# Stands in for Keras, and tells what it could import.
KERAS = """
import importlib
found = []
for name in ("matplotlib", "sklearn"):
    try:
        found.append(importlib.import_module(name))
    except ImportError:
        continue
"""


def test_keras_comes_without_what_it_can_do_without(tmp_path: Path) -> None:
    files = {"keras": KERAS, "tensorflow": "constant = int\n", "matplotlib": "", "sklearn": ""}
    for name, text in files.items():
        (tmp_path / f"{name}.py").write_text(text)
    script = (
        "from modelyard.quiet import import_tensorflow\nimport_tensorflow()\n"
        "import gc, keras, matplotlib, sklearn\nprint(keras.found, gc.isenabled())"
    )
    # Not this process's own path, to which MLflow adds the code of models that other tests load.
    paths = os.pathsep.join([str(tmp_path), str(Path(modelyard.__file__).parent.parent)])
    done = subprocess.run(
        [sys.executable, "-c", script], env=os.environ | {"PYTHONPATH": paths}, capture_output=True, text=True
    )
    assert (done.returncode, done.stdout) == (0, "[] True\n"), done.stderr


def fail_with(error: Exception) -> None:
    with quiet_tensorflow():
        os.write(2, b"the last words\n")
        raise error
