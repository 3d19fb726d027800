"""The service keeps its own OpenAPI document: schemathesis reads it, and tries what it allows and forbids."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from conftest import clean_environment
from forked_programs import run_programs
from service_process import Service

# A schema cannot say which texts are base64 of a picture: of generated bodies most are well-formed and no
# pictures. The document's own examples are pictures, and are tried with this check too.
POSITIVE = "positive_data_acceptance"
TOKEN = "one-token"  # noqa: S105  # the test's own


@pytest.fixture(scope="module")
def service(served: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """It records, so that its document has all endpoints."""
    service = Service(served, drain_s=0, recording={"place": str(tmp_path_factory.mktemp("record"))})
    yield service
    assert service.stop() == 0


@pytest.fixture(scope="module")
def guarded(served: Path) -> Iterator[Service]:
    service = Service(served, drain_s=0, token=TOKEN)
    yield service
    assert service.stop() == 0


@pytest.fixture
def workplace(tmp_path: Path) -> Path:
    """A folder for what schemathesis leaves behind, with a configuration that knows what is served."""
    served = '"path.name" = "mnist"\n"path.version" = 1\n"path.alias" = "champion"\n'
    (tmp_path / "schemathesis.toml").write_text(f"[parameters]\n{served}")
    return tmp_path


def run(workplace: Path, service: Service, phases: str, least: int, *options: str) -> None:
    document = f"{service.address}/openapi.json"
    command = ["-m", "schemathesis.cli", "run", document, "--no-color"]
    command += ["--checks", "all", "--phases", phases, "--max-examples", "15", "--generation-deterministic"]
    program = {"folder": str(workplace), "arguments": [*command, *options]}
    [(code, output)] = run_programs([[program]], clean_environment(), ("schemathesis.cli",))
    assert code == 0, output
    [generated] = re.findall(r"(\d+) generated", output)
    assert int(generated) >= least


def test_every_example_of_the_document_is_answered(workplace: Path, service: Service) -> None:
    run(workplace, service, "examples", 10)


def test_what_the_document_allows_and_forbids_is_answered_as_it_says(
    workplace: Path, service: Service
) -> None:
    run(workplace, service, "coverage,fuzzing,stateful", 500, "--exclude-checks", POSITIVE)


def test_names_versions_and_aliases_of_any_form_are_answered_as_the_document_says(
    workplace: Path, service: Service
) -> None:
    (workplace / "schemathesis.toml").unlink()
    run(workplace, service, "coverage", 200, "--exclude-checks", POSITIVE)


def test_the_document_says_where_the_token_is_asked_for(workplace: Path, guarded: Service) -> None:
    header = f"Authorization: Bearer {TOKEN}"
    run(workplace, guarded, "coverage", 200, "--exclude-checks", POSITIVE, "--header", header)
