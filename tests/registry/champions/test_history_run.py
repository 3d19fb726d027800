"""Who begins a model's history, in a real MLflow store: one run wins, whatever others do at the same time."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from mlflow.entities import Run, ViewType
from mlflow.exceptions import MlflowException

from modelyard.registry.champions.history_run import HistoryRun
from modelyard.tracking.store import Store
from small_registry import SmallRegistry

# The calls that read or write what another process may write or read.
READS = {"get_registered_model", "search_runs", "get_run"}
WRITES = {"create_run", "log_param", "delete_run", "set_registered_model_tag"}
NAMES = (f"model-{number}" for number in count())


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> SmallRegistry:
    return SmallRegistry(tmp_path_factory.mktemp("elections") / "registry")


@pytest.fixture
def name(registry: SmallRegistry) -> str:
    """A registered model without a history."""
    return register(registry)


def test_of_two_that_begin_at_once_one_wins_in_every_order_of_their_steps(registry: SmallRegistry) -> None:
    """Where an order meets a state that is known, both are killed, and a third one decides."""
    todo: list[tuple[int, ...]] = [()]
    known: set[object] = set()
    refused = orders = 0
    while todo:
        race = Race(registry)
        for turn in todo.pop():
            race.step(turn)
        while race.waiting and (state := race.describe()) not in known:
            known.add(state)
            turn, *others = race.waiting
            todo += [(*race.turns, other) for other in others]
            race.step(turn)
        race.end()
        orders += 1
        refused += any("INVALID_PARAMETER_VALUE" in process.seen for process in race.processes)
    print(orders, len(known), refused)
    assert orders > 40
    assert refused > 5
