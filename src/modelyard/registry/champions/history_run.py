"""The run that keeps a model's history: found, created once, and restored if it was deleted in MLflow."""

from collections.abc import Iterator, Mapping
from itertools import count, takewhile

from modelyard.errors import ModelyardError
from modelyard.failures import warn
from modelyard.registry.versions import get_model, list_versions
from modelyard.tracking.calls import ask, write_past_others
from modelyard.tracking.mlflow_types import MlflowClient, RegisteredModel, Run
from modelyard.tracking.store import Store, ensure_experiment

EXPERIMENT = "modelyard decisions"
ABOUT = "Which version was champion when, and why: a run for each model; `modelyard history NAME` tells it."
# A registered model's tag with the id of its run.
HISTORY_RUN = "history_run"
# A parameter of the run of a model's first version, which names the history's run while there is no tag.
# If that one is no longer the model's, `modelyard.history_run.2` names the next, and so on.
# It is a parameter because two processes may begin a history at once: of two writers of a tag, the last one
# wins, and each would keep a history of its own.
FIRST = "modelyard.history_run"
# The history's tag: when its model was registered, in ms. Another model may get the same name later.
REGISTERED = "model.registered"
# For older histories without that tag: how far the clocks of two machines may differ.
MOST_SKEW_MS = 60_000


class HistoryRun:
    """The run of one model's history."""

    def __init__(self, store: Store, name: str) -> None:
        self._store, self._client, self._name = store, store.client, name
        self.id: str | None = None

    def read(self, model: RegisteredModel) -> tuple[Mapping[str, str], bool]:
        """Return the run's parameters, none without a run, and whether it was deleted; write nothing."""
        run = self._find(model)
        named = model.tags.get(HISTORY_RUN)
        lost = named is not None and (run is None or run.info.run_id != named)
        return run.data.params if run else {}, lost or (run is not None and _is_deleted(run))

    def open(self) -> str:
        """Return the id of the run, created or restored if need be; some version must have a run."""
        model = get_model(self._client, self._name)
        run = self._find(model)
        if run is None:
            self.id = self._begin(model)
        elif _is_deleted(run):
            self._restore_experiment(run.info.experiment_id)
            self._client.restore_run(run.info.run_id)
            warn(f"the history of {self._name} was deleted in MLflow: it is restored (run {run.info.run_id})")
        run_id = str(self.id)
        if model.tags.get(HISTORY_RUN) != run_id:
            write_past_others(self._client.set_registered_model_tag, self._name, HISTORY_RUN, run_id)
        return run_id

    def log_once(self, key: str, value: str) -> bool:
        """Log a parameter unless the run has another value for it; return whether it has this one now."""
        return _log_once(self._client, self.open(), key, value)

    def _find(self, model: RegisteredModel) -> Run | None:
        """Return the run, active or deleted; the model's tag is set a moment after it exists."""
        named = self.id or model.tags.get(HISTORY_RUN)
        run = ask(self._client.get_run, named) if named else None
        if run is None and (first := self._first_run()) is not None:
            params = first.data.params
            named_runs = (params[key] for key in takewhile(params.__contains__, _places()))
            ours = [found for one in named_runs if (found := self._get_own(one, model))]
            run = ours[-1] if ours else None
        self.id = run.info.run_id if run else None
        return run

    def _get_own(self, run_id: str, model: RegisteredModel) -> Run | None:
        """Return a run, unless it is gone or belongs to an earlier model of this name."""
        run = ask(self._client.get_run, run_id)
        if run is None:
            return None
        registered = run.data.tags.get(REGISTERED)
        if registered is None:
            return run if run.info.start_time > model.creation_timestamp - MOST_SKEW_MS else None
        return run if registered == str(model.creation_timestamp) else None

    def _first_run(self) -> Run | None:
        for version in list_versions(self._client, self._name):
            run = ask(self._client.get_run, version.run_id) if version.run_id else None
            if run is not None and not _is_deleted(run):
                return run
        return None

    def _begin(self, model: RegisteredModel) -> str:
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
                # Somebody else has created one in the meantime.
                self._client.delete_run(made)
                return other
        if lost := model.tags.get(HISTORY_RUN):
            warn(f"the history of {self._name} was deleted for good (run {lost}): a new one begins")
        return made

    def _make(self, model: RegisteredModel) -> str:
        experiment = self._client.get_experiment_by_name(EXPERIMENT)
        if experiment is not None:
            self._restore_experiment(experiment.experiment_id)
        experiment_id = ensure_experiment(self._client, self._store.uri, EXPERIMENT, ABOUT)
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

    def _restore_experiment(self, experiment_id: str) -> None:
        if self._client.get_experiment(experiment_id).lifecycle_stage == "deleted":
            # Somebody else may be faster.
            ask(self._client.restore_experiment, experiment_id)


def _is_deleted(run: Run) -> bool:
    return bool(run.info.lifecycle_stage == "deleted")


def _places() -> Iterator[str]:
    """Yield the parameters of the first run that name a history, in order."""
    yield FIRST
    yield from (f"{FIRST}.{number}" for number in count(2))


def _log_once(client: MlflowClient, run_id: str, key: str, value: str) -> bool:
    from mlflow.exceptions import MlflowException

    try:
        client.log_param(run_id, key, value)
    except MlflowException as error:
        held = client.get_run(run_id).data.params.get(key)
        # MLflow uses this code for other errors too.
        if error.error_code != "INVALID_PARAMETER_VALUE" or held is None:
            raise
        return bool(held == value)
    return True
