"""The registry held against itself and the tree: whatever is wrong is found, and what is whole is not."""

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from modelyard.registry.decisions import Decision, Kind
from modelyard.registry.history import History
from modelyard.registry.verification import Finding, verify_registry, verify_tree
from modelyard.tracking.store import Store
from small_registry import SmallRegistry, make_bundle

Spoil = Callable[[SmallRegistry], object]


@pytest.fixture
def registry(tmp_path: Path) -> SmallRegistry:
    """Two published versions, of which the first is champion on record; and a model of somebody else's."""
    registry = SmallRegistry(tmp_path / "registry")
    for mark in "ab":
        version = registry.add(mark=mark)
        registry.client.set_model_version_tag("mnist", str(version), "published", "true")
    History(open_store(registry), "mnist").record(Decision(1, Kind.REGISTER, 1, None, moved=True))
    registry.client.create_registered_model("foreign")
    registry.client.create_model_version("foreign", "file:///nowhere")
    return registry


def test_a_whole_registry_has_no_findings(registry: SmallRegistry) -> None:
    assert find(registry) == []


@pytest.mark.parametrize(
    ("spoil", "subject", "problem"),
    [
        (lambda registry: shutil.rmtree(registry.artifacts(2)), "mnist/2", "its artifacts cannot be fetched"),
        (lambda registry: change(registry, 2), "mnist/2", "it was changed after registration"),
        (lambda registry: delete_run(registry, 2), "mnist/2", "its run .* is gone"),
        (
            lambda registry: registry.client.delete_model_version_tag("mnist", "2", "published"),
            "mnist/2",
            "its publication was cut off",
        ),
        (
            lambda registry: registry.client.set_model_version_tag(
                "mnist", "2", "content_key", key_of(registry, 1)
            ),
            "mnist/2",
            "it holds the same as version 1",
        ),
        (lambda registry: registry.point(2), "mnist@champion", "moved to version 2 without modelyard"),
        (
            lambda registry: registry.client.delete_registered_model_alias("mnist", "champion"),
            "mnist@champion",
            "there is none",
        ),
    ],
    ids=["artifacts", "digest", "run", "cut off", "twice", "by hand", "no champion"],
)
def test_what_is_wrong_is_found(registry: SmallRegistry, spoil: Spoil, subject: str, problem: str) -> None:
    spoil(registry)
    assert [one for one in find(registry) if one.subject == subject and re.search(problem, one.problem)]


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


def open_store(registry: SmallRegistry) -> Store:
    return Store(registry.client, registry.uri)


def change(registry: SmallRegistry, version: int) -> None:
    labels = registry.artifacts(version) / "artifacts" / "bundle" / "labels.json"
    labels.write_text(labels.read_text().replace("7b", "1b"))


def delete_run(registry: SmallRegistry, version: int) -> None:
    registry.client.delete_run(registry.client.get_model_version("mnist", str(version)).run_id)


def key_of(registry: SmallRegistry, version: int) -> str:
    return str(registry.client.get_model_version("mnist", str(version)).tags["content_key"])
