"""A sweep: runs the trials that a study still lacks, and writes the best one as a preset."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from modelyard.errors import ModelyardError
from modelyard.params import Params
from modelyard.sweeps.database import Database
from modelyard.sweeps.parent_run import close_parent, log_best, open_parent
from modelyard.sweeps.preset import Preset
from modelyard.sweeps.space import Space
from modelyard.sweeps.study import REASON, Study
from modelyard.sweeps.training_data import TrainingData, read_training_data
from modelyard.tracking.lineage import digest

if TYPE_CHECKING:
    import optuna

    from modelyard.sweeps.trials import Trials

# Separate from the trainings, whose newest twenty runs are compared.
EXPERIMENT = "modelyard sweeps"
ABOUT = "`modelyard sweep`: a run for each study, and below it a run for each trial of parameters."
Say = Callable[[str], None]


def sweep(params: Params, root: Path, preset: Preset, say: Say) -> None:
    """Run the trials that the study lacks, and write its best one as a preset.

    Several processes on several machines may sweep the same database at once. `say` prints a line. Raises
    ModelyardError if `params` are wrong, the data is missing, the database fails, the preset's file was
    edited, or no trial is complete.
    """
    preset.check_space(params.sweep.space)
    wanted, space = params.sweep, Space(params.sweep.space, params)
    if params.model.input != "pixels":
        raise ModelyardError(f"model.input: expected pixels for a sweep, got {params.model.input}")
    database = Database(wanted.storage, root)
    with database.explaining_failures():
        data = read_training_data(root)
        name = wanted.study or f"{params.data.name} {params.model.name}"
        identity = digest([data.training.digest, data.validation.digest])
        study = Study(database, name, wanted, space, identity)
        preset.check_overwrite(study)
        study.retry_killed()
        if study.lacks(wanted.trials):
            _run_trials(study, space, params, data, say)
        else:
            say(f"the study {name!r} has its {wanted.trials} trials: nothing to do, --trials asks for more")
        if running := study.count("RUNNING"):
            say(f"{running} of its trials are running in other processes")
        _write_preset(study, space, preset, wanted.seed, say)


def _run_trials(study: Study, space: Space, params: Params, data: TrainingData, say: Say) -> None:
    trials = _prepare(study, space, params, data)

    def report(trial: "optuna.trial.FrozenTrial") -> None:
        say(_describe(trial, study.best))
        log_best(trials.tracking, trials.parent, study)

    status = "KILLED"
    try:
        study.optimize(trials.run, params.sweep.trials, params.sweep.timeout_s, report)
        status = "FINISHED"
    finally:
        close_parent(trials.tracking, trials.parent, study, status)


def _prepare(study: Study, space: Space, params: Params, data: TrainingData) -> "Trials":
    """Open MLflow and import TensorFlow, which a sweep without trials does not need."""
    from modelyard.registry.artifacts import fetch_network
    from modelyard.sweeps.trials import Trials
    from modelyard.tracking.runs import describe_training
    from modelyard.tracking.store import open_tracking
    from modelyard.training.distribution.kernels import import_for_training

    tracking = open_tracking(EXPERIMENT, ABOUT)
    plain = describe_training(params, data.training, data.dataset)
    own = {"mlflow.source.name": "modelyard sweep", "study": study.name}
    description = replace(plain, tags={**plain.tags, **own})
    parent = open_parent(tracking, study, params, dict(description.tags))
    start = fetch_network(tracking, params.train.resume_from)
    import_for_training()
    import tensorflow as tf

    # Otherwise it warns that a function is traced repeatedly; each network has its own.
    tf.get_logger().setLevel("ERROR")
    return Trials(params, space, data, start, tracking, description, parent)


def _describe(trial: "optuna.trial.FrozenTrial", best: "optuna.trial.FrozenTrial | None") -> str:
    state = trial.state.name
    word = {"COMPLETE": "complete", "PRUNED": "pruned"}.get(state, "failed")
    outcome = f"{trial.value:.2%}" if state == "COMPLETE" else trial.user_attrs.get(REASON, "")
    so_far = "" if best is None else f"  best {best.value:.2%} (trial {best.number})"
    seconds = trial.duration.total_seconds() if trial.duration else 0.0
    return f"trial {trial.number:<4}{word:<10}{outcome}{so_far}  {seconds:.1f} s"


def _write_preset(study: Study, space: Space, preset: Preset, seed: int, say: Say) -> None:
    best = study.best
    if best is None:
        raise ModelyardError(
            f"the study {study.name!r} has no complete trial, so there is no preset: see the lines above, or "
            "its runs in MLflow"
        )
    preset.write(study, best, space.fill(best.params), seed)
    chosen = ", ".join(f"{name}={value}" for name, value in space.read(best.params).items())
    say(f"best: trial {best.number}, {best.value:.2%} of the validation split with {chosen}")
    say(f"wrote {preset.file}: dvc exp run -S model={preset.name}")
