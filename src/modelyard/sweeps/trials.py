"""Trials: each a training with the parameters it chose, measured on the validation split."""

import contextlib
import io
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from modelyard.images.examples import Examples
from modelyard.nesting import flatten
from modelyard.params import EarlyStopping, Params, validate_params
from modelyard.sweeps.parent_run import PARENT
from modelyard.sweeps.space import Space
from modelyard.tracking.lineage import digest
from modelyard.tracking.runs import RunDescription, TrainingRun, training_run
from modelyard.tracking.store import Tracking
from modelyard.training.checkpoints import Metrics
from modelyard.training.members import fit_members
from modelyard.training.task import Task

if TYPE_CHECKING:
    import optuna

# Of a trial's run: what the sweep looks for.
ACCURACY = "sweep/accuracy"


@dataclass(frozen=True)
class Trials:
    """What all trials of a sweep share.

    Attributes:
        params: the base; `space` lays a trial's own over it.
        training: all training examples; `train.images` takes the first of them.
        validation: what accuracy is measured on.
        start: the `.keras` file that `train.resume_from` names, or None.
        description: of a run with the base parameters.
        parent: id of the run that trials are nested in.
    """

    params: Params
    space: Space
    training: Examples
    validation: Examples
    start: Path | None
    tracking: Tracking
    description: RunDescription
    parent: str

    def run(self, trial: "optuna.Trial") -> float:
        """Fit a network with a trial's parameters; return its accuracy on the validation split.

        That is the accuracy of the network as it comes out: after the last epoch, or with the weights of the
        best one where it may stop early.

        Raises:
            TrialPruned: it is behind the others.
            ModelyardError: the parameters do not fit together, or the loss is no number.
        """
        from optuna import TrialPruned

        values = self.space.fill(trial.params)
        description = self._describe(trial, values)
        stops = (KeyboardInterrupt, TrialPruned)
        with training_run(self.tracking, description, stops=stops) as run:
            trial.set_user_attr("run_id", run.run_id)
            chosen = validate_params(
                self.params.model_dump(mode="json") | values, f"the parameters of trial {trial.number}"
            )
            task = Task(
                chosen.model,
                chosen.train,
                self.training.first(chosen.train.images),
                self.validation,
                self.start,
            )
            try:
                accuracy = self._fit(trial, run, task)
            except TrialPruned:
                self.tracking.client.set_tag(run.run_id, "pruned", "true")
                raise
            self.tracking.client.log_metric(run.run_id, ACCURACY, accuracy)
        return accuracy

    def _describe(self, trial: "optuna.Trial", values: dict[str, object]) -> RunDescription:
        own = {
            PARENT: self.parent,
            "kind": "trial",
            "trial": str(trial.number),
            "params.digest": digest(values),
        }
        return replace(
            self.description,
            name=f"trial {trial.number}",
            params={key: str(value) for key, value in flatten(values, ".").items()},
            tags={**self.description.tags, **own},
        )

    def _fit(self, trial: "optuna.Trial", run: TrainingRun, task: Task) -> float:
        from optuna import TrialPruned

        def tell(epoch: int, row: Metrics) -> None:
            run.log_epoch(epoch, row)
            trial.report(row["val_accuracy"], epoch)
            if epoch + 1 < task.train.epochs and trial.should_prune():
                raise TrialPruned(f"behind half of the others after epoch {epoch + 1}")

        # Keras has a line for every epoch; the sweep has one for every trial.
        with contextlib.redirect_stdout(io.StringIO()):
            try:
                _, rows = fit_members(task, tell)
            finally:
                _free_memory()
        return final_accuracy(rows, task.train.early_stopping)


def final_accuracy(rows: Sequence[Metrics], stopping: EarlyStopping) -> float:
    """Return the validation accuracy of a network as it comes out of its training.

    Args:
        rows: one an epoch.
        stopping: where it may stop early, it has the weights of the epoch that counted as the best.
    """
    if stopping.patience is None:
        return rows[-1]["val_accuracy"]
    best = rows[0]["val_accuracy"]
    for row in rows:
        if row["val_accuracy"] > best + stopping.min_improvement:
            best = row["val_accuracy"]
    return best


def _free_memory() -> None:
    """Drop what Keras keeps of a network, and collect the rest: a sweep makes hundreds."""
    import keras

    keras.backend.clear_session()
