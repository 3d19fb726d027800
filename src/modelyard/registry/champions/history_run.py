"""The run that keeps a model's history: elected once, and restored if it was deleted in MLflow.

Two processes may begin a history at once, and each would keep its own. So a history begins as a candidate,
and its parameter `state`, which MLflow never lets change, says what became of it. An elector sets `lost` on
all candidates but one, then `won` on that one; if a write is refused, another elector was faster, and it
looks again. At most one wins: a candidate wins only after all others that its elector saw have lost, and one
created later would have to set the winner to `lost` first. What a killed process left, the next one decides.
"""

from collections.abc import Mapping, Sequence

from modelyard.failures import warn
from modelyard.registry.versions import get_model
from modelyard.tracking.calls import ask, write_past_others
from modelyard.tracking.mlflow_types import MlflowClient, RegisteredModel, Run
from modelyard.tracking.store import Store, ensure_experiment

EXPERIMENT = "modelyard decisions"
ABOUT = "Which version was champion when, and why: a run for each model; `modelyard history NAME` tells it."
# A registered model's tag with the id of its run; set a moment after the run has won.
HISTORY_RUN = "history_run"
# Histories that were begun before there were elections have no state.
STATE, WON, LOST = "state", "won", "lost"
# A candidate's tag: when its model was registered, in ms. Another model may get the same name later.
REGISTERED = "model.registered"


class HistoryRun:
    """The run of one model's history."""

    def __init__(self, store: Store, name: str) -> None:
        self._store, self._client, self._name = store, store.client, name
        # The run that was read or opened last.
        self.id: str | None = None

    def read(self, model: RegisteredModel) -> tuple[Mapping[str, str], bool]:
        """Return the run's parameters, none without a run, and whether it was deleted; write nothing."""
        named = self._get_named(model)
        run = named or _choose(self._list_candidates(model))
        self.id = run.info.run_id if run else None
        gone = named is None and HISTORY_RUN in model.tags
        return run.data.params if run else {}, gone or (run is not None and _is_deleted(run))

    def open(self) -> str:
        """Return the id of the run, elected or restored if need be."""
        model = get_model(self._client, self._name)
        run = self._get_named(model) or self._elect(model)
        self.id = run_id = str(run.info.run_id)
        if _is_deleted(run):
            self._restore(run)
            warn(f"the history of {self._name} was deleted in MLflow: it is restored (run {run_id})")
        named = model.tags.get(HISTORY_RUN)
        if named != run_id:
            if named:
                warn(f"the history of {self._name} was deleted for good (run {named}): a new one begins")
            self._client.set_terminated(run_id)
            write_past_others(self._client.set_registered_model_tag, self._name, HISTORY_RUN, run_id)
        return run_id

    def log_once(self, key: str, value: str) -> bool:
        """Log a parameter unless the run has another value for it; return whether it has this one now."""
        return _log_once(self._client, self.open(), key, value)

    def _get_named(self, model: RegisteredModel) -> Run | None:
        """Return the run that the model's tag names, active or deleted; None if it is gone for good."""
        named = model.tags.get(HISTORY_RUN)
        return ask(self._client.get_run, named) if named else None

    def _elect(self, model: RegisteredModel) -> Run:
        """Return the candidate that has won, or let one win; delete the others."""
        while True:
            candidates = self._list_candidates(model)
            chosen = _choose(candidates)
            others = [run for run in candidates if run is not chosen]
            if chosen is None:
                self._create_candidate(model)
            elif STATE in chosen.data.params:
                for loser in others:
                    self._delete(loser)
                return chosen
            elif all(self._decide(other, LOST) for other in others):
                self._decide(chosen, WON)

    def _list_candidates(self, model: RegisteredModel) -> list[Run]:
        """Return the model's candidates, deleted ones too."""
        from mlflow.entities import ViewType

        experiment = self._client.get_experiment_by_name(EXPERIMENT)
        if experiment is None:
            return []
        query = f"tags.kind = 'history' and tags.`{REGISTERED}` = '{model.creation_timestamp}'"
        found = self._client.search_runs([experiment.experiment_id], query, run_view_type=ViewType.ALL)
        # Two models may have been registered in the same millisecond.
        return [run for run in found if run.data.tags.get("model") == self._name]

    def _decide(self, run: Run, state: str) -> bool:
        """Set a candidate's state unless it has another one; return whether it has this one now."""
        if held := run.data.params.get(STATE):
            return bool(held == state)
        if _is_deleted(run):
            self._restore(run)
        return _log_once(self._client, run.info.run_id, STATE, state)

    def _delete(self, loser: Run) -> None:
        if not _is_deleted(loser):
            # First, so that another elector that comes too late reads why it cannot write to it.
            self._decide(loser, LOST)
            self._client.delete_run(loser.info.run_id)

    def _create_candidate(self, model: RegisteredModel) -> None:
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
        self._client.create_run(experiment_id, run_name=f"history of {self._name}", tags=tags)

    def _restore(self, run: Run) -> None:
        self._restore_experiment(run.info.experiment_id)
        self._client.restore_run(run.info.run_id)

    def _restore_experiment(self, experiment_id: str) -> None:
        if self._client.get_experiment(experiment_id).lifecycle_stage == "deleted":
            # Somebody else may be faster.
            ask(self._client.restore_experiment, experiment_id)


def _choose(candidates: Sequence[Run]) -> Run | None:
    """Return the candidate that has won, or else the one that should win; None if all have lost."""
    left = [run for run in candidates if run.data.params.get(STATE) != LOST]
    return min(left, key=_rank, default=None)


def _rank(run: Run) -> tuple[bool, bool, int, str]:
    # Without a state, only a history from before there were elections holds decisions.
    params = run.data.params
    return params.get(STATE) != WON, not params, run.info.start_time, run.info.run_id


def _is_deleted(run: Run) -> bool:
    return bool(run.info.lifecycle_stage == "deleted")


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
