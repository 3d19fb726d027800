"""The history of champions in a real MLflow store: append-only, one winner, never at odds with the alias."""

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from modelyard.errors import ModelyardError
from modelyard.registry.decisions import Decision, Kind, RuleResult
from modelyard.registry.history import GRACE, History, OvertakenError
from modelyard.tracking.store import Store
from small_registry import SmallRegistry


@pytest.fixture
def registry(tmp_path: Path) -> SmallRegistry:
    registry = SmallRegistry(tmp_path)
    for mark in "abc":
        registry.add(mark=mark)
    return registry


@pytest.fixture
def history(registry: SmallRegistry) -> History:
    return open_history(registry)


def test_a_model_without_decisions_has_no_champion_and_reading_writes_nothing(
    registry: SmallRegistry, history: History
) -> None:
    past = history.read()
    assert (past.decisions, past.reigns, past.champion) == ((), (), None)
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
    assert sorted(run.data.params) == ["applied/0001", "decision/0001", "decision/0002"]
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
    assert [reign.decision.version for reign in past.reigns] == [2]


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
            later.setattr("modelyard.registry.history.GRACE", timedelta(0))
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
    reigns = history.read().reigns
    assert [reign.decision.version for reign in reigns] == [2, 3, 1]
    assert [reign.until for reign in reigns] == [reigns[1].decision.at, reigns[2].decision.at, None]


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
    monkeypatch.setattr("modelyard.registry.history.GRACE", timedelta(0))
    past = open_history(registry).read()
    assert (past.champion, past.pending and past.pending.version) == (2, 3)
    assert [reign.decision.version for reign in past.reigns] == [2]
    settled = open_history(registry).settle()
    assert (settled.champion, settled.pending, len(settled.decisions)) == (3, None, 2)


def test_while_somebody_is_in_the_middle_others_wait(registry: SmallRegistry, history: History) -> None:
    history._append(decide(1, 2, by="alice"))
    with pytest.raises(OvertakenError, match="alice is just making version 2 champion: wait 30 s"):
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
    assert [(reign.decision.version, reign.on_record) for reign in past.reigns] == [(2, True), (3, False)]
    assert past.reigns[1].decision.kind == Kind.BY_HAND
    settled = history.settle()
    assert [decision.kind for decision in settled.decisions] == [Kind.PROMOTE, Kind.BY_HAND]
    assert settled.decisions[1].reason == "moved without modelyard, after decision 1; noticed now"
    assert settled == history.settle()


def test_an_alias_removed_by_hand_is_no_champion(registry: SmallRegistry, history: History) -> None:
    history.record(decide(1, 2))
    registry.client.delete_registered_model_alias("mnist", "champion")
    settled = history.settle()
    assert [reign.decision.version for reign in settled.reigns] == [2, None]
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


def test_a_model_whose_versions_have_no_run_is_refused(registry: SmallRegistry) -> None:
    registry.client.create_registered_model("foreign")
    registry.client.create_model_version("foreign", "file:///nowhere")
    with pytest.raises(ModelyardError, match="foreign: expected a version with a run"):
        History(Store(registry.client, registry.uri), "foreign").record(decide(1, 1))


def open_history(registry: SmallRegistry) -> History:
    return History(Store(registry.client, registry.uri), "mnist")


def decide(number: int, version: int, **others: object) -> Decision:
    given = {"kind": Kind.PROMOTE, "before": None, "moved": True, **others}
    given.setdefault("at", datetime.now(UTC).replace(microsecond=0) + timedelta(milliseconds=number))
    return Decision(number=number, version=version, **given)  # type: ignore[arg-type]


def interrupt(*_: object) -> None:
    raise KeyboardInterrupt
