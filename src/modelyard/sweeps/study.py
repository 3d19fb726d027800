"""A study: Optuna's trials of one sweep, in a database that several processes and machines may share."""

import os
import socket
import uuid
import warnings
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from modelyard.errors import ModelyardError, UsageError
from modelyard.nesting import flatten
from modelyard.params import Sweep
from modelyard.processes import is_running
from modelyard.sweeps.database import GRACE_S, Database, retry
from modelyard.sweeps.space import Space

if TYPE_CHECKING:
    import optuna

# User attributes of a study, and of a trial; databases of users have them.
BASE, ID, PRESETS = "about", "id", "presets"
OWNER, REASON = "owner", "reason"


class Study:
    """An Optuna study for one set of base parameters, one space and one dataset.

    Args:
        database: where it is; created if it is missing.
        name: the study's name there.
        sweep: its sampler and pruner.
        space: what its trials choose from.
        data_digest: a digest of the training and validation data.

    Raises:
        UsageError: a study of this name has other parameters, another space or other data.
    """

    def __init__(self, database: Database, name: str, sweep: Sweep, space: Space, data_digest: str) -> None:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.CRITICAL)
        # Heartbeats and retries have been experimental in Optuna since 2.8.
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        self.name, self.database = name, database
        self._sweep, self._space = sweep, space
        base = {
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
            if BASE not in self._study.user_attrs:
                self._study.set_user_attr(ID, uuid.uuid4().hex)
                self._study.set_user_attr(BASE, base)
        _check_base(name, self._study.user_attrs[BASE], base)

    @property
    def id(self) -> str:
        """An id that no study has in any other database."""
        return str(self._study.user_attrs[ID])

    @property
    def trials(self) -> "list[optuna.trial.FrozenTrial]":
        """All trials, ordered by number; read-only."""
        return self._study.get_trials(deepcopy=False)

    @property
    def best(self) -> "optuna.trial.FrozenTrial | None":
        """The trial with the best accuracy, the first of several; None if no trial is complete."""
        complete = [trial for trial in self.trials if trial.state.name == "COMPLETE"]
        return max(complete, key=lambda trial: (trial.value, -trial.number), default=None)

    def count(self, *states: str) -> int:
        """Count the trials in these states of Optuna, without those that were retried."""
        from optuna.storages import RetryHeartbeatStaleTrialCallback as Retry

        trials = self.trials
        retried = {number for trial in trials for number in Retry.retry_history(trial)}
        return sum(trial.state.name in states and trial.number not in retried for trial in trials)

    def count_finished(self) -> int:
        """Count the trials that are complete, pruned or failed."""
        return self.count("COMPLETE", "PRUNED", "FAIL")

    def lacks(self, wanted: int) -> bool:
        """Return whether fewer than `wanted` trials have finished or are running."""
        # Not Optuna's MaxTrialsCallback: it counts a killed trial and its retry as two.
        return self.count("COMPLETE", "PRUNED", "FAIL", "RUNNING") < wanted

    def retry_killed(self) -> None:
        """Retry the trials of killed processes; called before this process runs a trial.

        Optuna notices a missing heartbeat after three minutes. A sweep that is started again on the same
        machine need not wait.
        """
        import optuna

        with self.database.lock():
            optuna.storages.fail_stale_trials(self._study)
            for trial in self._study.get_trials():
                if trial.state.name == "RUNNING" and _is_killed(trial.user_attrs.get(OWNER)):
                    self._study.tell(trial.number, state=optuna.trial.TrialState.FAIL)
                    retry(self._study, trial)

    def optimize(
        self,
        objective: "Callable[[optuna.Trial], float]",
        wanted: int,
        timeout_s: float | None,
        on_end: "Callable[[optuna.trial.FrozenTrial], None]",
    ) -> None:
        """Run trials until `wanted` have finished or are running.

        Two processes that finish a trial at the same moment may start one trial too many.

        Args:
            objective: gets a trial with its parameters; returns the accuracy. A ModelyardError fails the
                trial. Any other exception ends the sweep, and the trial is retried.
            wanted: the number of trials, with those of other processes and earlier calls.
            timeout_s: start no trial after this time; None is no limit.
            on_end: gets every finished trial; its user attribute `reason` says why it was pruned or failed.

        Raises:
            ModelyardError: this process was silent for so long that another one has failed its trial.
        """
        import optuna

        current, is_lost = None, False

        def run(trial: optuna.Trial) -> float:
            nonlocal current, is_lost
            current = trial.number
            self._set_up(trial)
            try:
                return objective(trial)
            except (optuna.TrialPruned, ModelyardError) as error:
                trial.set_user_attr(REASON, str(error))
                raise
            finally:
                is_lost = self.trials[trial.number].state.name != "RUNNING"

        def after(study: optuna.Study, trial: optuna.trial.FrozenTrial) -> None:
            nonlocal current
            current = None
            on_end(trial)
            if not self.lacks(wanted):
                study.stop()

        if not self.lacks(wanted):
            return
        try:
            self._study.optimize(run, timeout=timeout_s, catch=(ModelyardError,), callbacks=[after])
        except (Exception, KeyboardInterrupt) as error:
            # Optuna raises anything from ValueError to AssertionError if its trial is no longer running.
            if is_lost:
                raise ModelyardError(
                    f"trial {current} was given up by another process, because this one was silent for "
                    f"{GRACE_S} s: start the sweep again"
                ) from error
            if current is not None:
                retry(self._study, self._study.get_trials()[current])
            raise

    def _set_up(self, trial: "optuna.Trial") -> None:
        """Choose a trial's parameters, and record who runs it."""
        # Seeded by the number: processes draw differently, and a resumed sweep as an uninterrupted one.
        self._study.sampler = _make_sampler(self._sweep, trial.number)
        trial.set_user_attr(OWNER, {"host": socket.gethostname(), "pid": os.getpid()})
        self._space.suggest(trial)

    @property
    def presets(self) -> tuple[str, ...]:
        """The digests of all presets that were written from this study."""
        return tuple(self._study.user_attrs.get(PRESETS, ()))

    def record_preset(self, digest: str) -> None:
        """Record the digest of a preset that was written."""
        with self.database.lock():
            self._study.set_user_attr(PRESETS, [*self.presets, digest])


def _is_killed(owner: Mapping[str, Any] | None) -> bool:
    """Return whether a running trial's process was on this machine and is gone."""
    if owner is None or owner["host"] != socket.gethostname():
        return False
    # A restarted container gives the same process id again, but this process runs no trial yet.
    return owner["pid"] == os.getpid() or not is_running(owner["pid"])


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
    # The constant liar assumes bad results for running trials, so that processes do not try the same values.
    return optuna.samplers.TPESampler(
        n_startup_trials=sweep.sampler.startup_trials, constant_liar=True, seed=seed
    )


def _check_base(name: str, kept: Mapping[str, Any], base: Mapping[str, Any]) -> None:
    """Check that new trials can be compared with those in the study."""
    before, now = flatten(kept, "."), flatten(base, ".")
    differing = [key for key in dict.fromkeys([*before, *now]) if before.get(key) != now.get(key)]
    if differing:
        lines = [f"{key}: the study has {before.get(key)!r}, now it is {now.get(key)!r}" for key in differing]
        raise UsageError(
            f"the study {name!r} has other parameters, so new trials could not be compared with its own: "
            "give --study another name\n  " + "\n  ".join(lines)
        )
