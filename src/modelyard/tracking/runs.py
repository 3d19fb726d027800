"""MLflow runs: opened for a training, or rebuilt from the files that a training left."""

import json
import os
import socket
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modelyard.failures import warn
from modelyard.images.dataset import Dataset
from modelyard.images.examples import Examples
from modelyard.nesting import flatten
from modelyard.params import Params
from modelyard.processes import is_running
from modelyard.tracking.calls import run_exists, write_past_others
from modelyard.tracking.lineage import digest, lineage_tags
from modelyard.tracking.mlflow_types import MlflowClient
from modelyard.tracking.store import NOTE, Tracking

# MLflow takes no more at once.
MOST_METRICS = 1000


@dataclass(frozen=True)
class LoggedDataset:
    """A dataset as MLflow lists it beside a run."""

    name: str
    digest: str
    source: str
    images: int

    @property
    def short_digest(self) -> str:
        """The part of the digest that MLflow keeps."""
        return self.digest[:36]


@dataclass(frozen=True)
class RunDescription:
    """What a run says about itself; kept in a file too, so that a lost run can be rebuilt."""

    name: str
    params: Mapping[str, str]
    tags: Mapping[str, str]
    dataset: LoggedDataset

    @property
    def identity(self) -> str:
        """A digest of what decides the outcome of a training: its parameters and its data."""
        return digest({"params": dict(self.params), "data": self.dataset.digest})

    @classmethod
    def from_plain(cls, values: dict[str, Any]) -> "RunDescription":
        """Return the description that `asdict` turned into plain values."""
        return cls(**{**values, "dataset": LoggedDataset(**values["dataset"])})


class TrainingRun:
    """A run that grows while a network trains; training goes on if the store fails.

    Epochs that the store did not take are logged with the next one. The register stage completes what is
    missing at the end from the training's record.
    """

    def __init__(self, tracking: Tracking, run_id: str, logged: int = 0) -> None:
        self.run_id = run_id
        self._client = tracking.client
        self._logged = logged
        self._pending: dict[int, Mapping[str, float]] = {}

    def log_epoch(self, epoch: int, metrics: Mapping[str, float]) -> None:
        """Log an epoch's metrics, and those still pending; what the run has already is not logged again."""
        from mlflow.exceptions import MlflowException

        if epoch < self._logged:
            return
        self._pending[epoch] = metrics
        try:
            for number in list(self._pending):
                log_epoch(self._client, self.run_id, number, self._pending[number])
                del self._pending[number]
        except MlflowException as error:
            warn(f"epoch {epoch + 1} is not in MLflow yet: {error}")

    def end(self, status: str, error: BaseException | None = None) -> None:
        """Set the run's final status, and the tag `error` if there was one."""
        from mlflow.exceptions import MlflowException

        try:
            if error is not None:
                self._client.set_tag(self.run_id, "error", f"{type(error).__name__}: {error}"[:5000])
            self._client.set_terminated(self.run_id, status)
        except MlflowException as refused:
            warn(f"run {self.run_id} could not be ended as {status}: {refused}")


def describe_training(
    params: Params, training: Examples, dataset: Dataset, lineage: Mapping[str, str] | None = None
) -> RunDescription:
    """Describe a training: its parameters, its code, its data.

    `lineage` says, as tags, what else the network's inputs were made with; the data's digest includes it.
    """
    chosen = params.model_dump(mode="json", include={"model", "train"})
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
        dataset=LoggedDataset(dataset.name, data, dataset.source, len(training)),
    )


@contextmanager
def training_run(
    tracking: Tracking,
    description: RunDescription,
    begun: str | None = None,
    stops: tuple[type[BaseException], ...] = (KeyboardInterrupt,),
) -> Iterator[TrainingRun]:
    """Open a run for the body. It ends FINISHED, KILLED by one of `stops`, or FAILED with its error.

    A run of the same training that was killed before, `begun`, goes on if the store knows it.
    """
    _end_abandoned_runs(tracking)
    owner = {"host": socket.gethostname(), "pid": str(os.getpid())}
    if begun is not None and run_exists(tracking.client, begun):
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
    """Return `run_id` if the store knows it, else the id of a run rebuilt from the training's files.

    In a fresh clone, DVC's cache has files of a training whose run the store never saw. The tag
    `rebuilt_from` with the lost run's id leads the next call to the new run. Missing epochs are logged.
    """
    client = tracking.client
    if not run_exists(client, run_id):
        query = f"tags.rebuilt_from = '{run_id}'"
        rebuilt = client.search_runs([tracking.experiment_id], query, max_results=1)
        lost = {"rebuilt_from": run_id}
        run_id = rebuilt[0].info.run_id if rebuilt else _create_run(tracking, description, lost)
    if client.get_run(run_id).info.status != "FINISHED":
        logged = _count_epochs(client, run_id)
        for epoch, metrics in list(enumerate(history))[logged:]:
            log_epoch(client, run_id, epoch, metrics)
        client.set_terminated(run_id, "FINISHED")
    return run_id


def log_epoch(client: MlflowClient, run_id: str, epoch: int, metrics: Mapping[str, float]) -> None:
    """Log an epoch's metrics as `train/…` and `validation/…`; steps count from 1."""
    from mlflow.entities import Metric

    now = int(time.time() * 1000)
    logged = [Metric(_metric_name(key), value, now, epoch + 1) for key, value in metrics.items()]
    client.log_batch(run_id, metrics=logged)


def log_metrics(client: MlflowClient, run_id: str, metrics: Sequence[Any]) -> None:
    """Log MLflow's metrics, however many: a thousand classes have three thousand."""
    for start in range(0, len(metrics), MOST_METRICS):
        client.log_batch(run_id, metrics=metrics[start : start + MOST_METRICS])


def log_dataset(client: MlflowClient, run_id: str, dataset: LoggedDataset, context: str) -> None:
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
    write_past_others(client.log_inputs, run_id, inputs)


def _create_run(tracking: Tracking, description: RunDescription, tags: Mapping[str, str]) -> str:
    from mlflow.entities import Param

    client = tracking.client
    data = f"{description.dataset.images:,} pictures of {description.dataset.name}"
    note = f"{description.name}: trained on {data}. Once it is a version, this says how good it is."
    own = {NOTE: note, **description.tags, **tags}
    run = client.create_run(tracking.experiment_id, run_name=description.name, tags=own)
    run_id = str(run.info.run_id)
    client.log_batch(run_id, params=[Param(key, value) for key, value in description.params.items()])
    log_dataset(client, run_id, description.dataset, "training")
    return run_id


def _reopen_run(tracking: Tracking, run_id: str, owner: Mapping[str, str]) -> TrainingRun:
    client = tracking.client
    for key, value in owner.items():
        client.set_tag(run_id, key, value)
    if "error" in client.get_run(run_id).data.tags:
        client.delete_tag(run_id, "error")
    client.update_run(run_id, status="RUNNING")
    return TrainingRun(tracking, run_id, _count_epochs(client, run_id))


def _count_epochs(client: MlflowClient, run_id: str) -> int:
    return len(client.get_metric_history(run_id, _metric_name("loss")))


def _metric_name(key: str) -> str:
    """A slash makes a section in MLflow; Keras writes `val_` for validation."""
    return f"validation/{key.removeprefix('val_')}" if key.startswith("val_") else f"train/{key}"


def _end_abandoned_runs(tracking: Tracking) -> None:
    """End the runs of this host whose process is gone: a killed process leaves its run RUNNING."""
    query = f"attributes.status = 'RUNNING' and tags.host = '{socket.gethostname()}'"
    for run in tracking.client.search_runs([tracking.experiment_id], query):
        if not is_running(int(run.data.tags["pid"])):
            tracking.client.set_tag(run.info.run_id, "error", "the process was killed")
            tracking.client.set_terminated(run.info.run_id, "KILLED")
