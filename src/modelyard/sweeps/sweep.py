"""A sweep: trials one after the other, as long as the study lacks some; the best one becomes a preset."""

import gc
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from modelyard.errors import ModelyardError
from modelyard.params import Params
from modelyard.sweeps.database import Database
from modelyard.sweeps.parent_run import close_parent, note_best, open_parent
from modelyard.sweeps.preset import Preset
from modelyard.sweeps.space import Space
from modelyard.sweeps.study import Study
from modelyard.sweeps.training_data import TrainingData, read_training_data
from modelyard.tracking.lineage import digest

if TYPE_CHECKING:
    import optuna

    from modelyard.sweeps.trials import Trials

# An experiment of their own: the comparison of versions shows the newest twenty runs of the other one.
EXPERIMENT = "modelyard sweeps"
Tell = Callable[[str], None]


def sweep(params: Params, root: Path, preset: Preset, tell: Tell) -> None:
    """Run what the study lacks of `sweep.trials`, and write its best trial as a preset.

    Several processes, on several machines, may do so at once with the same database.

    Args:
        params: all parameters; its group `sweep` says what, where and how long.
        root: the repository.
        preset: the file to write.
        tell: takes a line for each trial, and for what comes of them.

    Raises:
        ModelyardError: something in `params` is wrong, the data is missing, the database fails, the preset
            is a person's file, or no trial has ended with an accuracy.
    """
    preset.refuse_shared_values(params.sweep.space)
    wanted, space = params.sweep, Space(params.sweep.space, params)
    if params.model.input != "pixels":
        raise ModelyardError(f"model.input: expected pixels for a sweep, got {params.model.input}")
    database = Database(wanted.storage, root)
    with database.explaining_failures():
        data = read_training_data(root)
        name = wanted.study or f"{params.data.name} {params.model.name}"
        identity = digest([data.training.digest, data.validation.digest])
        study = Study(database, name, wanted, space, identity)
        preset.refuse_to_overwrite(study)
        if study.has_room(wanted.trials):
            _run_trials(study, space, params, data, tell)
        else:
            tell(f"the study {name!r} has its {wanted.trials} trials: nothing to do, --trials asks for more")
        if running := study.count("RUNNING"):
            tell(f"{running} of its trials run elsewhere at this moment")
        _write_preset(study, space, preset, wanted.seed, tell)


def _run_trials(study: Study, space: Space, params: Params, data: TrainingData, tell: Tell) -> None:
    """Run trials until the study has enough, or the time is over."""
    trials = _prepare(study, space, params, data)
    end = time.monotonic() + (params.sweep.timeout_s or float("inf"))
    status = "KILLED"
    try:
        while time.monotonic() < end and (trial := study.begin(params.sweep.trials)) is not None:
            tell(_run_trial(study, trial, trials))
            note_best(trials.tracking, trials.parent, study)
        status = "FINISHED"
    finally:
        close_parent(trials.tracking, trials.parent, study, status)


def _prepare(study: Study, space: Space, params: Params, data: TrainingData) -> "Trials":
    """Open MLflow, and import TensorFlow, with the first trial in sight."""
    from modelyard.registry.versions import fetch_network
    from modelyard.sweeps.trials import Trials
    from modelyard.tracking.runs import describe_training
    from modelyard.tracking.store import open_tracking

    tracking = open_tracking(EXPERIMENT)
    plain = describe_training(params, data.training, data.dataset)
    own = {"mlflow.source.name": "modelyard sweep", "study": study.name}
    description = replace(plain, tags={**plain.tags, **own})
    parent = open_parent(tracking, study, params, dict(description.tags))
    start = fetch_network(tracking, params.train.resume_from)
    _start_tensorflow()
    return Trials(params, space, data.training, data.validation, start, tracking, description, parent)


def _start_tensorflow() -> None:
    """Import TensorFlow for many networks, one after the other."""
    from modelyard.quiet import import_tensorflow

    import_tensorflow()
    import tensorflow as tf

    # It warns that functions are traced again and again: each network has its own.
    tf.get_logger().setLevel("ERROR")
    # What is there now stays: to look through it after every trial would take half a second.
    gc.freeze()


def _run_trial(study: Study, trial: "optuna.Trial", trials: "Trials") -> str:
    """Run a trial to its end, and return the line about it."""
    from optuna import TrialPruned
    from optuna.exceptions import UpdateFinishedTrialError

    began = time.monotonic()
    kept = True
    try:
        with study.beating(trial):
            accuracy = trials.run(trial)
        kept, told = study.end(trial, "COMPLETE", accuracy), f"complete  {accuracy:.2%}"
    except TrialPruned as pruned:
        kept, told = study.end(trial, "PRUNED"), f"pruned    {pruned}"
    except ModelyardError as error:
        kept, told = study.end(trial, "FAIL"), f"failed    {error}"
    except UpdateFinishedTrialError:
        kept = False
    except BaseException:
        # Nothing that the parameters are to blame for.
        study.put_back(trial)
        raise
    if not kept:
        told = "lost      begun again elsewhere, as nothing was heard of this process for long"
    best = "" if study.best is None else f"  best {study.best.value:.2%} (trial {study.best.number})"
    return f"trial {trial.number:<4}{told}{best}  {time.monotonic() - began:.1f} s"


def _write_preset(study: Study, space: Space, preset: Preset, seed: int, tell: Tell) -> None:
    best = study.best
    if best is None:
        raise ModelyardError(
            f"no trial of the study {study.name!r} has ended with an accuracy, so there is no preset: see "
            "the lines above, or its runs in MLflow"
        )
    preset.write(study, best, space.fill(best.params), seed)
    chosen = ", ".join(f"{name}={value}" for name, value in space.read(best.params).items())
    tell(f"best: trial {best.number}, {best.value:.2%} of the validation split with {chosen}")
    tell(f"{preset.file} has it: dvc exp run -S model={preset.name}")
