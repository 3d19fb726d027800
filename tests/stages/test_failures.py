"""What is told in a line, and what is a bug."""

import errno
import sqlite3
from contextlib import closing
from pathlib import Path

import mlflow
import pytest
import sqlalchemy

from modelyard.errors import ModelyardError, UsageError, first_line
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
            mlflow.MlflowException("the schema is out of date\nupgrade it"),
            "the tracking store failed (the schema is out of date): check the store, then run again",
        ),
        (KeyError("bread"), None),
        (FileNotFoundError(errno.ENOENT, "No such file", "bread"), None),
    ],
)
def test_what_a_person_can_mend_is_one_line(error: Exception, line: str | None) -> None:
    assert explain(error) == line


@pytest.mark.parametrize(
    ("error", "line"),
    [(OSError("no bread\nbake some"), "no bread"), (OSError(), "OSError"), (ValueError("\n"), "ValueError")],
)
def test_the_first_line_of_an_error_without_a_message_is_its_name(error: Exception, line: str) -> None:
    assert first_line(error) == line


def test_a_database_that_may_not_be_written_is_told_so(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "mlflow.db")) as database:
        database.execute("CREATE TABLE versions (number INTEGER)")
    engine = sqlalchemy.create_engine(f"sqlite:///file:{tmp_path}/mlflow.db?mode=ro&uri=true")
    with (
        engine.connect() as connection,
        pytest.raises(sqlalchemy.exc.OperationalError) as caught,
    ):
        connection.execute(sqlalchemy.text("INSERT INTO versions VALUES (1)"))
    engine.dispose()
    line = explain(caught.value)
    assert line is not None
    assert "attempt to write a readonly database): make its file and folder writable, then run again" in line


def test_a_long_reason_keeps_its_beginning_and_its_cause() -> None:
    line = explain(mlflow.MlflowException(f"API request failed {'x' * 5000} Read timed out."))
    assert line is not None
    assert "API request failed" in line
    assert "Read timed out." in line
    assert len(line) < 400
