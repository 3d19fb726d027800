"""The run that keeps a model's history: found, made once, and brought back where it was deleted in MLflow."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING

from modelyard.errors import ModelyardError
from modelyard.failures import warn
from modelyard.registry.versions import get_model, list_versions
from modelyard.tracking.retries import write_past_others
from modelyard.tracking.store import Store, ensure_experiment

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run
    from mlflow.entities.model_registry import RegisteredModel

EXPERIMENT = "modelyard decisions"
# A registered model's tag with the id of its run.
HISTORY_RUN = "history_run"
# A parameter of the run of a model's first version: as long as there is no tag, it says which run was first.
# Where that one is no longer the model's, `modelyard.history_run.2` says which came after it, and so on.
FIRST = "modelyard.history_run"
# The history's tag: when its model was registered, in ms. Another model may come to have the same name.
REGISTERED = "model.registered"
# Of histories of before there was that tag: so far the clocks of two machines may differ.
MOST_SKEW_MS = 60_000


@dataclass(frozen=True)
class Kept:
    """What a history's run holds.

    Attributes:
        params: its parameters; empty where there is no run.
        deleted: whether it was deleted in MLflow; `HistoryRun.open` restores it, or makes a new one.
    """

    params: Mapping[str, str]
    deleted: bool


class HistoryRun:
    """The run of one model's history.

    Args:
        store: where the model is registered.
        name: of the registered model.
    """

    def __init__(self, store: Store, name: str) -> None:
        self._store, self._client, self._name = store, store.client, name
        self.id: str | None = None

    def read(self, model: "RegisteredModel") -> Kept:
        """Read what the run holds; nothing is written."""
        run = self._find(model)
        named = model.tags.get(HISTORY_RUN)
        lost = named is not None and (run is None or run.info.run_id != named)
        return Kept(run.data.params if run else {}, lost or (run is not None and _is_deleted(run)))

    def open(self) -> str:
        """Return the id of the run, which is made where there is none, and restored where it was deleted.

        Raises:
            ModelyardError: no version of the model has a run.
        """
        model = get_model(self._client, self._name)
        run = self._find(model)
        if run is None:
            self.id = self._begin(model)
        elif _is_deleted(run):
            self._restore(run)
        run_id = str(self.id)
        if model.tags.get(HISTORY_RUN) != run_id:
            write_past_others(lambda: self._client.set_registered_model_tag(self._name, HISTORY_RUN, run_id))
        return run_id

    def log_once(self, key: str, value: str) -> bool:
        """Log a parameter unless the run has another value for it; say whether it has this one now."""
        return _log_once(self._client, self.open(), key, value)

    def _find(self, model: "RegisteredModel") -> "Run | None":
        """Return the run, active or deleted; the model's tag comes a moment after it."""
        named = self.id or model.tags.get(HISTORY_RUN)
        run = _get_run(self._client, named) if named else None
        if run is None and (first := self._first_run()) is not None:
            ours = [found for one in _heirs(first.data.params) if (found := self._get_own(one, model))]
            run = ours[-1] if ours else None
        self.id = run.info.run_id if run else None
        return run

    def _get_own(self, run_id: str, model: "RegisteredModel") -> "Run | None":
        """Return a run unless it is gone, or is of a model that had this name before."""
        run = _get_run(self._client, run_id)
        if run is None:
            return None
        registered = run.data.tags.get(REGISTERED)
        if registered is None:
            return run if run.info.start_time > model.creation_timestamp - MOST_SKEW_MS else None
        return run if registered == str(model.creation_timestamp) else None

    def _first_run(self) -> "Run | None":
        """Return the run of the oldest version that has one still, the same for all who ask."""
        for version in list_versions(self._client, self._name):
            run = _get_run(self._client, version.run_id) if version.run_id else None
            if run is not None and not _is_deleted(run):
                return run
        return None

    def _begin(self, model: "RegisteredModel") -> str:
        first = self._first_run()
        if first is None:
            raise ModelyardError(
                f"{self._name}: expected a version with a run, which modelyard has published; found none"
            )
        made = self._make(model)
        for key in _places():
            if _log_once(self._client, first.info.run_id, key, made):
                break
            other = str(self._client.get_run(first.info.run_id).data.params[key])
            if self._get_own(other, model):
                # Somebody else has made one in the meantime.
                self._client.delete_run(made)
                return other
        if lost := model.tags.get(HISTORY_RUN):
            warn(f"the history of {self._name} was deleted for good (run {lost}): a new one begins")
        return made

    def _make(self, model: "RegisteredModel") -> str:
        experiment = self._client.get_experiment_by_name(EXPERIMENT)
        if experiment is not None:
            self._restore_experiment(experiment.experiment_id)
        experiment_id = ensure_experiment(self._client, self._store.uri, EXPERIMENT)
        note = (
            f"Who was champion of {self._name}, and why: each decision is a parameter, which MLflow never "
            f"lets change, and a file. `modelyard history {self._name}` tells it."
        )
        tags = {
            "kind": "history",
            "model": self._name,
            REGISTERED: str(model.creation_timestamp),
            "mlflow.note.content": note,
        }
        run = self._client.create_run(experiment_id, run_name=f"history of {self._name}", tags=tags)
        self._client.set_terminated(run.info.run_id)
        return str(run.info.run_id)

    def _restore(self, run: "Run") -> None:
        self._restore_experiment(run.info.experiment_id)
        self._client.restore_run(run.info.run_id)
        warn(f"the history of {self._name} was deleted in MLflow: it is restored (run {run.info.run_id})")

    def _restore_experiment(self, experiment_id: str) -> None:
        from mlflow.exceptions import MlflowException

        if self._client.get_experiment(experiment_id).lifecycle_stage != "deleted":
            return
        try:
            self._client.restore_experiment(experiment_id)
        except MlflowException as error:
            # Somebody else was faster.
            if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                raise


def _is_deleted(run: "Run") -> bool:
    return bool(run.info.lifecycle_stage == "deleted")


def _places() -> Iterator[str]:
    """The parameters of the first run that name a history: the first, and those that came after it."""
    yield FIRST
    yield from (f"{FIRST}.{number}" for number in count(2))


def _heirs(params: Mapping[str, str]) -> Iterator[str]:
    """The runs that were named as the model's history, oldest first."""
    for key in _places():
        if key not in params:
            return
        yield params[key]


def _get_run(client: "MlflowClient", run_id: str) -> "Run | None":
    """Return a run, also one that can be restored; None for one that is gone for good."""
    from mlflow.exceptions import MlflowException

    try:
        run: Run = client.get_run(run_id)
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        return None
    return run


def _log_once(client: "MlflowClient", run_id: str, key: str, value: str) -> bool:
    from mlflow.exceptions import MlflowException

    try:
        client.log_param(run_id, key, value)
    except MlflowException as error:
        held = client.get_run(run_id).data.params.get(key)
        # MLflow refuses with the same code what it takes for wrong in any other way.
        if error.error_code != "INVALID_PARAMETER_VALUE" or held is None:
            raise
        return bool(held == value)
    return True
