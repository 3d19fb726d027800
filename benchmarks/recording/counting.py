"""Whether a table holds what was answered: answers and drops as the service counts them, beside the rows."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from benchmarks.serving.processes import OK, Running
from modelyard.errors import ModelyardError
from modelyard.monitoring.tables.schema import ANSWER, ANSWERS, SHADOW

IMAGE = "image"


@dataclass(frozen=True)
class Told:
    """What /metrics says: answers given, of one image each; by kind, what was not recorded; pictures kept."""

    answered: int
    dropped: Counter[str]
    kept: int


@dataclass(frozen=True)
class Count:
    """Rows of one role in a table, beside what was answered and what was dropped."""

    mode: str
    role: str
    answered: int
    dropped: int
    rows: int

    @property
    def missing(self) -> int:
        """How many rows there should be more; of a table that has too many, less than 0."""
        return self.answered - self.dropped - self.rows


def read_metrics(running: Running) -> Told:
    """Ask a service what it has counted."""
    from prometheus_client.parser import text_string_to_metric_families

    status, content = running.request("GET", "/metrics")
    if status != OK:
        raise ModelyardError(f"{running.launch.title}: expected /metrics, got status {status}")
    answered, dropped, kept = 0, Counter[str](), 0
    for family in text_string_to_metric_families(content.decode()):
        for name, labels, value, *_ in family.samples:
            if name == "modelyard_requests_total" and labels["status"] == str(OK) and labels["model"]:
                answered += int(value)
            elif name == "modelyard_record_dropped_total":
                dropped[labels["kind"]] += int(value)
            elif name == "modelyard_recorded_total" and labels["kind"] == IMAGE:
                kept = int(value)
    return Told(answered, dropped, kept)


def count_rows(mode: str, told: Told, place: Path, has_shadow: bool) -> list[Count]:
    """Count a table's rows, once its service has stopped."""
    from pyarrow import compute, dataset

    parts = dataset.dataset(place / ANSWERS.name, format="parquet", partitioning="hive")
    roles = (ANSWER, SHADOW) if has_shadow else (ANSWER,)
    return [
        Count(mode, role, told.answered, told.dropped[role], parts.count_rows(compute.field("role") == role))
        for role in roles
    ]
