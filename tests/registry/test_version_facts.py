"""A version's version.json in a store that other people have."""

import socket
from types import SimpleNamespace
from typing import Any

import pytest
from mlflow.exceptions import MlflowException

from modelyard.errors import ModelyardError
from modelyard.registry.version_facts import FACTS, read_facts
from modelyard.tracking.store import Store


def describe(location: str) -> Any:
    return SimpleNamespace(name="mnist", model_id="m-1", artifact_location=location)


def test_a_server_that_does_not_answer_is_not_taken_for_a_damaged_version(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with socket.create_server(("127.0.0.1", 0)) as listening:
        uri = f"http://127.0.0.1:{listening.getsockname()[1]}"
    with pytest.raises(MlflowException, match=r"API request to .* failed"):
        read_facts(Store(None, uri), describe("mlflow-artifacts:/models/m-1/artifacts"))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("content", "found"),
    [("[1]", "AttributeError"), ("{", "JSONDecodeError"), (f'{{"a": "{"b" * 200_000}"}}', "ValueError")],
    ids=["a list", "cut off", "too large"],
)
def test_a_file_that_is_none_of_modelyards_is_told(tmp_path: Any, content: str, found: str) -> None:
    (tmp_path / FACTS).write_text(content)
    with pytest.raises(ModelyardError, match=rf"expected a version\.json with names and values, got {found}"):
        read_facts(Store(None, ""), describe(tmp_path.as_uri()))  # type: ignore[arg-type]
