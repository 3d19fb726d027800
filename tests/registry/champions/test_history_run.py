"""Who begins a model's history, in a real MLflow store: one run wins, whatever others do at the same time."""

import copy
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from itertools import count
from types import SimpleNamespace
from typing import Any

import pytest
from mlflow.entities import Run, ViewType
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import INVALID_PARAMETER_VALUE

from modelyard.registry.champions.history_run import HistoryRun
from modelyard.tracking.store import Store
from small_registry import SmallRegistry

# The calls that read or change what another process may change or read.
STEPS = {
    *("get_registered_model", "search_runs", "get_run"),
    *("create_run", "log_param", "delete_run", "restore_run", "set_registered_model_tag"),
}
NAMES = (f"model-{number}" for number in count())
DECISIONS = {"decision/0001": "{}", "applied/0001": "true"}


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> SmallRegistry:
    registry = SmallRegistry(tmp_path_factory.mktemp("elections") / "registry")
    open_run(registry, register(registry))
    return registry


@pytest.fixture
def name(registry: SmallRegistry) -> str:
    return register(registry)


@pytest.fixture(scope="module")
def races() -> list["Race"]:
    """Two that begin at once, in every order of their steps.

    An order that leads to a state that is known ends there: whoever still waits is killed.
    """
    todo: list[tuple[int, ...]] = [()]
    known: set[object] = set()
    ended = []
    while todo:
        race = Race(Memory(), todo.pop())
        while race.waiting and race.seen not in known:
            known.add(race.seen)
            turn, *others = race.waiting
            todo += [(*race.turns, other) for other in others]
            race.step(turn)
        race.end()
        ended.append(race)
    return ended


def test_of_two_that_begin_at_once_one_wins_in_every_order_of_their_steps(races: list["Race"]) -> None:
    assert len(races) > 300
    assert [race.turns for race in races if not race.agreed] == []
    whole = [race for race in races if not race.killed]
    assert {tell(run) for race in whole for run in race.runs} == {"won, active", "lost, deleted"}


def test_where_both_are_killed_at_any_two_steps_the_next_process_decides(races: list["Race"]) -> None:
    for turns in {race.turns[:end] for race in races for end in range(len(race.turns))}:
        race = Race(Memory(), turns)
        race.end()
        assert race.agreed, turns


def test_mlflow_answers_in_such_a_race_as_memory_does(registry: SmallRegistry, races: list["Race"]) -> None:
    whole = [race for race in races if not race.killed]
    refused = [race for race in whole if ("log_param", "INVALID_PARAMETER_VALUE") in sum(race.seen, ())]
    for expected in (*whole[::60], *refused[::20]):
        race = Race(registry, expected.turns)
        race.end()
        assert race.seen == expected.seen
        assert race.agreed


def test_where_a_process_is_killed_before_any_step_the_next_one_goes_on(registry: SmallRegistry) -> None:
    for steps in count():
        name = register(registry)
        process = Process(registry, name)
        for _ in range(steps):
            process.step()
        if process.done:
            break
        process.kill()
        opened = open_run(registry, name)
        assert [tell(run) for run in list_runs(registry, name)] == ["won, active"]
        assert read_tag(registry, name) == opened
    assert steps > 5


def test_of_three_that_begin_at_once_one_wins(registry: SmallRegistry) -> None:
    for _ in range(3):
        name, together = register(registry), threading.Barrier(3)

        def begin(_: int, name: str = name, together: threading.Barrier = together) -> str:
            together.wait()
            return open_run(registry, name)

        with ThreadPoolExecutor(3) as threads:
            (opened,) = set(threads.map(begin, range(3)))
        winner, *losers = sorted(map(tell, list_runs(registry, name)), reverse=True)
        assert (winner, set(losers) - {"lost, deleted"}) == ("won, active", set())
        assert read_tag(registry, name) == opened


def test_what_two_killed_processes_left_is_decided_and_cleared_by_the_next(
    registry: SmallRegistry, name: str
) -> None:
    left = [leave_candidate(registry, name) for _ in range(3)]
    registry.client.log_param(left[0], "state", "lost")
    assert open_run(registry, name) == left[1]
    assert [tell(registry.client.get_run(one)) for one in left] == [
        "lost, deleted",
        "won, active",
        "lost, deleted",
    ]


def test_where_all_candidates_have_lost_the_next_one_begins_another(
    registry: SmallRegistry, name: str
) -> None:
    """As a history leaves them that was deleted for good."""
    lost = leave_candidate(registry, name)
    registry.client.log_param(lost, "state", "lost")
    assert open_run(registry, name) != lost
    assert sorted(map(tell, list_runs(registry, name))) == ["lost, deleted", "won, active"]


@pytest.mark.parametrize("deleted", [False, True], ids=["active", "deleted"])
@pytest.mark.parametrize("tagged", [True, False], ids=["tagged", "without tag"])
def test_a_history_from_before_there_were_elections_goes_on(
    registry: SmallRegistry, name: str, tagged: bool, deleted: bool
) -> None:
    rival = leave_candidate(registry, name, start_time=1)
    registry.client.delete_run(rival)
    old = leave_candidate(registry, name, DECISIONS, start_time=2)
    if tagged:
        registry.client.set_registered_model_tag(name, "history_run", old)
    if deleted:
        registry.client.delete_run(old)
    model = registry.client.get_registered_model(name)
    assert HistoryRun(Store(registry.client, registry.uri), name).read(model) == (DECISIONS, deleted)
    assert open_run(registry, name) == old
    assert registry.client.get_run(old).info.lifecycle_stage == "active"
    assert registry.client.get_run(rival).info.lifecycle_stage == "deleted"
    assert read_tag(registry, name) == old


def test_reading_writes_nothing_while_nobody_has_won(registry: SmallRegistry, name: str) -> None:
    left = leave_candidate(registry, name)
    model = registry.client.get_registered_model(name)
    assert HistoryRun(Store(registry.client, registry.uri), name).read(model) == ({}, False)
    assert tell(registry.client.get_run(left)) == "undecided, active"
    assert read_tag(registry, name) is None


class Killed(BaseException):
    """What ends a process in the middle of its work."""


class SteppedClient:
    """A client of MLflow that leaves its steps to `take`."""

    def __init__(self, client: Any, take: Callable[..., Any]) -> None:
        self._client, self._take = client, take

    def __getattr__(self, name: str) -> Any:
        call = getattr(self._client, name)
        return partial(self._take, name, call) if name in STEPS else call


class Process:
    """A thread that opens a model's history, and waits before each step until it is told to take it.

    `seen` is what its steps told it, so that two processes with the same work do the same next.
    """

    def __init__(self, registry: Any, name: str, start_time: int = 1) -> None:
        self.seen: list[object] = []
        self.opened: str | None = None
        self.done = self._killed = False
        self._start_time = start_time
        self._may_go, self._stands = threading.Semaphore(0), threading.Semaphore(0)
        client: Any = SteppedClient(registry.client, self._take)
        self._run = HistoryRun(Store(client, registry.uri), name)
        threading.Thread(target=self._work, daemon=True).start()
        self._stands.acquire()

    def step(self) -> None:
        self._may_go.release()
        self._stands.acquire()

    def kill(self) -> None:
        self._killed = True
        self.step()

    def _work(self) -> None:
        try:
            with suppress(Killed):
                self.opened = self._run.open()
        finally:
            self.done = True
            self._stands.release()

    def _take(self, name: str, call: Callable[..., Any], *arguments: object, **options: object) -> object:
        self._stands.release()
        self._may_go.acquire()
        if self._killed:
            raise Killed
        if name == "create_run":
            # Whose is smaller does not depend on who comes first, as between machines.
            options["start_time"] = self._start_time
        try:
            result = call(*arguments, **options)
        except MlflowException as error:
            self.seen.append((name, error.error_code))
            raise
        self.seen.append((name, simplify(result)))
        return result


class Race:
    """Two processes that begin the history of one model, and took turns in this order so far."""

    def __init__(self, registry: Any, turns: tuple[int, ...] = ()) -> None:
        self._registry, self._name = registry, register(registry)
        self._processes = [Process(registry, self._name, start_time) for start_time in (1, 2)]
        self.turns: tuple[int, ...] = ()
        for turn in turns:
            self.step(turn)

    @property
    def waiting(self) -> list[int]:
        return [place for place, process in enumerate(self._processes) if not process.done]

    @property
    def seen(self) -> tuple[tuple[object, ...], ...]:
        """What they were told; all that follows depends on it, for it tells what they wrote, too."""
        return tuple(tuple(process.seen) for process in self._processes)

    def step(self, turn: int) -> None:
        self.turns += (turn,)
        self._processes[turn].step()

    def end(self) -> None:
        """Kill who still waits, let a third process open the history, and compare what they got."""
        self.killed = self.waiting
        opened = {process.opened for process in self._processes if process.done}
        for place in self.killed:
            self._processes[place].kill()
        opened.add(open_run(self._registry, self._name))
        self.runs = list_runs(self._registry, self._name)
        winners = [run.info.run_id for run in self.runs if tell(run) == "won, active"]
        self.agreed = winners == list(opened) == [read_tag(self._registry, self._name)]


class Memory:
    """A registry that answers from memory what MLflow answers from its database, for thousands of calls."""

    uri = "memory"
    _experiment = SimpleNamespace(
        experiment_id="1", lifecycle_stage="active", tags={"mlflow.note.content": ""}
    )

    def __init__(self) -> None:
        self.client, self._runs = self, dict[str, Any]()
        self._model = SimpleNamespace(name="mnist", creation_timestamp=1, tags={})

    def create_registered_model(self, name: str) -> object:
        self._model.name = name
        return self._model

    def get_registered_model(self, _: str) -> object:
        return copy.deepcopy(self._model)

    def set_registered_model_tag(self, _: str, key: str, value: str) -> None:
        self._model.tags[key] = value

    def get_experiment_by_name(self, _: str) -> object:
        return self._experiment

    get_experiment = get_experiment_by_name

    def create_run(self, _: str, run_name: str, tags: dict[str, str], start_time: int = 3) -> object:
        run_id = f"{run_name} {len(self._runs)}"
        info = {"run_id": run_id, "experiment_id": "1", "start_time": start_time, "lifecycle_stage": "active"}
        data = SimpleNamespace(params={}, tags=tags)
        self._runs[run_id] = SimpleNamespace(info=SimpleNamespace(**info), data=data)
        return self.get_run(run_id)

    def get_run(self, run_id: str) -> object:
        return copy.deepcopy(self._runs[run_id])

    def search_runs(self, *_: object, **__: object) -> list[object]:
        return [self.get_run(run_id) for run_id in self._runs]

    def log_param(self, run_id: str, key: str, value: str) -> None:
        run = self._runs[run_id]
        if run.info.lifecycle_stage == "deleted" or run.data.params.setdefault(key, value) != value:
            raise MlflowException("refused", INVALID_PARAMETER_VALUE)

    def delete_run(self, run_id: str) -> None:
        self._runs[run_id].info.lifecycle_stage = "deleted"

    def restore_run(self, run_id: str) -> None:
        self._runs[run_id].info.lifecycle_stage = "active"

    def set_terminated(self, _: str) -> None:
        """No step of an election depends on it."""


def simplify(told: Any) -> object:
    """Return what MLflow told without what differs from race to race."""
    if isinstance(told, list):
        return tuple(sorted(map(simplify, told), key=str))
    if hasattr(told, "info"):
        return told.info.start_time, tell(told)
    return tuple(sorted(getattr(told, "tags", ())))


def register(registry: Any) -> str:
    """Register a model without a version or a history, and return its name."""
    return str(registry.client.create_registered_model(next(NAMES)).name)


def open_run(registry: Any, name: str) -> str:
    return HistoryRun(Store(registry.client, registry.uri), name).open()


def leave_candidate(
    registry: SmallRegistry, name: str, params: dict[str, str] | None = None, start_time: int | None = None
) -> str:
    """Leave a run as a process leaves it that was killed, or that knew no elections; return its id."""
    model = registry.client.get_registered_model(name)
    tags = {"kind": "history", "model": name, "model.registered": str(model.creation_timestamp)}
    experiment = registry.client.get_experiment_by_name("modelyard decisions")
    run = registry.client.create_run(experiment.experiment_id, tags=tags, start_time=start_time)
    for key, value in (params or {}).items():
        registry.client.log_param(run.info.run_id, key, value)
    return str(run.info.run_id)


def list_runs(registry: Any, name: str) -> list[Run]:
    experiment = registry.client.get_experiment_by_name("modelyard decisions")
    query = f"tags.model = '{name}'"
    found = registry.client.search_runs([experiment.experiment_id], query, run_view_type=ViewType.ALL)
    return list(found)


def tell(run: Run) -> str:
    return f"{run.data.params.get('state', 'undecided')}, {run.info.lifecycle_stage}"


def read_tag(registry: Any, name: str) -> str | None:
    found: str | None = registry.client.get_registered_model(name).tags.get("history_run")
    return found
