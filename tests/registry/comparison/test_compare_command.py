"""`modelyard compare` as a user calls it, over a real registry: what it prints, and how it refuses."""

import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from evaluated_registry import PICTURES, RIGHT, EvaluatedRegistry
from fault_server import Fault, run_fault_server
from modelyard.cli.main import main
from modelyard.images.pictures import write_pictures
from modelyard.tracking import address
from small_registry import SmallRegistry

WRONG = (1, *RIGHT[1:])
OTHER_DATA = replace(PICTURES, levels=255 - PICTURES.levels)
SHARED_RUN = "expected a run of one version of mnist, got 4, 5: name one"


class Compared(EvaluatedRegistry):
    """Versions 1 and 2 can be compared; 3 was tested on other data; 4 and 5 share a run; 6 keeps nothing."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.evaluate(RIGHT)
        self.first_run = self.client.get_model_version("mnist", "1").run_id
        self.evaluate(WRONG)
        self.evaluate(RIGHT, pictures=OTHER_DATA)
        self.shared_run = self.start_run()
        for _ in range(2):
            self.evaluate(RIGHT, run_id=self.shared_run)
        (self.kept(self.evaluate(RIGHT)) / "predictions.npz").unlink()
        self.twin_run = self.start_run()
        self.client.set_tag(self.twin_run, "same_bundle_as", "models:/mnist/2")
        self.other_run = self.start_run()
        self.point(2, "challenger")


@pytest.fixture(scope="module")
def compared(tmp_path_factory: pytest.TempPathFactory) -> Compared:
    return Compared(tmp_path_factory.mktemp("compared"))


@pytest.fixture
def registry(compared: Compared, monkeypatch: pytest.MonkeyPatch) -> Compared:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", compared.uri)
    return compared


def test_the_command_prints_a_table(registry: Compared) -> None:
    ended = run("compare", "mnist", "1", "challenger", MLFLOW_TRACKING_URI=registry.uri, COLUMNS="200")
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.startswith(
        "mnist: version 1 (float32) beside version 2 (float32, challenger), on mnist-test\n"
    )
    assert "Traceback" not in ended.stdout
    assert ended.stdout.endswith(" (McNemar's exact test, p = 1.00).\n")


def test_a_reader_that_has_seen_enough_ends_the_command_without_a_word(registry: Compared) -> None:
    command = [sys.executable, "-m", "modelyard.cli", "compare", "mnist", "1", "2", "--json"]
    environment = {**os.environ, "MLFLOW_TRACKING_URI": registry.uri}
    reader, writer = os.pipe()
    os.close(reader)
    ended = subprocess.run(command, env=environment, stdout=writer, stderr=subprocess.PIPE, check=False)
    os.close(writer)
    assert (ended.returncode, ended.stderr) == (141, b"")


def test_help_imports_nothing_heavy() -> None:
    script = (
        "import sys\nfrom modelyard.cli.main import main\n"
        "try:\n    main(['compare', '--help'])\n"
        "finally:\n    print(sorted({'mlflow', 'numpy', 'PIL', 'scipy', 'sklearn'} & set(sys.modules)))"
    )
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert ended.stdout.startswith("usage: modelyard compare [-h] [--json] [--html FILE] NAME A B [B ...]")
    assert ended.stdout.endswith("[]\n")


def test_numbers_aliases_and_runs_name_the_same_versions(
    registry: Compared, capsys: pytest.CaptureFixture[str]
) -> None:
    for first, second in (("1", "2"), (registry.first_run, registry.twin_run), ("1", "challenger")):
        assert main(["compare", "mnist", first, second, "--json"]) == 0
        found = json.loads(capsys.readouterr().out)
        assert (found["first"]["version"], found["second"]["version"]) == (1, 2)
        assert found["second"]["aliases"] == ["challenger"]
        assert found["same_images"]["only_first"] == 1


def test_several_versions_are_each_compared_with_the_first(
    registry: Compared,
    repository: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COLUMNS", "160")
    assert main(["compare", "mnist", "2", "1", "4", "--html", "three.html", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [(one["first"]["version"], one["second"]["version"]) for one in found] == [(2, 1), (2, 4)]
    page = (repository / "three.html").read_text()
    assert page.count('<table class="matrix">') == 3
    assert main(["compare", "mnist", "2", "1", "4"]) == 0
    printed = capsys.readouterr().out
    assert re.search(r"^ +version 2 +version 1 +version 4$", printed, re.MULTILINE)
    assert re.search(r"^test/errors +1 .*\* 0 .*\* 0 ", printed, re.MULTILINE)
    assert printed.count("McNemar's") == 2


def test_a_page_is_written_with_the_images_of_the_repository(
    registry: Compared, repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_pictures(repository / "data" / "test.npz", PICTURES)
    assert main(["compare", "mnist", "1", "2", "--html", "pages/one.html"]) == 0
    assert "mnist: version 1 (float32) beside" in capsys.readouterr().out
    page = (repository / "pages" / "one.html").read_text()
    assert page.count("data:image/png;base64,") == 1


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (("minst", "1", "2"), "models:/minst/1: no version of 'minst' is registered; registered are: mnist"),
        (("mnist", "1", "9"), "models:/mnist/9: expected a version of mnist, one of 1, 2, 3, 4, 5, 6"),
        (("mnist", "1", "9" * 30), "expected a version of mnist"),
        (("mnist", "best", "1"), "models:/mnist@best: expected an alias of mnist, one of challenger"),
        (("mnist", "champion", "1"), "models:/mnist@champion: expected an alias of mnist, one of challenger"),
        (("mnist", "1", "0" * 32), "there is no such run"),
        (("mnist", "1", "a/b"), "expected a model's name and a version's number, alias or run id"),
        (("mn'ist", "1", "2"), "expected a model's name and a version's number, alias or run id"),
        (("mnist", "1", ""), "expected a model's name and a version's number, alias or run id"),
    ],
)
def test_what_there_is_not_is_a_wrong_call(
    registry: Compared, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], line: str
) -> None:
    assert main(["compare", *arguments]) == 2
    assert line in only_line(capsys)


def test_a_run_that_is_no_version_or_two_is_a_wrong_call(
    registry: Compared, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["compare", "mnist", "1", registry.shared_run]) == 2
    assert SHARED_RUN in only_line(capsys)
    assert main(["compare", "mnist", "1", registry.other_run]) == 2
    assert "expected the run of a version of mnist" in only_line(capsys)


def test_a_missing_version_is_a_wrong_call() -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["compare", "mnist", "1"])


@pytest.mark.parametrize(
    ("second", "line"),
    [
        ("3", "expected two versions measured on the same data, models:/mnist/1 was on mnist-test"),
        ("6", "models:/mnist/6: expected evaluation/"),
    ],
)
def test_a_refusal_is_one_line_and_leaves_no_page(
    registry: Compared, capsys: pytest.CaptureFixture[str], tmp_path: Path, second: str, line: str
) -> None:
    assert main(["compare", "mnist", "1", second, "--html", str(tmp_path / "page.html")]) == 1
    assert line in only_line(capsys)
    assert list(tmp_path.iterdir()) == []


def test_a_page_that_cannot_be_written_is_a_refusal(
    registry: Compared, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    for page in (tmp_path, tmp_path / "file" / "page.html"):
        assert main(["compare", "mnist", "1", "2", "--html", str(page)]) == 1
        assert f"--html {page}: expected a file to write" in only_line(capsys)


def test_a_missing_database_is_not_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
    assert main(["compare", "mnist", "1", "2"]) == 1
    assert f"expected the tracking database {tmp_path}/mlflow.db, but there is none" in only_line(capsys)
    assert list(tmp_path.iterdir()) == []


def test_a_registry_without_models_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", SmallRegistry(tmp_path).uri)
    assert main(["compare", "mnist", "1", "2"]) == 2
    assert "no version of 'mnist' is registered; registered are: none" in only_line(capsys)


def test_a_file_that_is_no_database_is_told_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "mlflow.db").write_text("not a database " * 100)
    ended = run("compare", "mnist", "1", "2", MLFLOW_TRACKING_URI=f"sqlite:///{tmp_path}/mlflow.db")
    assert ended.returncode == 1
    last = ended.stderr.splitlines()[-1]
    assert last.startswith("modelyard: the tracking database ")
    assert "file is not a database" in last
    assert "Traceback" not in ended.stderr


def test_a_server_that_hangs_is_told_in_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(address, "SERVER_TIMEOUT_S", 0.2)
    with run_fault_server() as server:
        server.serve("/health", b"OK", Fault(mute=True))
        monkeypatch.setenv("MLFLOW_TRACKING_URI", server.address)
        assert main(["compare", "mnist", "1", "2"]) == 1
    assert "expected an MLflow server, got ReadTimeout. Start it" in only_line(capsys)


def test_a_server_that_hangs_later_is_told_in_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with run_fault_server() as server:
        server.serve("/health", b"OK")
        for path in ("get", "search"):
            path = f"/api/2.0/mlflow/model-versions/{path}?name=mnist&version=1"
            server.serve(path, b"", *[Fault(mute=True)] * 5)
        monkeypatch.setenv("MLFLOW_TRACKING_URI", server.address)
        assert main(["compare", "mnist", "1", "2"]) == 1
    line = only_line(capsys)
    assert "the tracking store failed (" in line
    assert "timed out" in line


def only_line(capsys: pytest.CaptureFixture[str]) -> str:
    """Return the one line that a refusal leaves on stderr; it prints nothing."""
    printed = capsys.readouterr()
    assert printed.out == ""
    [line] = [line for line in printed.err.splitlines() if "Downloading artifacts" not in line]
    assert line.startswith("modelyard: ")
    return line


def run(*arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "modelyard.cli", *arguments],
        env={**os.environ, **settings},
        capture_output=True,
        text=True,
        check=False,
    )
