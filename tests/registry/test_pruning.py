"""What `modelyard prune` removes: nothing that an alias, the history or its age protects."""

import json
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
import yaml

from modelyard.cli import main
from modelyard.params import Prune
from modelyard.registry.champions.decisions import Decision, Kind
from modelyard.registry.champions.history import History
from modelyard.registry.pruning import find_prunable, find_unfinished
from modelyard.registry.publishing.registration import publishing
from modelyard.registry.versions import list_versions
from modelyard.tracking.store import Store
from small_registry import SmallRegistry

AT_ONCE = Prune(min_age_days=0.0, keep_champions=2)


@pytest.fixture
def registry(tmp_path: Path, repository: Path, values: dict[str, Any]) -> SmallRegistry:
    """Seven versions, of which 2, 3 and 4 were champions one after the other, and 7 is challenger."""
    (repository / "params.yaml").write_text(yaml.safe_dump(values))
    registry = SmallRegistry(tmp_path)
    for mark in "abcdefg":
        registry.add(mark=mark)
    history = History(Store(registry.client, registry.uri), "mnist")
    for number, version in enumerate((2, 3, 4), 1):
        history.record(Decision(number, Kind.PROMOTE, version, None, moved=True))
    registry.point(7, "challenger")
    time.sleep(0.01)
    return registry


def test_aliases_and_the_last_champions_are_spared(registry: SmallRegistry) -> None:
    assert prunable(registry, AT_ONCE) == [1, 2, 5, 6]
    assert prunable(registry, AT_ONCE.model_copy(update={"keep_champions": 3})) == [1, 5, 6]
    registry.point(5, "mine")
    assert prunable(registry, AT_ONCE) == [1, 2, 6]


def test_what_is_young_is_spared(registry: SmallRegistry) -> None:
    assert prunable(registry, AT_ONCE.model_copy(update={"min_age_days": 1.0})) == []


def test_what_others_have_registered_is_spared(registry: SmallRegistry) -> None:
    registry.client.create_model_version("mnist", "file:///nowhere")
    assert prunable(registry, AT_ONCE) == [1, 2, 5, 6]


def test_nothing_is_removed_before_it_is_asked_for(
    registry: SmallRegistry, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", registry.uri)
    # A year later.
    monkeypatch.setattr("modelyard.registry.pruning.now", lambda: datetime.now(UTC) + timedelta(days=365))
    assert main(["prune", "mnist"]) == 0
    assert capsys.readouterr().out == "mnist: versions to remove with --delete: 1, 5, 6\n"
    assert len(list_versions(registry.client, "mnist")) == 7
    model_id = registry.client.get_model_version("mnist", "1").tags["model_id"]
    assert main(["prune", "mnist", "--delete", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"versions": [1, 5, 6], "deleted": True}
    assert [int(one.version) for one in list_versions(registry.client, "mnist")] == [2, 3, 4, 7]
    assert registry.client.search_logged_models(["1"], f"model_id = '{model_id}'") == []


def test_what_a_failed_registration_has_left_is_removed_however_young(
    registry: SmallRegistry, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", registry.uri)
    for number in (1, 2, 3, 6):
        registry.client.set_model_version_tag("mnist", str(number), "published", "true")
    registry.client.create_model_version("mnist", "file:///nowhere")
    # Version 4 is champion; 7 is challenger, and 8 is somebody else's.
    assert main(["prune", "mnist", "--unfinished"]) == 0
    assert capsys.readouterr().out == "mnist: versions to remove with --delete: 5, 7\n"
    assert main(["prune", "mnist", "--unfinished", "--delete"]) == 0
    assert [int(one.version) for one in list_versions(registry.client, "mnist")] == [1, 2, 3, 4, 6, 8]
    assert registry.client.get_registered_model("mnist").aliases == {"champion": 4, "challenger": 8}


def test_a_version_that_a_cut_off_decision_makes_champion_is_not_unfinished(
    registry: SmallRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(registry.client, registry.uri)
    with monkeypatch.context() as patch:
        patch.setattr(registry.client, "set_registered_model_alias", Mock(side_effect=KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            History(store, "mnist").record(Decision(4, Kind.PROMOTE, 5, 4, moved=True))
    assert [int(version.version) for version in find_unfinished(store, "mnist")] == [1, 2, 3, 6, 7]


def test_nothing_is_removed_while_a_version_is_published(
    registry: SmallRegistry, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", registry.uri)
    monkeypatch.setattr("modelyard.cli.commands.versions.prune.PUBLISHING_TIMEOUT_S", 0.1)
    with publishing(1.0):
        assert main(["prune", "mnist", "--unfinished", "--delete"]) == 1
    assert "another register still runs" in capsys.readouterr().err
    assert len(list_versions(registry.client, "mnist")) == 7


def prunable(registry: SmallRegistry, rule: Prune) -> list[int]:
    found = find_prunable(Store(registry.client, registry.uri), "mnist", rule)
    return [int(version.version) for version in found]
