"""MLflow runs: one opened for a training, one made again from the files that a training left."""

import json
import os
import socket
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modelyard.images.dataset import Dataset as Record
from modelyard.images.examples import Examples
from modelyard.nesting import flatten
from modelyard.params import Params
from modelyard.processes import is_running
from modelyard.tracking.lineage import digest, lineage_tags, plain
from modelyard.tracking.retries import write_past_others
from modelyard.tracking.store import Tracking

if TYPE_CHECKING:
    from mlflow import MlflowClient


@dataclass(frozen=True)
class Dataset:
    """A dataset as MLflow lists it beside a run; MLflow keeps 36 characters of `digest`."""

    name: str
    digest: str
    source: str
    images: int

    @property
    def short_digest(self) -> str:
        """The digest as MLflow keeps it."""
        return self.digest[:36]


@dataclass(frozen=True)
class RunDescription:
    """What a run says about itself, kept in a file too, so that a lost run can be made again."""

    name: str
    params: Mapping[str, str]
    tags: Mapping[str, str]
    dataset: Dataset

    def plain(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        return asdict(self)

    @property
    def identity(self) -> str:
        """A digest of what decides the outcome of a training: its parameters and its data."""
        return digest({"params": dict(self.params), "data": self.dataset.digest})

    @classmethod
    def from_plain(cls, values: dict[str, Any]) -> "RunDescription":
        """Take back what `plain` gave."""
        return cls(**{**values, "dataset": Dataset(**values["dataset"])})


class TrainingRun:
    """A run that grows while a network trains, and that a dead store does not stop.

    Epochs that the store did not take are tried again with the next one. What is missing at the end, the
    register stage completes from the training's record.
    """

    def __init__(self, tracking: Tracking, run_id: str, logged: int = 0) -> None:
        self.run_id = run_id
        self._client = tracking.client
        self._logged = logged
        self._pending: dict[int, Mapping[str, float]] = {}

    def log_epoch(self, epoch: int, metrics: Mapping[str, float]) -> None:
        """Log one epoch's metrics, and those that are still pending; what the run has is not logged again."""
        from mlflow.exceptions import MlflowException

        if epoch < self._logged:
            return
        self._pending[epoch] = metrics
        try:
            for number in list(self._pending):
                log_epoch(self._client, self.run_id, number, self._pending[number])
                del self._pending[number]
        except MlflowException as error:
            _warn(f"epoch {epoch + 1} is not in MLflow yet: {error}")

    def end(self, status: str, error: BaseException | None = None) -> None:
        """Set the run's last status, and the tag `error` where there is one."""
        from mlflow.exceptions import MlflowException

        try:
            if error is not None:
                self._client.set_tag(self.run_id, "error", f"{type(error).__name__}: {error}"[:5000])
            self._client.set_terminated(self.run_id, status)
        except MlflowException as refused:
            _warn(f"run {self.run_id} could not be ended as {status}: {refused}")


def describe_training(
    params: Params, training: Examples, dataset: Record, lineage: Mapping[str, str] | None = None
) -> RunDescription:
    """Say what a training is: its parameters, its code, its data.

    Args:
        params: all of them.
        training: all training examples.
        dataset: that they are of.
        lineage: what else the network's inputs were made with, as tags; the data's digest includes it.
    """
    chosen = {"model": plain(params.model), "train": plain(params.train)}
    experiment = os.environ.get("DVC_EXP_NAME")
    data = digest({"inputs": training.digest, **lineage}) if lineage else training.digest
    return RunDescription(
        name=f"{dataset.name} {params.model.name}" + (f" {experiment}" if experiment else ""),
        params={key: str(value) for key, value in flatten(chosen, ".").items()},
        tags={
            **lineage_tags(Path.cwd()),
            "kind": "training",
            **(lineage or {}),
            "data.digest": data,
            "params.digest": digest(chosen),
            "source": dataset.source,
            "licence": dataset.licence,
        },
        dataset=Dataset(dataset.name, data, dataset.source, len(training)),
    )


@contextmanager
def training_run(
    tracking: Tracking,
    description: RunDescription,
    begun: str | None = None,
    stops: tuple[type[BaseException], ...] = (KeyboardInterrupt,),
) -> Iterator[TrainingRun]:
    """Open a run for the body; it ends FINISHED, KILLED where it is stopped, or FAILED with its error.

    Args:
        tracking: the store.
        description: of a new run.
        begun: the id of the run that the same training has begun before it was killed; it is the one that
            goes on, unless the store does not know it.
        stops: what stops the body without a failure.
    """
    _end_abandoned_runs(tracking)
    owner = {"host": socket.gethostname(), "pid": str(os.getpid())}
    if begun is not None and _run_exists(tracking.client, begun):
        run = _reopen_run(tracking, begun, owner)
    else:
        run = TrainingRun(tracking, _create_run(tracking, description, owner))
    try:
        yield run
    except BaseException as error:
        run.end("KILLED" if isinstance(error, stops) else "FAILED", error)
        raise
    run.end("FINISHED")


def find_or_rebuild_run(
    tracking: Tracking, run_id: str, description: RunDescription, history: Sequence[Mapping[str, float]]
) -> str:
    """Return `run_id` where the store knows it, else the id of a run made from what is on file.

    A fresh clone with DVC's cache has the files of a training whose run its store never saw. The new run
    carries the tag `rebuilt_from` with the lost run's id, by which the next call finds it again. A run whose
    store went away while it trained gets the epochs that it lacks.
    """
    client = tracking.client
    if not _run_exists(client, run_id):
        query = f"tags.rebuilt_from = '{run_id}'"
        rebuilt = client.search_runs([tracking.experiment_id], query, max_results=1)
        run_id = (
            rebuilt[0].info.run_id
            if rebuilt
            else _create_run(tracking, description, {"rebuilt_from": run_id})
        )
    if client.get_run(run_id).info.status != "FINISHED":
        logged = _count_epochs(client, run_id)
        for epoch, metrics in list(enumerate(history))[logged:]:
            log_epoch(client, run_id, epoch, metrics)
        client.set_terminated(run_id, "FINISHED")
    return run_id


def log_epoch(client: "MlflowClient", run_id: str, epoch: int, metrics: Mapping[str, float]) -> None:
    """Log one epoch's metrics as `train/…` and `validation/…`; the step is the epoch, counted from 1."""
    from mlflow.entities import Metric

    now = int(time.time() * 1000)
    logged = [Metric(_metric_name(key), value, now, epoch + 1) for key, value in metrics.items()]
    client.log_batch(run_id, metrics=logged)


def log_dataset(client: "MlflowClient", run_id: str, dataset: Dataset, context: str) -> None:
    """List a dataset among a run's inputs; `context` is training or evaluation."""
    from mlflow.entities import Dataset as DatasetEntity
    from mlflow.entities import DatasetInput, InputTag

    entity = DatasetEntity(
        name=dataset.name,
        digest=dataset.short_digest,
        source_type="http" if dataset.source.startswith("http") else "external",
        source=json.dumps({"url": dataset.source}),
        profile=json.dumps({"images": dataset.images}),
    )
    inputs = [DatasetInput(entity, [InputTag("mlflow.data.context", context)])]
    write_past_others(lambda: client.log_inputs(run_id, inputs))


def _create_run(tracking: Tracking, description: RunDescription, tags: Mapping[str, str]) -> str:
    from mlflow.entities import Param

    client = tracking.client
    run = client.create_run(
        tracking.experiment_id, run_name=description.name, tags={**description.tags, **tags}
    )
    run_id = str(run.info.run_id)
    client.log_batch(run_id, params=[Param(key, value) for key, value in description.params.items()])
    log_dataset(client, run_id, description.dataset, "training")
    return run_id


def _reopen_run(tracking: Tracking, run_id: str, owner: Mapping[str, str]) -> TrainingRun:
    """Let a run that has ended, however it did, go on."""
    client = tracking.client
    for key, value in owner.items():
        client.set_tag(run_id, key, value)
    if "error" in client.get_run(run_id).data.tags:
        client.delete_tag(run_id, "error")
    client.update_run(run_id, status="RUNNING")
    return TrainingRun(tracking, run_id, _count_epochs(client, run_id))


def _count_epochs(client: "MlflowClient", run_id: str) -> int:
    return len(client.get_metric_history(run_id, _metric_name("loss")))


def _metric_name(key: str) -> str:
    """A slash makes a section in MLflow; Keras writes `val_` for validation."""
    return f"validation/{key.removeprefix('val_')}" if key.startswith("val_") else f"train/{key}"


def _warn(message: str) -> None:
    print(f"warning: {message}", file=sys.stderr)


def _run_exists(client: "MlflowClient", run_id: str) -> bool:
    from mlflow.exceptions import MlflowException

    try:
        return bool(client.get_run(run_id).info.lifecycle_stage == "active")
    except MlflowException as error:
        if error.error_code == "RESOURCE_DOES_NOT_EXIST":
            return False
        raise


def _end_abandoned_runs(tracking: Tracking) -> None:
    """A killed process leaves its run RUNNING for ever: end those of this host whose process is gone."""
    running = tracking.client.search_runs(
        [tracking.experiment_id],
        f"attributes.status = 'RUNNING' and tags.host = '{socket.gethostname()}'",
    )
    for run in running:
        if not is_running(int(run.data.tags["pid"])):
            tracking.client.set_tag(run.info.run_id, "error", "the process was killed")
            tracking.client.set_terminated(run.info.run_id, "KILLED")
