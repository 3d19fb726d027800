"""Where the service reads the registry: a local database by itself, everything else through MLflow."""

from modelyard.service.models.registry_client import RegistryClient
from modelyard.service.models.registry_database import RegistryDatabase
from modelyard.tracking.address import database_file


def open_source(uri: str) -> RegistryClient:
    """Return the source behind an address, as MLFLOW_TRACKING_URI has it; nothing is asked yet."""
    database = database_file(uri)
    return RegistryClient(uri) if database is None else RegistryDatabase(uri, database)
