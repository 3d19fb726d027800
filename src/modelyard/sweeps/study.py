"""A study: Optuna's trials of one sweep, in a database that several processes and machines may share."""

import os
import socket
import uuid
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from modelyard.errors import ModelyardError, UsageError
from modelyard.nesting import flatten
from modelyard.params import Sweep
from modelyard.processes import is_running
from modelyard.sweeps.database import GRACE_S, Database, retry
from modelyard.sweeps.space import Space

if TYPE_CHECKING:
    import optuna

# User attributes of a study, and of a trial; users' databases have them.
BASE, ID, PRESETS = "about", "id", "presets"
OWNER, REASON = "owner", "reason"
# Optuna's states.
FINISHED = ("COMPLETE", "PRUNED", "FAIL")


class Study:
    """An Optuna study, created if missing; raise UsageError if it has other parameters, space or data."""

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
        """The complete trial with the best accuracy, the first of several."""
        complete = [trial for trial in self.trials if trial.state.name == "COMPLETE"]
        return max(complete, key=lambda trial: (trial.value, -trial.number), default=None)

    def count(self, *states: str) -> int:
        """Count the trials in these states of Optuna, without those that were retried."""
        from optuna.storages import RetryHeartbeatStaleTrialCallback as Retry

        trials = self.trials
        retried = {number for trial in trials for number in Retry.retry_history(trial)}
        return sum(trial.state.name in states and trial.number not in retried for trial in trials)

    def lacks(self, wanted: int) -> bool:
        """Return whether fewer than `wanted` trials have finished or are running."""
        # Not Optuna's MaxTrialsCallback: it counts a killed trial and its retry as two.
        return self.count(*FINISHED, "RUNNING") < wanted

    def retry_killed(self) -> None:
        """Retry the trials of killed processes, before this process runs a trial.

        Optuna notices a missing heartbeat only after three minutes; on this machine the processes are known.
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
        """Run trials until `wanted` have finished or are running, in all processes and earlier calls.

        `objective` returns a trial's accuracy. A ModelyardError fails the trial; any other exception ends the
        sweep, and the trial is retried. `on_end` gets every finished trial; its user attribute `reason` says
        why it was pruned or failed. No trial starts after `timeout_s`. Two processes that finish a trial at
        the same moment may start one trial too many. Raises ModelyardError if this process was silent for so
        long that another one failed its trial.
        """
        if not self.lacks(wanted):
            return
        turn = _Turn(self, objective, wanted, on_end)
        try:
            self._study.optimize(turn.run, timeout=timeout_s, catch=(ModelyardError,), callbacks=[turn.end])
        except (Exception, KeyboardInterrupt) as error:
            # Optuna raises anything from ValueError to AssertionError if its trial is no longer running.
            if turn.is_lost:
                raise ModelyardError(
                    f"trial {turn.current} was given up by another process, because this one was silent for "
                    f"{GRACE_S} s: start the sweep again"
                ) from error
            if turn.current is not None:
                retry(self._study, self._study.get_trials()[turn.current])
            raise

    def set_up(self, trial: "optuna.Trial") -> None:
        """Choose a trial's parameters, and note which process runs it."""
        # Seeded by the number: processes draw different values, a resumed sweep the same ones as before.
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


@dataclass
class _Turn:
    """One call of Optuna's `optimize`: its trials, one after the other.

    Attributes:
        current: the number of the trial that runs; None between two.
        is_lost: whether another process has failed the latest trial meanwhile.
    """

    study: Study
    objective: "Callable[[optuna.Trial], float]"
    wanted: int
    on_end: "Callable[[optuna.trial.FrozenTrial], None]"
    current: int | None = None
    is_lost: bool = False

    def run(self, trial: "optuna.Trial") -> float:
        """Run a trial, and return its accuracy."""
        import optuna

        self.current = trial.number
        self.study.set_up(trial)
        try:
            return self.objective(trial)
        except (optuna.TrialPruned, ModelyardError) as error:
            trial.set_user_attr(REASON, str(error))
            raise
        finally:
            self.is_lost = self.study.trials[trial.number].state.name != "RUNNING"

    def end(self, study: "optuna.Study", trial: "optuna.trial.FrozenTrial") -> None:
        """Report that a trial has ended, and stop after the last one that is wanted."""
        self.current = None
        self.on_end(trial)
        if not self.study.lacks(self.wanted):
            study.stop()


def _is_killed(owner: Mapping[str, Any] | None) -> bool:
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
    startup = sweep.sampler.startup_trials
    return optuna.samplers.TPESampler(n_startup_trials=startup, constant_liar=True, seed=seed)


def _check_base(name: str, kept: Mapping[str, Any], base: Mapping[str, Any]) -> None:
    before, now = flatten(kept, "."), flatten(base, ".")
    differing = [key for key in dict.fromkeys([*before, *now]) if before.get(key) != now.get(key)]
    if differing:
        lines = [f"{key}: the study has {before.get(key)!r}, now it is {now.get(key)!r}" for key in differing]
        raise UsageError(
            f"the study {name!r} has other parameters, so new trials could not be compared with its own: "
            "give --study another name\n  " + "\n  ".join(lines)
        )
