"""The registry held against itself and the tree: whatever is wrong is found, and what is whole is not."""

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from modelyard.cli import main
from modelyard.errors import ModelyardError, UsageError
from modelyard.registry.artifacts import fetch_bundle
from modelyard.registry.champions.decisions import Decision, Kind
from modelyard.registry.champions.history import History
from modelyard.registry.verification import Finding, verify_registry, verify_tree
from modelyard.registry.versions import find_version
from modelyard.tracking.store import Store
from small_registry import SmallRegistry, make_bundle

Spoil = Callable[[SmallRegistry], object]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> SmallRegistry:
    """Two published versions, of which the first is champion on record; and models of somebody else's."""
    registry = SmallRegistry(tmp_path_factory.mktemp("whole") / "registry")
    begin(registry)
    for name in ("foreign", "o'brien", 'a "name"', "\x1b[2J"):
        registry.client.create_registered_model(name)
        registry.client.create_model_version(name, "file:///nowhere")
    return registry


@pytest.fixture
def registry(whole: SmallRegistry, tmp_path: Path) -> SmallRegistry:
    """A copy that a test may spoil."""
    return whole.copy(tmp_path / "registry")


def test_a_whole_registry_has_no_findings(registry: SmallRegistry) -> None:
    assert find(registry) == []


DAMAGE: dict[str, tuple[Spoil, str, str]] = {
    "artifacts": (
        lambda registry: shutil.rmtree(registry.artifacts(2)),
        "mnist/2",
        "its artifacts cannot be fetched",
    ),
    "digest": (lambda registry: change(registry, 2), "mnist/2", "it was changed after registration"),
    "description": (
        lambda registry: describe(registry, 2, b"{}"),
        "mnist/2",
        r"its MLmodel file names no bundle \(KeyError: 'flavors'\)",
    ),
    "run": (lambda registry: delete_run(registry, 2), "mnist/2", "its run .* is gone"),
    "run for good": (
        lambda registry: registry.delete_for_good(run_of(registry, 2)),
        "mnist/2",
        "its run .* is gone",
    ),
    "cut off": (
        lambda registry: registry.client.delete_model_version_tag("mnist", "2", "published"),
        "mnist/2",
        "its publication was cut off",
    ),
    "twice": (
        lambda registry: registry.client.set_model_version_tag(
            "mnist", "2", "content_key", key_of(registry, 1)
        ),
        "mnist/2",
        "it holds the same as version 1",
    ),
    "by hand": (
        lambda registry: registry.point(2),
        "mnist@champion",
        "it was moved to version 2 without modelyard",
    ),
    "no champion": (
        lambda registry: registry.client.delete_registered_model_alias("mnist", "champion"),
        "mnist@champion",
        "there is none: `modelyard rollback mnist`",
    ),
    "removed": (
        lambda registry: registry.client.delete_registered_model_alias("mnist", "champion"),
        "mnist@champion",
        "it was removed without modelyard",
    ),
    "champion deleted": (
        lambda registry: registry.client.delete_model_version("mnist", "1"),
        "mnist@champion",
        "there is none",
    ),
    "foreign champion": (
        lambda registry: registry.point(add_foreign(registry)),
        "mnist@champion",
        "version 3 was not published by modelyard: the service cannot serve it: `modelyard rollback mnist`",
    ),
    "dangling alias": (
        lambda registry: registry.execute("UPDATE registered_model_aliases SET version = 7"),
        "mnist@champion",
        "it points to version 7, which is gone",
    ),
    "history": (
        lambda registry: registry.client.delete_run(history_of(registry)),
        "mnist's history",
        "its run was deleted in MLflow: `modelyard reconcile` restores it",
    ),
    "history's experiment": (
        lambda registry: delete_decisions(registry),
        "mnist's history",
        "its run was deleted in MLflow",
    ),
    "history for good": (
        lambda registry: registry.delete_for_good(history_of(registry)),
        "mnist's history",
        "its run was deleted in MLflow: .* or begins a new one",
    ),
    "decision": (
        lambda registry: registry.client.log_param(history_of(registry), "decision/0002", "[" * 3000),
        "mnist's history",
        "decision 2 of run .* cannot be read",
    ),
}


@pytest.mark.parametrize(("spoil", "subject", "told"), DAMAGE.values(), ids=DAMAGE)
def test_what_is_wrong_is_found(registry: SmallRegistry, spoil: Spoil, subject: str, told: str) -> None:
    spoil(registry)
    assert [line for line in tell(registry) if re.search(f"^{re.escape(subject)}: .*{told}", line)]


def test_of_a_registry_damaged_in_every_way_all_is_told_and_the_command_ends_with_1(
    registry: SmallRegistry,
    repository: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", registry.uri)
    # A model for each, in which no damage hides another.
    groups = {
        "one": ("artifacts", "run", "foreign champion"),
        "two": ("digest", "cut off", "champion deleted"),
        "three": ("description", "run for good", "decision"),
    }
    for name, kinds in groups.items():
        for kind in kinds:
            DAMAGE[kind][0](registry)
        registry.client.rename_registered_model("mnist", name)
        begin(registry)
    DAMAGE["twice"][0](registry)
    DAMAGE["history's experiment"][0](registry)
    assert main(["verify"]) == 1
    lines = capsys.readouterr().out.splitlines()
    for name, kinds in {**groups, "mnist": ("twice", "history's experiment")}.items():
        for kind in kinds:
            subject, told = (text.replace("mnist", name) for text in DAMAGE[kind][1:])
            assert [line for line in lines if re.search(f"^{re.escape(subject)}: .*{told}", line)], kind


def test_whatever_an_mlmodel_file_holds_the_other_versions_are_looked_at(registry: SmallRegistry) -> None:
    path = "flavors: {python_function: {artifacts: {bundle: {path: %s}}}}"
    version = find_version(registry.client, "mnist", "1")
    for text in (
        *("", "{", "[]", "a: [b, c", "flavors:", "flavors: {python_function: 3}", "\0", "\xff", "[" * 5000),
        *(path % value for value in ("", "3", "[a]", "nowhere", '"\\0"', "9" * 5000)),
        *("flavors: {python_function: {loader_module: os}}", "&a [*a]", "!!python/object:os.system {}"),
    ):
        describe(registry, 1, text.encode("latin-1"))
        with pytest.raises(ModelyardError, match=r"^models:/mnist/1: ") as refused:
            fetch_bundle(open_store(registry), version)
        assert len(str(refused.value).splitlines()) == 1
        assert len(str(refused.value)) < 1000
    delete_run(registry, 2)
    assert [one.subject for one in find(registry)] == ["mnist/1", "mnist/2"]


def test_among_two_thousand_versions_the_broken_one_is_found(registry: SmallRegistry) -> None:
    registry.multiply("mnist", 2, 2000)
    shutil.rmtree(registry.artifacts(1))
    assert [one.subject for one in find(registry)] == ["mnist/1"]
    registry.client.set_model_version_tag("mnist", "2000", "content_key", key_of(registry, 2))
    assert "it holds the same as version 2" in [one.problem for one in find(registry)]
    with pytest.raises(
        UsageError, match=r"mnist/2001: expected a version of mnist, one of 1, 2, 3, \.\.\., 1998"
    ):
        find_version(registry.client, "mnist", "2001")


def test_of_a_cut_off_version_both_ways_out_are_named(registry: SmallRegistry) -> None:
    registry.client.delete_model_version_tag("mnist", "2", "published")
    (finding,) = find(registry)
    assert finding.remedy == (
        "`modelyard reconcile` completes it, `modelyard prune mnist --unfinished --delete` removes it"
    )


def test_a_decision_that_was_cut_off_is_found(
    registry: SmallRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(registry.client, "set_registered_model_alias", interrupt)
        decision = Decision(2, Kind.PROMOTE, 2, 1, moved=True)
        with pytest.raises(KeyboardInterrupt):
            History(open_store(registry), "mnist").record(decision)
    (finding,) = find(registry)
    assert finding == Finding(
        "mnist@champion", "decision 2 for version 2 was cut off", "`modelyard reconcile`"
    )


def test_the_trees_bundles_must_be_registered(registry: SmallRegistry, tmp_path: Path) -> None:
    bundles = tmp_path / "bundles"
    (nothing,) = verify_tree(open_store(registry), bundles)
    assert (nothing.problem, nothing.remedy[:14]) == ("it holds none", "`dvc checkout`")
    make_bundle(bundles / "trained/known", mark="a")
    assert list(verify_tree(open_store(registry), bundles)) == []
    unknown = make_bundle(bundles / "trained/unknown", mark="z")
    (bundles / "trained/broken").mkdir()
    broken, missing = verify_tree(open_store(registry), bundles)
    assert broken.subject == "bundles/trained/broken"
    assert missing.problem == f"its content {unknown.content_key[:12]} is no version of mnist"


def find(registry: SmallRegistry) -> list[Finding]:
    return list(verify_registry(open_store(registry)))


def begin(registry: SmallRegistry) -> None:
    """Publish two versions of `mnist`, the first as champion on record."""
    for mark in "ab":
        version = registry.add(mark=mark)
        registry.client.set_model_version_tag("mnist", str(version), "published", "true")
    History(open_store(registry), "mnist").record(Decision(1, Kind.REGISTER, 1, None, moved=True))


def open_store(registry: SmallRegistry) -> Store:
    return Store(registry.client, registry.uri)


def tell(registry: SmallRegistry) -> list[str]:
    return [f"{one.subject}: {one.problem}: {one.remedy}" for one in find(registry)]


def describe(registry: SmallRegistry, version: int, described: bytes) -> None:
    """Let a version's MLmodel file hold this."""
    (registry.artifacts(version) / "MLmodel").write_bytes(described)


def add_foreign(registry: SmallRegistry) -> int:
    """Register a version of `mnist` that is no bundle."""
    return int(registry.client.create_model_version("mnist", "file:///nowhere").version)


def history_of(registry: SmallRegistry) -> str:
    return str(registry.client.get_registered_model("mnist").tags["history_run"])


def delete_decisions(registry: SmallRegistry) -> None:
    registry.client.delete_experiment(
        registry.client.get_experiment_by_name("modelyard decisions").experiment_id
    )


def change(registry: SmallRegistry, version: int) -> None:
    labels = registry.artifacts(version) / "artifacts" / "bundle" / "labels.json"
    labels.write_text(labels.read_text().replace("7b", "1b"))


def delete_run(registry: SmallRegistry, version: int) -> None:
    registry.client.delete_run(run_of(registry, version))


def run_of(registry: SmallRegistry, version: int) -> str:
    return str(registry.client.get_model_version("mnist", str(version)).run_id)


def key_of(registry: SmallRegistry, version: int) -> str:
    return str(registry.client.get_model_version("mnist", str(version)).tags["content_key"])
