"""What is told in a line, and what is a bug."""

import errno

import mlflow
import pytest

from modelyard.errors import ModelyardError, UsageError
from modelyard.failures import explain
from modelyard.inference.bundle import BundleError


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (ModelyardError("no flour: buy some"), "no flour: buy some"),
        (UsageError("no such bread"), "no such bread"),
        (BundleError("bundles/mnist: no labels"), "bundles/mnist: no labels"),
        (
            OSError(errno.ENOSPC, "No space left on device", "bread"),
            "No space left on device: bread: make room, then run again",
        ),
        (
            PermissionError(errno.EACCES, "Permission denied", "bread"),
            "Permission denied: bread: make it writable, then run again",
        ),
        (
            mlflow.MlflowException("attempt to write a readonly database\n[SQL: INSERT ...]"),
            "the tracking store failed (attempt to write a readonly database): see to it, then run again",
        ),
        (KeyError("bread"), None),
        (FileNotFoundError(errno.ENOENT, "No such file", "bread"), None),
    ],
)
def test_what_a_person_can_mend_is_one_line(error: Exception, line: str | None) -> None:
    assert explain(error) == line


def test_a_long_reason_keeps_its_beginning_and_its_cause() -> None:
    line = explain(mlflow.MlflowException(f"API request failed {'x' * 5000} Read timed out."))
    assert line is not None
    assert "API request failed" in line
    assert "Read timed out." in line
    assert len(line) < 400
