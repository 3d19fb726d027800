"""Where the service reads the registry: a local database by itself, everything else through MLflow."""

from modelyard.service.models.loading import Source
from modelyard.service.models.registry_client import RegistryClient
from modelyard.service.models.registry_database import RegistryDatabase
from modelyard.tracking.address import database_file


def open_source(uri: str) -> Source:
    """Return the source behind an address; nothing is asked yet.

    Args:
        uri: of a tracking server or a database, as MLFLOW_TRACKING_URI has it.
    """
    client = RegistryClient(uri)
    database = database_file(uri)
    return client if database is None else RegistryDatabase(database, client)
