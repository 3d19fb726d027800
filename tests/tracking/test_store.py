"""The MLflow store: real SQLite files, real processes, a real port that nobody listens on."""

import re
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from conftest import clean_environment
from forked_programs import MLFLOW, run_programs
from modelyard.cli import main
from modelyard.errors import ModelyardError
from modelyard.repository import GitState, read_git_state
from modelyard.tracking.address import tracking_uri
from modelyard.tracking.store import open_tracking
from small_registry import leave_database


def test_the_store_lies_in_the_repository_whatever_the_working_directory(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (repository / "src").mkdir()
    monkeypatch.chdir(repository / "src")
    assert tracking_uri().startswith(f"sqlite:///{repository}/mlflow.db")


def test_an_experiment_of_dvc_uses_the_store_of_the_repository_it_was_started_in(
    repository: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("DVC_ROOT", str(tmp_path / "parent"))
    assert tracking_uri().startswith(f"sqlite:///{tmp_path}/parent/mlflow.db")


def test_a_named_server_is_used(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://somewhere:5000")
    assert tracking_uri() == "http://somewhere:5000"


def test_outside_a_repository_the_error_says_where_to_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ModelyardError, match=r"no dvc\.yaml in"):
        tracking_uri()


def test_a_new_store_keeps_its_artifacts_beside_the_database(repository: Path) -> None:
    tracking = open_tracking("digits")
    experiment = tracking.client.get_experiment(tracking.experiment_id)
    assert experiment.name == "digits"
    assert experiment.artifact_location == (repository / "mlartifacts").as_uri()


@pytest.fixture
def opened_before(repository: Path) -> Path:
    """A repository with the tables of MLflow, for only their making takes long."""
    leave_database(repository / "mlflow.db")
    return repository


def test_the_second_opening_finds_the_first_ones_experiment(opened_before: Path) -> None:
    assert open_tracking("digits").experiment_id == open_tracking("digits").experiment_id


def test_four_processes_may_open_a_new_store_at_once(repository: Path) -> None:
    script = "from modelyard.tracking.store import open_tracking as o; print(o('digits').experiment_id)"
    (repository / "opening.py").write_text(script)
    program = {"folder": str(repository), "arguments": ["opening.py"]}
    ends = run_programs([[program] * 4], clean_environment(), MLFLOW)
    assert ends == ends[:1] * 4
    code, output = ends[0]
    assert code == 0, output
    assert output.strip().isdigit()


def test_a_server_that_does_not_answer_is_named_with_what_to_do(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        uri = f"http://127.0.0.1:{taken.getsockname()[1]}"
        monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
        with pytest.raises(ModelyardError, match=f"MLFLOW_TRACKING_URI={uri}.*Start it"):
            open_tracking("digits")


def test_a_file_that_is_no_database_is_named(repository: Path) -> None:
    (repository / "mlflow.db").write_text("<html>not a database, but long enough to look at</html>" * 20)
    with pytest.raises(ModelyardError, match=r"mlflow\.db cannot be used"):
        open_tracking("digits")


def test_a_deleted_experiment_is_not_filled_in_secret(opened_before: Path) -> None:
    tracking = open_tracking("digits")
    tracking.client.delete_experiment(tracking.experiment_id)
    with pytest.raises(ModelyardError, match="'digits' was deleted"):
        open_tracking("digits")


def fill_half(path: Path) -> None:
    """Leave the tables of an older MLflow."""
    leave_database(path)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("DROP TABLE registered_model_aliases")


def fill_with_others(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE bread (flour INTEGER)")


def spoil(path: Path) -> None:
    leave_database(path)
    path.write_bytes(path.read_bytes()[:200_000])


@pytest.mark.parametrize(
    ("leave", "told"),
    [
        (Path.touch, "it is empty: `make repro` makes them"),
        (fill_with_others, r"it lacks \w+: copy it, then `mlflow db upgrade"),
        (fill_half, "it lacks registered_model_aliases: copy it, then `mlflow db upgrade"),
        (spoil, "cannot be read .*malformed.*: restore it from a copy"),
        (lambda path: path.write_bytes(b"<html>" * 2000), "cannot be read .*not a database.*: restore it"),
    ],
    ids=["empty", "another's", "older", "malformed", "no database"],
)
def test_a_command_leaves_a_database_that_is_not_mlflows_as_it_is_and_says_so_in_a_line(
    repository: Path, capsys: pytest.CaptureFixture[str], leave: Callable[[Path], object], told: str
) -> None:
    leave(repository / "mlflow.db")
    before = (repository / "mlflow.db").read_bytes()
    for command in ("history mnist", "verify", "promote mnist 1", "rollback mnist", "compare mnist 1 2"):
        assert main(command.split()) == 1
        (line,) = capsys.readouterr().err.splitlines()
        assert re.search(told, line), line
    assert (repository / "mlflow.db").read_bytes() == before
    assert sorted(path.name for path in repository.iterdir()) == ["dvc.yaml", "mlflow.db"]


def test_readers_do_not_lock_out_the_writer(opened_before: Path) -> None:
    open_tracking("digits")
    with sqlite3.connect(opened_before / "mlflow.db") as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    connection.close()


@pytest.fixture
def committed(repository: Path) -> GitState:
    """The state of the repository with code and values, all committed."""
    for name in ("src/code.py", "conf/config.yaml", "requirements.txt", "dvc.lock", "README.md"):
        (repository / name).parent.mkdir(exist_ok=True)
        (repository / name).write_text("before")
    for command in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "one"]):
        subprocess.run(["git", "-c", "user.name=t", "-c", "user.email=t@t", *command], check=True)
    return read_git_state(repository)


def test_git_tells_the_commit_of_a_clean_tree(committed: GitState) -> None:
    assert len(committed.commit) == 40
    assert not committed.dirty


@pytest.mark.parametrize("name", ["src/code.py", "src/new.py", "conf/config.yaml", "requirements.txt"])
def test_a_change_in_what_the_stages_read_makes_the_tree_dirty(
    repository: Path, committed: GitState, name: str
) -> None:
    (repository / name).write_text("after")
    assert read_git_state(repository) == GitState(committed.commit, dirty=True)


@pytest.mark.parametrize("name", ["conf/model/cnn_swept.yaml", "comparison.html", "dvc.lock", "README.md"])
def test_what_commands_write_and_stages_do_not_read_leaves_the_tree_clean(
    repository: Path, committed: GitState, name: str
) -> None:
    (repository / name).parent.mkdir(exist_ok=True)
    (repository / name).write_text("after")
    assert read_git_state(repository) == committed


def test_a_folder_without_git_has_no_commit(tmp_path: Path) -> None:
    assert read_git_state(tmp_path) == GitState("", dirty=False)


def test_opening_the_store_imports_no_tensorflow(opened_before: Path) -> None:
    script = (
        "import sys; from modelyard.tracking.store import open_tracking; open_tracking('x');"
        "print('tensorflow' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
