"""Whatever another client destroys, commands say what is wrong and go on, and nothing else is lost."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from modelyard.cli.commands.versions import reconcile
from modelyard.cli.main import main
from modelyard.registry.champions.decisions import Decision, Kind
from modelyard.registry.champions.history import History
from modelyard.tracking.store import Store
from small_registry import SmallRegistry


class Damage(NamedTuple):
    """What another client does, and what follows.

    Attributes:
        do: the damage to a registry whose version 2 is champion, after version 1.
        found: what `verify` says, a pattern for each line.
        back: what `rollback` says.
        champions: what was champion, as `history` tells after the rollback.
        name: of the model from then on.
    """

    do: Callable[[SmallRegistry], object]
    found: tuple[str, ...]
    back: str = "version 1 is champion, instead of 2 (decision 3)"
    champions: tuple[int | None, ...] = (1, 2, 1)
    name: str = "mnist"


GONE = r"mnist/{}: its run [0-9a-f]{{32}} is gone: restore the run in MLflow"


def run_of(registry: SmallRegistry) -> str:
    return str(registry.client.get_model_version("mnist", "2").run_id)


def alter(registry: SmallRegistry) -> None:
    labels = registry.artifacts(2) / "artifacts/bundle/labels.json"
    labels.write_text(labels.read_text().replace("7b", "1b"))


def delete_experiment(registry: SmallRegistry) -> None:
    registry.client.delete_experiment(registry.client.get_run(run_of(registry)).info.experiment_id)


def point_at_no_bundle(registry: SmallRegistry) -> None:
    registry.point(int(registry.client.create_model_version("mnist", "file:///nowhere").version))


DAMAGE = {
    "champion deleted": Damage(
        lambda registry: registry.client.delete_model_version("mnist", "2"),
        (
            r"mnist@champion: there is none: `modelyard rollback mnist`",
            r"mnist@champion: it was removed without modelyard: `modelyard reconcile` records that",
        ),
        "version 1 is champion, where there was none (decision 4)",
        (1, 2, None, 1),
    ),
    "run deleted": Damage(lambda registry: registry.client.delete_run(run_of(registry)), (GONE.format(2),)),
    "run deleted for good": Damage(
        lambda registry: registry.delete_for_good(run_of(registry)), (GONE.format(2),)
    ),
    "artifacts deleted": Damage(
        lambda registry: shutil.rmtree(registry.artifacts(2)),
        (r"mnist/2: its artifacts cannot be fetched: .*: restore the artifact store, or delete the version",),
    ),
    "artifacts altered": Damage(
        alter, (r"mnist/2: .*it was changed after registration.*: restore the artifact .*",)
    ),
    "experiment deleted": Damage(delete_experiment, tuple(GONE.format(version) for version in (1, 2, 3))),
    "model renamed": Damage(
        lambda registry: registry.client.rename_registered_model("mnist", "old"), (), name="old"
    ),
    "alias set by hand to no bundle": Damage(
        point_at_no_bundle,
        (
            r"mnist@champion: version 4 was not published by modelyard: the service cannot serve it: .*",
            r"mnist@champion: it was moved to version 4 without modelyard: .*",
        ),
        "version 2 is champion, instead of 4 (decision 4)",
        (1, 2, 4, 2),
    ),
    "two thousand versions": Damage(lambda registry: registry.multiply("mnist", 3, 2000), ()),
}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> SmallRegistry:
    """Three published versions, of which the first was champion before the second."""
    registry = SmallRegistry(tmp_path_factory.mktemp("whole") / "registry")
    for mark in "abc":
        registry.client.set_model_version_tag("mnist", str(registry.add(mark=mark)), "published", "true")
    history = History(Store(registry.client, registry.uri), "mnist")
    history.record(Decision(1, Kind.PROMOTE, 1, None, moved=True))
    history.record(Decision(2, Kind.PROMOTE, 2, 1, moved=True))
    return registry


@pytest.fixture(params=DAMAGE)
def damage(request: pytest.FixtureRequest) -> Damage:
    return DAMAGE[request.param]


def test_what_was_destroyed_is_told_and_the_champion_before_comes_back(
    whole: SmallRegistry,
    damage: Damage,
    tmp_path: Path,
    repository: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    registry = whole.copy(tmp_path / "registry")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", registry.uri)
    before = [one.id for one in History(Store(registry.client, registry.uri), "mnist").read().decisions]
    damage.do(registry)
    count = len(list_all(registry))

    # The tree of this repository has no bundles, which is the last finding.
    assert main(["verify"]) == 1
    *found, _ = capsys.readouterr().out.splitlines()
    assert len(found) == len(damage.found)
    for line, pattern in zip(found, damage.found, strict=True):
        assert re.fullmatch(pattern, line)

    assert main(["rollback", damage.name]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == f"{damage.name}: {damage.back}"

    assert main(["history", damage.name, "--json"]) == 0
    history = json.loads(capsys.readouterr().out)
    assert tuple(term["version"] for term in history["terms"]) == damage.champions
    assert [one["id"] for one in history["decisions"]][:2] == before
    assert len(list_all(registry)) == count
    if damage.name != "mnist":
        assert main(["history", "mnist"]) == main(["rollback", "mnist"]) == 2
        told = "modelyard: no version of 'mnist' is registered; registered are: old"
        assert capsys.readouterr().err.splitlines() == [told] * 2


def test_reconcile_puts_a_champion_that_another_client_deleted_on_record_once(
    whole: SmallRegistry,
    tmp_path: Path,
    repository: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    registry = whole.copy(tmp_path / "registry")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", registry.uri)
    # What DVC does of it is tested with the pipeline.
    monkeypatch.setattr(reconcile, "_run_dvc", lambda *_, **__: None)
    monkeypatch.setattr(reconcile, "_list_registered_outs", lambda _: [])
    DAMAGE["champion deleted"].do(registry)
    for _ in range(2):
        assert main(["reconcile"]) == 1
        assert capsys.readouterr().out.splitlines()[:-1] == [
            "mnist@champion: there is none: `modelyard rollback mnist`"
        ]
    past = History(Store(registry.client, registry.uri), "mnist").read()
    assert [one.kind for one in past.decisions] == [Kind.PROMOTE, Kind.PROMOTE, Kind.BY_HAND]


def list_all(registry: SmallRegistry) -> list[object]:
    return list(registry.client.search_model_versions(max_results=10_000))
