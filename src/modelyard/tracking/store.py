"""The MLflow store: its client, and the experiment that holds the project's runs."""

from contextlib import nullcontext
from dataclasses import dataclass

from modelyard.errors import ModelyardError
from modelyard.imports import without_collecting
from modelyard.tracking.address import ARTIFACTS, database_file, reach_server, tracking_uri
from modelyard.tracking.calls import EXISTS, READ_ONLY, ask
from modelyard.tracking.database import check_tables, first_use
from modelyard.tracking.environment import PATIENCE, QUIET, set_defaults
from modelyard.tracking.mlflow_types import MlflowClient
from modelyard.tracking.relocation import find_former_folder

# MLflow's tag for what a page shows as its description.
NOTE = "mlflow.note.content"
ABOUT_RUNS = "Every training and every imported network is a run here; registered ones are versions."


@dataclass(frozen=True)
class Store:
    """An open MLflow store."""

    client: MlflowClient
    uri: str


@dataclass(frozen=True)
class Tracking(Store):
    """An open MLflow store and the experiment that holds the project's runs."""

    experiment_id: str


def open_store() -> Store:
    """Open the store without creating anything.

    Raises ModelyardError if the server does not answer, or there is no database with MLflow's tables.
    """
    uri = tracking_uri()
    database = database_file(uri)
    _ask_server(uri)
    if database is not None and not database.is_file():
        raise ModelyardError(
            f"expected the tracking database {database}, but there is none: `make repro` makes it, and "
            "MLFLOW_TRACKING_URI names another"
        )
    set_defaults(PATIENCE)
    with without_collecting():
        set_defaults(QUIET)
        if database is not None:
            check_tables(database)
        return Store(_open_client(uri), uri)


def open_tracking(experiment: str, about: str = ABOUT_RUNS) -> Tracking:
    """Open the store; create its database and the experiment, which `about` describes, if they are missing.

    Raises ModelyardError if the server does not answer, the database cannot be opened, its folder was moved,
    or the experiment was deleted.
    """
    uri = tracking_uri()
    _ask_server(uri)
    database = database_file(uri)
    with without_collecting(), nullcontext() if database is None else first_use(database):
        client = _open_client(uri)
        return Tracking(client, uri, ensure_experiment(client, uri, experiment, about))


def ensure_experiment(client: MlflowClient, uri: str, name: str, about: str) -> str:
    """Return the id of an experiment, created if it is missing.

    `about` becomes the description of one that has none. Raises ModelyardError if it was deleted, or its
    artifacts would be written to the folder that its database was moved or copied from.
    """
    database = database_file(uri)
    experiment = client.get_experiment_by_name(name)
    if experiment is None:
        artifacts = database.with_name(ARTIFACTS).as_uri() if database else None
        # This kind opens on the training view, where runs can be compared.
        kind = {"mlflow.experimentKind": "custom_model_development", NOTE: about}
        # Another process may create it first.
        ask(client.create_experiment, name, artifacts, kind, refusals=(EXISTS,))
        experiment = client.get_experiment_by_name(name)
    if experiment is None or experiment.lifecycle_stage == "deleted":
        raise ModelyardError(
            f"the experiment {name!r} was deleted in MLflow: restore it there, or choose another name in "
            "conf/registry"
        )
    if database is not None and (former := find_former_folder(database, experiment.artifact_location)):
        raise ModelyardError(
            f"{database.parent} was moved or copied from {former}, where new artifacts would be written: run "
            "`modelyard relocate` once"
        )
    if NOTE not in experiment.tags:
        ask(client.set_experiment_tag, experiment.experiment_id, NOTE, about, refusals=READ_ONLY)
    return str(experiment.experiment_id)


def _open_client(uri: str) -> MlflowClient:
    """Import MLflow, quietly, and return a client; fluent calls go to the same store."""
    set_defaults(QUIET)
    import mlflow

    mlflow.set_tracking_uri(uri)
    mlflow.set_registry_uri(uri)
    return mlflow.MlflowClient()


def _ask_server(uri: str) -> None:
    if not uri.startswith("http"):
        return
    try:
        reach_server(uri)
    except OSError as error:
        raise ModelyardError(
            f"MLFLOW_TRACKING_URI={uri}: expected an MLflow server, got {type(error).__name__}. Start it, "
            "or unset MLFLOW_TRACKING_URI to use the local database"
        ) from None
