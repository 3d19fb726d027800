"""Trials: each trains a network with its own parameters, and is measured on the validation split."""

import contextlib
import io
from dataclasses import dataclass, replace
from pathlib import Path

import optuna

from modelyard.nesting import flatten
from modelyard.params import Params, validate_params
from modelyard.sweeps.parent_run import PARENT
from modelyard.sweeps.space import Space
from modelyard.sweeps.training_data import TrainingData
from modelyard.tracking.lineage import digest
from modelyard.tracking.runs import RunDescription, TrainingRun, training_run
from modelyard.tracking.store import NOTE, Tracking
from modelyard.training.checkpoints import Metrics
from modelyard.training.members import fit_members
from modelyard.training.stopping import find_best
from modelyard.training.task import Task

# The metric of a trial's run that the sweep maximizes.
ACCURACY = "sweep/accuracy"


@dataclass(frozen=True)
class Trials:
    """What all trials of a sweep have in common."""

    params: Params  # the base, in which `space` replaces values
    space: Space
    data: TrainingData
    start: Path | None  # the `.keras` file of `train.resume_from`, or None
    tracking: Tracking
    description: RunDescription  # of a run with the base parameters
    parent: str  # the id of the parent run

    def run(self, trial: optuna.Trial) -> float:
        """Fit a network with a trial's parameters, and return its final validation accuracy.

        Raises TrialPruned if it is worse than the other trials, and ModelyardError if the parameters do not
        fit together, or the loss is not finite.
        """
        values = self.space.fill(trial.params)
        description = self._describe(trial, values)
        stops = (KeyboardInterrupt, optuna.TrialPruned)
        with training_run(self.tracking, description, stops=stops) as run:
            trial.set_user_attr("run_id", run.run_id)
            chosen = validate_params(
                self.params.model_dump(mode="json") | values, f"the parameters of trial {trial.number}"
            )
            examples = self.data.training.first(chosen.train.images)
            task = Task(chosen.model, chosen.train, examples, self.data.validation, self.start)
            try:
                accuracy = self._fit(trial, run, task)
            except optuna.TrialPruned:
                self.tracking.client.set_tag(run.run_id, "pruned", "true")
                raise
            self.tracking.client.log_metric(run.run_id, ACCURACY, accuracy)
        return accuracy

    def _describe(self, trial: optuna.Trial, values: dict[str, object]) -> RunDescription:
        chosen = ", ".join(f"{name} {value}" for name, value in sorted(trial.params.items()))
        note = f"Trial {trial.number} of a sweep: {chosen}."
        own = {PARENT: self.parent, "kind": "trial", "trial": str(trial.number), NOTE: note}
        return replace(
            self.description,
            name=f"trial {trial.number}",
            params={key: str(value) for key, value in flatten(values, ".").items()},
            tags={**self.description.tags, **own, "params.digest": digest(values)},
        )

    def _fit(self, trial: optuna.Trial, run: TrainingRun, task: Task) -> float:
        import keras

        def report(epoch: int, row: Metrics) -> None:
            run.log_epoch(epoch, row)
            trial.report(row["val_accuracy"], epoch)
            if epoch + 1 < task.train.epochs and trial.should_prune():
                raise optuna.TrialPruned(f"worse than the median after epoch {epoch + 1}")

        # A sweep prints one line per trial, not Keras' line per epoch.
        with contextlib.redirect_stdout(io.StringIO()):
            try:
                _, rows = fit_members(task, report)
            finally:
                # Keras' global state would grow with every network.
                keras.backend.clear_session()
        best = find_best(rows, task.train.early_stopping)
        return rows[-1 if best is None else best]["val_accuracy"]
