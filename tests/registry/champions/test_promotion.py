"""Promotion and rollback in a real registry: through the gate or by force, and always on record."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import yaml

from conftest import ROOT, compose_values
from modelyard.cli import main
from modelyard.errors import ModelyardError, UsageError
from modelyard.params import validate_params
from modelyard.params.catalogue import find_gate
from modelyard.params.published import Limit
from modelyard.registry.champions.decisions import Kind
from modelyard.registry.champions.history import History, OvertakenError
from modelyard.registry.champions.promotion import RefusedError, promote, roll_back
from modelyard.registry.comparison.comparison import compare
from modelyard.registry.evidence import read_evidence
from modelyard.registry.versions import find_version
from modelyard.tracking.store import Store
from small_registry import SmallRegistry

# As good as any, but not what was registered.
LABELS = json.dumps([{"name": str(digit), "synset": None} for digit in range(10)])
SHIPPED = validate_params(compose_values()).data.gate
GATE = SHIPPED.model_copy(update={"metrics": {**SHIPPED.metrics, "latency/p50_ms": Limit(max=5.0)}})


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> SmallRegistry:
    registry = SmallRegistry(tmp_path_factory.mktemp("measured") / "registry")
    for mark, wrong in (("a", 10), ("b", 0), ("c", 50)):
        registry.measure(registry.add(mark=mark), range(wrong))
    return registry


@pytest.fixture
def registry(measured: SmallRegistry, tmp_path: Path) -> SmallRegistry:
    """Version 1 has 10 of 1,000 digits wrong, 2 none, 3 has 50."""
    return measured.copy(tmp_path / "registry")


@pytest.fixture
def store(registry: SmallRegistry) -> Store:
    return Store(registry.client, registry.uri)


def test_what_passes_every_rule_becomes_champion(registry: SmallRegistry, store: Store) -> None:
    first, second = promote(store, "mnist", "1", GATE), promote(store, "mnist", "2", GATE, reason="better")
    assert first
    assert second
    assert [rule.rule for rule in second.rules if rule.passed] == [
        "bundle",
        "test/accuracy",
        "test/calibration_error",
        "agreement/same_first",
        "size_bytes",
        "latency/p50_ms",
        "max_accuracy_drop",
        "max_robustness_drop",
        "clean_tree",
    ]
    found = {rule.rule: rule.found for rule in second.rules}
    assert found["max_robustness_drop"].startswith("version 1, the champion, was not measured on corrupted")
    assert registry.client.get_model_version_by_alias("mnist", "champion").version == 2
    assert History(store, "mnist").read().decisions == (first, second)


def test_what_fails_a_rule_does_not_and_the_record_says_why(registry: SmallRegistry, store: Store) -> None:
    promote(store, "mnist", "2", GATE)
    with pytest.raises(
        RefusedError, match="3 does not become champion, because it fails test/accuracy, max_accuracy_drop"
    ):
        promote(store, "mnist", "3", GATE, reason="a try")
    assert registry.client.get_model_version_by_alias("mnist", "champion").version == 2
    refused = History(store, "mnist").read().decisions[-1]
    assert (refused.moved, refused.version, refused.before, refused.reason) == (False, 3, 2, "a try")
    assert [rule.rule for rule in refused.rules if not rule.passed] == ["test/accuracy", "max_accuracy_drop"]


def test_force_with_a_reason_overrides_and_is_on_record(store: Store) -> None:
    with pytest.raises(UsageError, match="--force: expected --reason"):
        promote(store, "mnist", "3", GATE, force=True)
    decision = promote(store, "mnist", "3", GATE, force=True, reason="a demonstration")
    assert decision
    assert (decision.moved, decision.forced, decision.champion) == (True, True, 3)
    assert History(store, "mnist").read().champion == 3


def test_force_that_was_not_needed_is_no_force(store: Store) -> None:
    decision = promote(store, "mnist", "2", GATE, force=True, reason="in a hurry")
    assert decision
    assert not decision.forced


def test_nothing_makes_a_version_champion_that_the_service_could_not_load(
    registry: SmallRegistry, store: Store
) -> None:
    promote(store, "mnist", "1", GATE)
    shutil.rmtree(registry.artifacts(2))
    foreign = registry.client.create_model_version("mnist", "file:///nowhere").version
    for version, found in ((2, "its artifacts cannot be fetched"), (foreign, "it has no content_key")):
        with pytest.raises(RefusedError, match="Nothing overrides bundle") as refused:
            promote(store, "mnist", str(version), GATE, force=True, reason="I want it")
        decision = refused.value.decision
        assert (decision.moved, decision.forced) == (False, False)
        assert found in decision.rules[0].found
    assert registry.client.get_model_version_by_alias("mnist", "champion").version == 1


def test_a_champion_whose_run_is_gone_is_followed_by_force_or_without_being_compared(
    registry: SmallRegistry, store: Store
) -> None:
    promote(store, "mnist", "1", GATE)
    registry.delete_for_good(registry.client.get_model_version("mnist", "1").run_id)
    with pytest.raises(RefusedError) as refused:
        promote(store, "mnist", "2", GATE)
    (failed,) = [rule for rule in refused.value.decision.rules if not rule.passed]
    assert failed.found.startswith("models:/mnist/1: expected evaluation/predictions.npz in its run ")
    decision = promote(store, "mnist", "2", GATE, force=True, reason="its run is gone")
    assert decision
    assert (decision.moved, decision.forced) == (True, True)
    evidence = [read_evidence(store, find_version(store.client, "mnist", one)) for one in ("1", "2")]
    with pytest.raises(ModelyardError, match=r"models:/mnist/1: expected"):
        compare(store, *evidence)


def test_who_is_champion_already_stays_so_without_a_record(store: Store) -> None:
    promote(store, "mnist", "2", GATE)
    assert promote(store, "mnist", "champion", GATE) is None
    assert len(History(store, "mnist").read().decisions) == 1


def test_a_version_without_metrics_or_predictions_fails_closed(registry: SmallRegistry, store: Store) -> None:
    promote(store, "mnist", "2", GATE)
    with pytest.raises(RefusedError) as refused:
        promote(store, "mnist", str(registry.add(mark="d")), GATE)
    failed = {rule.rule: rule.found for rule in refused.value.decision.rules if not rule.passed}
    assert failed.pop("max_accuracy_drop").startswith("models:/mnist/4: expected evaluation/predictions.npz")
    assert failed.pop("clean_tree") == "unknown"
    assert set(failed.values()) == {"it was not measured"}
    assert len(failed) == 5


def test_a_version_tested_on_other_data_fails(registry: SmallRegistry, store: Store) -> None:
    promote(store, "mnist", "1", GATE)
    other = registry.add(mark="d")
    registry.measure(other, digest="e" * 64)
    with pytest.raises(RefusedError) as refused:
        promote(store, "mnist", str(other), GATE)
    (failed,) = [rule for rule in refused.value.decision.rules if not rule.passed]
    assert failed.found.startswith("expected two versions tested on the same images")


def test_a_network_is_held_to_its_agreement_alone_where_its_gate_asks_for_no_accuracy(
    registry: SmallRegistry, store: Store
) -> None:
    registry.add("colours")
    gate = validate_params(compose_values()).pretrained.gate
    with pytest.raises(
        RefusedError, match="it fails agreement/same_first, agreement/max_difference, size_bytes, clean_tree"
    ):
        promote(store, "colours", "1", gate)


def test_of_two_promotions_at_once_one_wins_and_one_is_told(registry: SmallRegistry, store: Store) -> None:
    def try_to(version: str) -> str:
        try:
            decision = promote(store, "mnist", version, GATE, force=True, reason="at once")
            return f"won {decision.version if decision else None}"
        except OvertakenError as error:
            return str(error)

    with ThreadPoolExecutor(2) as threads:
        told = sorted(threads.map(try_to, ("1", "2")))
    past = History(store, "mnist").read()
    assert past.champion == past.decisions[-1].version
    assert past.pending is past.noticed is None
    # Where one was done before the other began, both have won, one after the other.
    assert told[0].startswith("mnist: ") == (len(past.decisions) == 1)


def test_a_rollback_goes_back_to_the_champion_before(registry: SmallRegistry, store: Store) -> None:
    for version in ("1", "2"):
        promote(store, "mnist", version, GATE)
    decision = roll_back(store, "mnist", reason="complaints")
    assert (decision.kind, decision.version, decision.before) == (Kind.ROLLBACK, 1, 2)
    assert registry.client.get_model_version_by_alias("mnist", "champion").version == 1
    with pytest.raises(ModelyardError, match="expected an earlier champion"):
        roll_back(store, "mnist")
    assert roll_back(store, "mnist", "2").version == 2


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (shutil.rmtree, "its artifacts cannot be fetched"),
        (lambda folder: (folder / "artifacts/bundle/labels.json").unlink(), "labels.json"),
        (lambda folder: (folder / "artifacts/bundle/labels.json").write_text(LABELS), "it was changed after"),
    ],
    ids=["missing", "not whole", "changed"],
)
def test_no_rollback_to_a_version_that_is_not_whole(
    registry: SmallRegistry, store: Store, spoil: object, reason: str
) -> None:
    for version in ("1", "2"):
        promote(store, "mnist", version, GATE)
    spoil(registry.artifacts(1))  # type: ignore[operator]
    with pytest.raises(ModelyardError, match=reason):
        roll_back(store, "mnist")
    assert registry.client.get_model_version_by_alias("mnist", "champion").version == 2
    assert len(History(store, "mnist").read().decisions) == 2


def test_a_rollback_passes_over_champions_that_are_gone_or_foreign_and_says_so(
    registry: SmallRegistry, store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    for version in ("1", "2"):
        promote(store, "mnist", version, GATE)
    registry.point(registry.client.create_model_version("mnist", "file:///nowhere").version)
    promote(store, "mnist", "3", GATE, force=True, reason="a try")
    registry.client.delete_model_version("mnist", "2")
    assert roll_back(store, "mnist").version == 1
    told = capsys.readouterr().err
    assert "mnist: version 4, an earlier champion, was not published by modelyard: it is skipped" in told
    assert "mnist: version 2, an earlier champion, is gone: it is skipped" in told


@pytest.mark.parametrize("how", ["alias", "version"])
def test_without_a_champion_a_rollback_goes_back_to_the_last_one_there_is(
    registry: SmallRegistry, store: Store, how: str
) -> None:
    for version in ("1", "2"):
        promote(store, "mnist", version, GATE)
    if how == "alias":
        registry.client.delete_registered_model_alias("mnist", "champion")
    else:
        registry.client.delete_model_version("mnist", "2")
    decision = roll_back(store, "mnist", reason="quick")
    assert (decision.version, decision.before) == (2 if how == "alias" else 1, None)
    assert History(store, "mnist").read().champion == decision.version


# The commands


@pytest.fixture
def repository_of(repository: Path, registry: SmallRegistry, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with the shipped conf/, that the registry belongs to."""
    shutil.copytree(ROOT / "conf", repository / "conf")
    (repository / "params.yaml").write_text(yaml.safe_dump(compose_values()))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", registry.uri)
    return repository


def test_a_model_that_params_do_not_name_is_promoted_through_its_gate_in_conf(
    registry: SmallRegistry, repository_of: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    registry.add("mine")
    code, _, err = run(capsys, "promote", "mine", "1")
    assert code == 1
    assert "mine: expected a file with `name: mine` and a gate in conf/data or conf/pretrained, found " in err
    assert err.strip().endswith("write conf/data/mine.yaml")
    (repository_of / "conf/data/birds.yaml").write_text(
        "defaults: [_folder, _self_]\nname: mine\nlicence: mine\nhomepage: null\npath: birds\n"
        "input: {fit: crop, height: 96, width: 96, channels: 3}\n"
        "gate: {metrics: {test/accuracy: null, test/calibration_error: null, agreement/same_first: null, "
        "size_bytes: null}, max_accuracy_drop: null, allow_dirty: true}\n"
    )
    assert run(capsys, "promote", "mine", "1")[1] == "mine: version 1 is champion, the first one (decision 1)"


def test_a_file_of_conf_that_cannot_be_composed_is_named(repository_of: Path) -> None:
    params = validate_params(compose_values())
    broken = repository_of / "conf/data/aardvark.yaml"
    for text in ("defaults: [_nowhere]\n", "name: ${nowhere}\n", "a: [\n"):
        broken.write_text(text)
        with pytest.raises(ModelyardError, match=r"aardvark\.yaml: expected a file that can be composed"):
            find_gate("mine", params, repository_of / "conf")
    broken.write_text("defaults: [_dataset, _self_]\nname: mine\ngate: {max_accuracy_drop: much}\n")
    with pytest.raises(ModelyardError, match=r"aardvark\.yaml: gate\.max_accuracy_drop: .*got 'much'"):
        find_gate("mine", params, repository_of / "conf")


def test_a_stand_in_has_the_gate_of_what_it_stands_in_for(repository_of: Path) -> None:
    params = validate_params(compose_values())
    assert params.pretrained.fallback
    found = find_gate(params.pretrained.fallback.name, params, repository_of / "conf")
    assert found == params.pretrained.gate


def test_promote_rollback_and_history_tell_what_they_did(
    repository_of: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", "ada")
    assert run(capsys, "promote", "mnist", "1") == (
        0,
        "mnist: version 1 is champion, the first one (decision 1)",
        "",
    )
    code, out, err = run(capsys, "promote", "mnist", "3")
    assert (code, out) == (1, "")
    assert "it fails test/accuracy, max_accuracy_drop; recorded as decision 2" in err
    assert run(capsys, "promote", "mnist", "2")[1].startswith("mnist: version 2 is champion, instead of 1")
    assert run(capsys, "rollback", "mnist", "--reason", "complaints")[0] == 0
    code, out, err = run(capsys, "history", "mnist")
    assert [line.split()[1] for line in out.splitlines()] == ["1", "2", "1"]
    code, out, err = run(capsys, "history", "mnist", "--json")
    history = json.loads(out)
    assert history["champion"] == 1
    assert [term["version"] for term in history["terms"]] == [1, 2, 1]
    assert [decision["by"].split("@")[0] for decision in history["decisions"]] == ["ada"] * 4


def test_what_others_wrote_is_printed_as_text(
    registry: SmallRegistry, repository_of: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    reason = "\x1b[2J\x9b red\nversion 9 \u202e"
    decision = promote(Store(registry.client, registry.uri), "mnist", "1", GATE, reason=reason + "\ud800")
    assert decision
    code, out, _ = run(capsys, "history", "mnist")
    assert (code, len(out.splitlines())) == (0, 1)
    assert out.endswith(r"; \x1b[2J\x9b red\nversion 9 \u202e\ud800")
    code, out, _ = run(capsys, "history", "mnist", "--json")
    assert out.isascii()
    assert json.loads(out)["decisions"][0]["reason"] == reason + "\ud800"


def test_bytes_that_are_no_text_are_a_wrong_call(
    repository_of: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for arguments in (
        ["history", "a\udcff"],
        ["promote", "mnist", "\udcff"],
        ["promote", "mnist", "1", "--force", "--reason", "\ud800"],
        ["serve", "--model", "mnist", "--model", "\udcff"],
    ):
        with pytest.raises(SystemExit) as stopped:
            main(arguments)
        assert stopped.value.code == 2
        assert "expected text in UTF-8, got " in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["promote", "mnist", "9" * 5000], 2, "expected a version of mnist, one of 1, 2, 3"),
        (["promote", "mnist", "2147483648"], 2, "expected a version of mnist, one of 1, 2, 3"),
        (["promote", "mnist", "\u0663"], 2, "expected an alias of mnist, one of none"),
        (["compare", "mnist", "1", "9" * 5000], 2, "expected a version of mnist, one of 1, 2, 3"),
        (["history", "a\x1b[2J"], 2, r"no version of 'a\x1b[2J' is registered"),
        (["promote", "digits", "1"], 2, "no version of 'digits' is registered; registered are: mnist"),
        (["promote", "mnist", "9"], 2, "expected a version of mnist, one of 1, 2, 3"),
        (["promote", "mnist", "best"], 2, "expected an alias of mnist, one of none"),
        (["promote", "mnist", "1", "--force"], 2, "expected --reason"),
        (["rollback", "mnist"], 1, "expected an earlier champion"),
        (["rollback", "digits"], 2, "no version of 'digits' is registered"),
        (["history", "digits"], 2, "no version of 'digits' is registered; registered are: mnist"),
    ],
)
def test_a_wrong_call_and_a_refusal_have_one_line_and_a_code_of_their_own(
    repository_of: Path,
    capsys: pytest.CaptureFixture[str],
    arguments: Sequence[str],
    code: int,
    message: str,
) -> None:
    returned, out, err = run(capsys, *arguments)
    assert (returned, out) == (code, "")
    assert message in err
    assert len(err.splitlines()) == 1


def test_a_registry_that_is_not_there_is_told_and_not_made(tmp_path: Path) -> None:
    environment = {**os.environ, "MLFLOW_TRACKING_URI": f"sqlite:///{tmp_path}/mlflow.db"}
    command = [sys.executable, "-m", "modelyard.cli", "history", "mnist"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "expected the tracking database" in done.stderr
    assert list(tmp_path.iterdir()) == []


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    """Call a command; return its code, what it has printed apart from rules, and its errors."""
    code = main(arguments)
    shown = capsys.readouterr()
    told = [line for line in shown.out.splitlines() if not line.startswith(("pass ", "FAIL ", "      "))]
    return code, "\n".join(told), shown.err
