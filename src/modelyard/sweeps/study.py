"""A study: the trials of a sweep in a database, which several processes and machines may work on at once."""

import os
import socket
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from threading import Event, Thread
from typing import TYPE_CHECKING, Any

from modelyard.errors import UsageError
from modelyard.nesting import flatten
from modelyard.params import Sweep
from modelyard.processes import is_running
from modelyard.sweeps.database import Database
from modelyard.sweeps.space import Space

if TYPE_CHECKING:
    import optuna

ABOUT, PRESETS = "about", "presets"
OWNER, ALIVE_AT, AGAIN_FOR, ATTEMPT = "owner", "alive_at", "again_for", "attempt"
# A process tells so often that it lives, and counts as dead after so long; clocks may differ by a minute.
BEAT_S, PATIENCE_S = 15.0, 180.0
# A trial that was so often killed may be what kills: it has failed then.
ATTEMPTS = 3


class Study:
    """An Optuna study for one base of parameters, one space and one dataset.

    Args:
        database: where it is; made where it is missing.
        name: the study's name there.
        sweep: its sampler and pruner.
        space: what its trials choose.
        data_digest: of the training and validation data.

    Raises:
        UsageError: there is a study of this name about something else.
    """

    def __init__(self, database: Database, name: str, sweep: Sweep, space: Space, data_digest: str) -> None:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self.name = name
        self._database, self._sweep, self._space = database, sweep, space
        about = {
            "data": data_digest,
            **space.fixed,
            "space": {key: sweep.space[key].model_dump(mode="json") for key in space.names},
        }
        with database.lock():
            self._study = optuna.create_study(
                storage=database.open(),
                study_name=name,
                direction="maximize",
                load_if_exists=True,
                pruner=_make_pruner(sweep),
            )
            if ABOUT not in self._study.user_attrs:
                self._study.set_user_attr("id", uuid.uuid4().hex)
                self._study.set_user_attr(ABOUT, about)
        _refuse_another(name, self._study.user_attrs[ABOUT], about)

    @property
    def id(self) -> str:
        """What tells it from studies of the same name in other databases."""
        return str(self._study.user_attrs["id"])

    @property
    def trials(self) -> "list[optuna.trial.FrozenTrial]":
        """All trials, in the order of their numbers; not to be changed."""
        return self._study.get_trials(deepcopy=False)

    @property
    def best(self) -> "optuna.trial.FrozenTrial | None":
        """The trial with the best accuracy, of several the first; None where none has finished."""
        done = [trial for trial in self.trials if trial.state.name == "COMPLETE"]
        return max(done, key=lambda trial: (trial.value, -trial.number), default=None)

    def count(self, *states: str) -> int:
        """Count the trials in these states, by Optuna's names, but for those that were begun again."""
        again = {trial.user_attrs.get(AGAIN_FOR) for trial in self.trials}
        return sum(trial.state.name in states and trial.number not in again for trial in self.trials)

    def count_finished(self) -> int:
        """Count the trials that have an end of their own: all epochs, pruned, or failed."""
        return self.count("COMPLETE", "PRUNED", "FAIL")

    def has_room(self, wanted: int) -> bool:
        """Say whether a trial is still to be begun, if there shall be `wanted` in all."""
        with self._database.lock():
            self._give_up_dead()
            return self._lacks(wanted)

    def begin(self, wanted: int) -> "optuna.Trial | None":
        """Begin a trial, and choose its parameters; None where as many as `wanted` have finished or run."""
        with self._database.lock():
            self._give_up_dead()
            if not self._lacks(wanted):
                return None
            # From the number alone: two processes do not draw alike, and a sweep that goes on draws as if it
            # had never stopped.
            self._study.sampler = _make_sampler(self._sweep, len(self.trials))
            trial = self._study.ask()
            trial.set_user_attr(OWNER, {"host": socket.gethostname(), "pid": os.getpid()})
            trial.set_user_attr(ALIVE_AT, time.time())
            self._space.suggest(trial)
            return trial

    def end(self, trial: "optuna.Trial", state: str, accuracy: float | None = None) -> bool:
        """Set a trial's last state, by Optuna's name.

        Returns:
            False where another process took this one for dead, and has begun the trial again.
        """
        import optuna

        with self._database.lock():
            if self._is_taken_over(trial):
                return False
            self._study.tell(trial, accuracy, optuna.trial.TrialState[state])
            return True

    def put_back(self, trial: "optuna.Trial") -> None:
        """Let the next process begin an interrupted trial again, with the same parameters."""
        with self._database.lock():
            if not self._is_taken_over(trial):
                self._put_back(self.trials[trial.number])

    @contextmanager
    def beating(self, trial: "optuna.Trial") -> Iterator[None]:
        """Tell other machines, while the body runs, that this process lives."""
        from optuna.exceptions import StorageInternalError, UpdateFinishedTrialError
        from sqlalchemy.exc import SQLAlchemyError

        stop = Event()

        def beat() -> None:
            while not stop.wait(BEAT_S):
                # Whoever runs the trial hears of these too.
                with suppress(UpdateFinishedTrialError, StorageInternalError, SQLAlchemyError):
                    trial.set_user_attr(ALIVE_AT, time.time())

        thread = Thread(target=beat, daemon=True)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Keep all others out of the study's database."""
        with self._database.lock():
            yield

    @property
    def presets(self) -> tuple[str, ...]:
        """The digests of all presets that were written from it, see `note_preset`."""
        return tuple(self._study.user_attrs.get(PRESETS, ()))

    def note_preset(self, digest: str) -> None:
        """Keep the digest of a preset that was written."""
        with self._database.lock():
            self._study.set_user_attr(PRESETS, [*self.presets, digest])

    def _lacks(self, wanted: int) -> bool:
        return self.count("COMPLETE", "PRUNED", "FAIL", "RUNNING") < wanted

    def _is_taken_over(self, trial: "optuna.Trial") -> bool:
        return self.trials[trial.number].state.name != "RUNNING"

    def _give_up_dead(self) -> None:
        for trial in self.trials:
            if trial.state.name == "RUNNING" and _is_dead(trial.user_attrs):
                self._put_back(trial)

    def _put_back(self, trial: "optuna.trial.FrozenTrial") -> None:
        """Fail a trial, and enqueue its parameters where it was not killed too often."""
        import optuna

        self._study.tell(trial.number, state=optuna.trial.TrialState.FAIL)
        attempt = trial.user_attrs.get(ATTEMPT, 1)
        if attempt < ATTEMPTS:
            again = {AGAIN_FOR: trial.number, ATTEMPT: attempt + 1}
            self._study.enqueue_trial(trial.params, user_attrs=again)


def _is_dead(told: Mapping[str, Any]) -> bool:
    """Say whether a running trial's process is gone, by what it has told; asked with the lock held."""
    owner = told.get(OWNER)
    if owner is None or ALIVE_AT not in told:
        # Its process has lost the lock while it began.
        return True
    # This process runs no trial when it asks: one of its id is dead, for in a container that was started
    # again processes have the same ids.
    gone = owner["pid"] == os.getpid() or not is_running(owner["pid"])
    if owner["host"] == socket.gethostname() and gone:
        return True
    return time.time() - float(told[ALIVE_AT]) > PATIENCE_S


def _make_pruner(sweep: Sweep) -> "optuna.pruners.BasePruner":
    import optuna

    how = sweep.pruner
    if how.name == "none":
        return optuna.pruners.NopPruner()
    return optuna.pruners.MedianPruner(how.startup_trials, how.warmup_epochs)


def _make_sampler(sweep: Sweep, number: int) -> "optuna.samplers.BaseSampler":
    import optuna

    seed = (sweep.seed * 1_000_003 + number) % 2**32
    if sweep.sampler.name == "random":
        return optuna.samplers.RandomSampler(seed)
    # What runs at the moment counts as bad, so that several processes do not try the same.
    return optuna.samplers.TPESampler(
        n_startup_trials=sweep.sampler.startup_trials, constant_liar=True, seed=seed
    )


def _refuse_another(name: str, kept: Mapping[str, Any], about: Mapping[str, Any]) -> None:
    """Refuse to put trials into a study that cannot be compared with them."""
    before, now = flatten(kept, "."), flatten(about, ".")
    differing = [key for key in dict.fromkeys([*before, *now]) if before.get(key) != now.get(key)]
    if differing:
        lines = [f"{key}: the study has {before.get(key)!r}, now it is {now.get(key)!r}" for key in differing]
        raise UsageError(
            f"the study {name!r} was made with other values, so its trials cannot be compared with new "
            "ones: give --study another name\n  " + "\n  ".join(lines)
        )
