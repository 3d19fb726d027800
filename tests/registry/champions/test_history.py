"""The history of champions in a real MLflow store: append-only, one winner, never at odds with the alias."""

import re
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import mlflow
import pytest

from modelyard.errors import ModelyardError
from modelyard.registry.champions.decisions import Decision, Kind, RuleResult
from modelyard.registry.champions.history import GRACE, History, OvertakenError
from modelyard.tracking.store import Store
from small_registry import SmallRegistry


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory) -> SmallRegistry:
    registry = SmallRegistry(tmp_path_factory.mktemp("three") / "registry")
    for mark in "abc":
        registry.add(mark=mark)
    return registry


@pytest.fixture
def registry(three: SmallRegistry, tmp_path: Path) -> SmallRegistry:
    """Three versions, none of which was champion yet."""
    return three.copy(tmp_path / "registry")


@pytest.fixture
def history(registry: SmallRegistry) -> History:
    return open_history(registry)


def test_a_model_without_decisions_has_no_champion_and_reading_writes_nothing(
    registry: SmallRegistry, history: History
) -> None:
    past = history.read()
    assert (past.decisions, past.terms, past.champion) == ((), (), None)
    assert registry.client.get_experiment_by_name("modelyard decisions") is None
    assert registry.client.get_registered_model("mnist").tags == {}


def test_a_decision_moves_the_alias_and_is_read_by_others_as_it_was_made(
    registry: SmallRegistry, history: History
) -> None:
    rule = RuleResult("test/accuracy", True, "at least 97.00%", "99.29%")
    decision = decide(1, 2, reason="größer", rules=(rule,))
    history.record(decision)
    past = open_history(registry).read()
    assert past.decisions == (decision,)
    assert past.champion == 2
    assert past.pending is past.noticed is None
    (version,) = [one for one in registry.client.search_model_versions("name = 'mnist'") if one.version == 2]
    assert version.tags["champion_by"].startswith("decision 1, ")


def test_every_decision_is_an_artifact_and_a_parameter_of_one_run(
    registry: SmallRegistry, history: History
) -> None:
    history.record(decide(1, 2))
    history.record(decide(2, 3, before=2, moved=False))
    run_id = registry.client.get_registered_model("mnist").tags["history_run"]
    run = registry.client.get_run(run_id)
    assert run.info.run_name == "history of mnist"
    assert sorted(run.data.params) == ["applied/0001", "decision/0001", "decision/0002", "state"]
    artifacts = [Path(one.path).name[:4] for one in registry.client.list_artifacts(run_id, "decisions")]
    assert artifacts == ["0001", "0002"]


def test_a_refusal_is_on_record_and_moves_nothing(registry: SmallRegistry, history: History) -> None:
    history.record(decide(1, 2))
    history.record(decide(2, 3, before=2, moved=False))
    tags = registry.client.get_model_version("mnist", "3").tags
    assert tags["refused_by"].startswith("decision 2, ")
    past = history.read()
    assert past.champion == 2
    assert [decision.champion for decision in past.decisions] == [2, 2]
    assert [term.decision.version for term in past.terms] == [2]


def test_a_decision_that_comes_while_the_history_is_read_is_no_move_by_hand(
    registry: SmallRegistry, history: History, monkeypatch: pytest.MonkeyPatch
) -> None:
    history.record(decide(1, 1))
    ask, reader = registry.client.get_registered_model, open_history(registry)

    def ask_and_be_overtaken(name: str) -> object:
        monkeypatch.setattr(registry.client, "get_registered_model", ask)
        model = ask(name)
        history.record(decide(2, 2, before=1))
        return model

    monkeypatch.setattr(registry.client, "get_registered_model", ask_and_be_overtaken)
    past = reader.settle()
    assert [decision.kind for decision in past.decisions] == [Kind.PROMOTE] * 2
    assert (past.champion, past.noticed) == (2, None)


def test_an_alias_that_is_moved_too_late_is_put_right(
    registry: SmallRegistry, history: History, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another took the writer for dead, completed its decision and made the next one."""
    move, other = registry.client.set_registered_model_alias, open_history(registry)

    def move_too_late(*arguments: str) -> None:
        monkeypatch.setattr(registry.client, "set_registered_model_alias", move)
        with monkeypatch.context() as later:
            later.setattr("modelyard.registry.champions.history.GRACE", timedelta(0))
            other.settle()
        other.record(decide(2, 3, before=2))
        move(*arguments)

    monkeypatch.setattr(registry.client, "set_registered_model_alias", move_too_late)
    history.record(decide(1, 2))
    past = history.read()
    assert [decision.version for decision in past.decisions] == [2, 3]
    assert (past.champion, past.noticed, past.applied) == (3, None, {1, 2})


def test_reigns_follow_each_other_without_a_gap(history: History) -> None:
    for number, version in enumerate((2, 3, 1), 1):
        history.record(decide(number, version))
    terms = history.read().terms
    assert [term.decision.version for term in terms] == [2, 3, 1]
    assert [term.until for term in terms] == [terms[1].decision.at, terms[2].decision.at, None]


def test_of_eight_who_decide_at_once_one_wins_and_seven_are_told_who(registry: SmallRegistry) -> None:
    together = threading.Barrier(8)

    def try_to(place: int) -> str:
        decision = decide(1, 1 + place % 3, by=f"user {place}")
        history = open_history(registry)
        history.read()
        together.wait()
        try:
            history.record(decision)
        except OvertakenError as error:
            return str(error)
        return f"won by {decision.by}"

    with ThreadPoolExecutor(8) as threads:
        told = list(threads.map(try_to, range(8)))
    (winner,) = [text.removeprefix("won by ") for text in told if text.startswith("won by ")]
    assert [text for text in told if f"{winner} has just decided" in text] == [
        text for text in told if not text.startswith("won")
    ]
    past = open_history(registry).read()
    assert [decision.by for decision in past.decisions] == [winner]
    assert past.champion == past.decisions[0].version
    assert past.pending is past.noticed is None


def test_what_a_killed_process_left_is_completed_by_the_next_writer(
    registry: SmallRegistry, history: History, monkeypatch: pytest.MonkeyPatch
) -> None:
    history.record(decide(1, 2))
    with monkeypatch.context() as patch:
        patch.setattr(registry.client, "set_registered_model_alias", interrupt)
        with pytest.raises(KeyboardInterrupt):
            history.record(decide(2, 3, before=2))
    monkeypatch.setattr("modelyard.registry.champions.history.GRACE", timedelta(0))
    past = open_history(registry).read()
    assert (past.champion, past.pending and past.pending.version) == (2, 3)
    assert [term.decision.version for term in past.terms] == [2]
    settled = open_history(registry).settle()
    assert (settled.champion, settled.pending, len(settled.decisions)) == (3, None, 2)


def test_while_somebody_is_in_the_middle_others_wait(registry: SmallRegistry, history: History) -> None:
    history._append(decide(1, 2, by="alice"))
    with pytest.raises(OvertakenError, match="alice is making version 2 champion: wait 30 s"):
        open_history(registry).settle()


def test_who_took_too_long_leaves_the_alias_to_others(history: History) -> None:
    with pytest.raises(OvertakenError, match="it took so long that another may be completing it"):
        history.record(decide(1, 2, at=datetime.now(UTC) - GRACE))
    assert history.read().champion is None
    assert history.settle().champion == 2


def test_an_alias_moved_by_hand_is_noticed_and_put_on_record_by_the_next_writer(
    registry: SmallRegistry, history: History
) -> None:
    history.record(decide(1, 2))
    registry.point(3)
    past = history.read()
    assert [(term.decision.version, term.on_record) for term in past.terms] == [(2, True), (3, False)]
    assert past.terms[1].decision.kind == Kind.BY_HAND
    settled = history.settle()
    assert [decision.kind for decision in settled.decisions] == [Kind.PROMOTE, Kind.BY_HAND]
    assert settled.decisions[1].reason == "moved without modelyard, after decision 1; noticed now"
    assert settled == history.settle()


def test_an_alias_removed_by_hand_is_no_champion(registry: SmallRegistry, history: History) -> None:
    history.record(decide(1, 2))
    registry.client.delete_registered_model_alias("mnist", "champion")
    settled = history.settle()
    assert [term.decision.version for term in settled.terms] == [2, None]
    assert settled.champion is None


def test_a_champion_older_than_its_history_begins_it(registry: SmallRegistry, history: History) -> None:
    registry.point(2)
    (decision,) = history.settle().decisions
    assert (decision.kind, decision.version, decision.before) == (Kind.BY_HAND, 2, None)
    assert decision.reason == "moved without modelyard, before the history began; noticed now"


def test_a_rollback_goes_back_further_each_time(history: History) -> None:
    for number, version in enumerate((1, 2, 3), 1):
        history.record(decide(number, version))
    assert history.read().champions == (1, 2, 3)
    history.record(decide(4, 2, kind=Kind.ROLLBACK))
    assert history.read().champions == (1, 2)
    history.record(decide(5, 3))
    assert history.read().champions == (1, 2, 3)


@pytest.mark.parametrize("whole_experiment", [False, True], ids=["run", "experiment"])
def test_a_history_that_was_deleted_in_mlflow_is_restored_by_the_next_writer(
    registry: SmallRegistry, history: History, capsys: pytest.CaptureFixture[str], whole_experiment: bool
) -> None:
    first = decide(1, 2)
    history.record(first)
    run_id = delete_history(registry, whole_experiment)
    past = open_history(registry).read()
    assert (past.decisions, past.deleted) == ((first,), True)
    second = decide(2, 3, before=2)
    open_history(registry).record(second)
    past = open_history(registry).read()
    assert (past.decisions, past.champion, past.deleted) == ((first, second), 3, False)
    told = capsys.readouterr().err
    assert f"warning: the history of mnist was deleted in MLflow: it is restored (run {run_id})\n" in told


def test_a_history_that_is_gone_for_good_begins_anew_with_the_champion_there_is(
    registry: SmallRegistry, history: History, capsys: pytest.CaptureFixture[str]
) -> None:
    history.record(decide(1, 2))
    for _ in range(2):
        run_id = registry.client.get_registered_model("mnist").tags["history_run"]
        registry.delete_for_good(run_id)
        assert open_history(registry).read().deleted
        settled = open_history(registry).settle()
        assert [(one.kind, one.version) for one in settled.decisions] == [(Kind.BY_HAND, 2)]
        assert settled == open_history(registry).read()
        told = capsys.readouterr().err
        assert f"the history of mnist was deleted for good (run {run_id}): a new one begins" in told


def test_a_first_decision_needs_no_experiment_that_somebody_deleted(
    registry: SmallRegistry, history: History
) -> None:
    history.record(decide(1, 2))
    delete_history(registry, whole_experiment=True)
    registry.add("other")
    other = History(Store(registry.client, registry.uri), "other")
    other.record(decide(1, 1))
    assert other.read().champion == 1
    assert not history.read().deleted


def test_a_run_that_mlflow_does_not_write_to_is_not_taken_for_taken(
    registry: SmallRegistry, history: History, monkeypatch: pytest.MonkeyPatch
) -> None:
    history.record(decide(1, 2))
    write = registry.client.log_param

    def come_too_late(run_id: str, key: str, value: str) -> None:
        registry.client.delete_run(run_id)
        write(run_id, key, value)

    monkeypatch.setattr(registry.client, "log_param", come_too_late)
    with pytest.raises(mlflow.MlflowException, match="must be in the 'active' state"):
        history.record(decide(2, 3, before=2))


def test_a_renamed_model_keeps_its_history_and_the_next_of_its_name_begins_one(
    registry: SmallRegistry, history: History
) -> None:
    first = decide(1, 2)
    history.record(first)
    run_id = registry.client.get_model_version("mnist", "1").run_id
    registry.client.rename_registered_model("mnist", "old")
    registry.client.create_registered_model("mnist")
    # The same training, registered again.
    registry.client.create_model_version("mnist", "file:///nowhere", run_id=run_id)
    assert open_history(registry).read().decisions == ()
    open_history(registry).record(decide(1, 1))
    assert open_history(registry).read().champion == 1
    past = History(Store(registry.client, registry.uri), "old").read()
    assert (past.decisions, past.champion) == ((first,), 2)


def test_a_history_neither_needs_nor_touches_the_runs_of_versions(
    registry: SmallRegistry, history: History
) -> None:
    first = decide(1, 2)
    history.record(first)
    for version in "123":
        run = registry.client.get_run(registry.client.get_model_version("mnist", version).run_id)
        assert run.data.params == {}
        registry.delete_for_good(run.info.run_id)
    registry.client.delete_registered_model_tag("mnist", "history_run")
    assert open_history(registry).read().decisions == (first,)
    registry.client.create_registered_model("foreign")
    registry.client.create_model_version("foreign", "file:///nowhere")
    foreign = History(Store(registry.client, registry.uri), "foreign")
    foreign.record(decide(1, 1))
    assert foreign.read().champion == 1


def test_a_cut_off_decision_for_a_version_that_is_deleted_holds_up_nobody(
    registry: SmallRegistry,
    history: History,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    history.record(decide(1, 2))
    history._append(decide(2, 3, before=2))
    registry.client.delete_model_version("mnist", "3")
    monkeypatch.setattr("modelyard.registry.champions.history.GRACE", timedelta(0))
    assert history.settle().champion == 2
    assert "mnist: version 3 was deleted before decision 2 made it champion" in capsys.readouterr().err
    settled = history.settle()
    assert (settled.champion, settled.pending, settled.noticed) == (2, None, None)


def test_a_move_by_hand_is_never_made_again(registry: SmallRegistry, history: History) -> None:
    history.record(decide(1, 2))
    history._append(decide(2, 1, before=2, kind=Kind.BY_HAND))
    registry.point(3)
    assert history.settle().champion == 3


@pytest.mark.parametrize(
    "text",
    [
        *("[]", "3", "null", "[" * 3000, "9" * 5000, '{"number": 2}'),
        *(f'"number": {number}' for number in ("9" * 5000, "true", '"2"', "-1", "1e9")),
        *(f'"version": {number}' for number in ("9" * 40, '"9"', "2.0", "0")),
        *(f'"at": "{time}"' for time in ("2026-01-01T00:00:00", "never", "9" * 100)),
        *('"moved": 1', '"reason": null', '"rules": [3]', '"rules": 3', '"by": ["a"]'),
    ],
    ids=lambda text: text[:20],
)
def test_what_is_no_decision_is_told_whatever_it_is(text: str) -> None:
    whole = decide(2, 3).to_json()
    assert Decision.from_json(whole).version == 3
    key = text.split(":")[0]
    changed = re.sub(rf"{key}:[^,]*", lambda _: text, whole, count=1) if text.startswith('"') else text
    with pytest.raises(ValueError, match=r"."):
        Decision.from_json(changed)


def test_parameters_that_modelyard_did_not_write_are_no_decisions(
    registry: SmallRegistry, history: History
) -> None:
    first = decide(1, 2)
    history.record(first)
    run_id = registry.client.get_registered_model("mnist").tags["history_run"]
    for key in (
        "decision/abc",
        "decision/2",
        "decision/00003",
        f"decision/{'9' * 200}",
        "applied/x",
        "epochs",
    ):
        registry.client.log_param(run_id, key, "1")
    assert open_history(registry).read().decisions == (first,)
    registry.client.log_param(run_id, "decision/0003", decide(3, 1, before=2).to_json())
    assert open_history(registry).read().next_number == 4


def test_a_reason_may_be_any_text(registry: SmallRegistry, history: History) -> None:
    decision = decide(1, 2, reason="\x1b[2J\ud800 \u202e größer")
    history.record(decision)
    assert history.read().decisions == (decision,)
    told = registry.client.get_model_version("mnist", "2").tags["champion_by"]
    assert told.endswith("; \\x1b[2J\\ud800 \\u202e größer")


def test_a_record_that_mlflow_would_cut_off_is_refused(history: History) -> None:
    with pytest.raises(ModelyardError, match="expected a decision of at most 6000 characters"):
        history.record(decide(1, 2, reason="a" * 6000))
    assert history.read().decisions == ()


def test_a_record_of_another_kind_is_told(registry: SmallRegistry, history: History) -> None:
    history.record(decide(1, 2))
    run_id = registry.client.get_registered_model("mnist").tags["history_run"]
    registry.client.log_param(run_id, "decision/0002", '{"kind": "guess"}')
    with pytest.raises(ModelyardError, match=f"mnist: decision 2 of run {run_id} cannot be read"):
        history.read()


def open_history(registry: SmallRegistry) -> History:
    return History(Store(registry.client, registry.uri), "mnist")


def decide(number: int, version: int, **others: object) -> Decision:
    given = {"kind": Kind.PROMOTE, "before": None, "moved": True, **others}
    given.setdefault("at", datetime.now(UTC).replace(microsecond=0) + timedelta(milliseconds=number))
    return Decision(number=number, version=version, **given)  # type: ignore[arg-type]


def delete_history(registry: SmallRegistry, whole_experiment: bool) -> str:
    """Delete the history of `mnist` as a person does it in MLflow's UI; return its run's id."""
    run_id: str = registry.client.get_registered_model("mnist").tags["history_run"]
    if whole_experiment:
        registry.client.delete_experiment(registry.client.get_run(run_id).info.experiment_id)
    else:
        registry.client.delete_run(run_id)
    return run_id


def interrupt(*_: object) -> None:
    raise KeyboardInterrupt
