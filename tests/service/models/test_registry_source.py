"""What the registry says, asked of a real one in both ways; and what happens where there is none."""

import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

import pytest

from modelyard.inference.bundle import read_bundle
from modelyard.params import Params
from modelyard.registry.artifact_files import ArtifactError
from modelyard.registry.publishing.publication import Publication
from modelyard.registry.publishing.registration import publish
from modelyard.service.models.registry_client import RegistryClient
from modelyard.service.models.registry_database import REVISIONS, open_source
from modelyard.service.models.registry_state import RegistryState, SourceError
from modelyard.tracking.address import database_file, tracking_uri
from modelyard.tracking.runs import LoggedDataset
from modelyard.tracking.store import open_tracking
from small_registry import SEVEN, SmallRegistry, leave_database, make_bundle


@pytest.fixture
def registry(tmp_path: Path) -> SmallRegistry:
    # A folder's name may hold what an address would have to escape.
    return SmallRegistry(tmp_path / "a registry, 100%#1")


@pytest.fixture(params=["client", "database"])
def source(registry: SmallRegistry, request: pytest.FixtureRequest) -> RegistryClient:
    return RegistryClient(registry.uri) if request.param == "client" else open_source(registry.uri)


def test_a_published_version_is_described_and_downloaded(repository: Path, params: Params) -> None:
    """Published as the register stage does it; both ways find the project's own database."""
    bundle = make_bundle(repository / "bundle")
    (repository / "report/samples").mkdir(parents=True)
    (repository / "report/samples/00-label-7.png").write_bytes(SEVEN)
    dataset = LoggedDataset("digits", "d" * 64, "https://example.org", 67)
    metrics = {
        "test/accuracy": 0.99,
        "test/accuracy_low": 0.98,
        "test/accuracy_high": 1.0,
        "test/errors": 1.0,
        "agreement/same_first": 1.0,
        "agreement/max_difference": 0.0,
        "latency/p50_ms": 0.1,
        "latency/p99_ms": 0.2,
        "load_ms": 3.0,
        "size_bytes": 1.0,
    }
    publication = Publication(
        bundle, metrics, dataset, repository / "report", None, "p" * 64, facts={}, card=params.data.card
    )
    leave_database(repository / "mlflow.db")
    publish(open_tracking("digits"), publication)
    uri = tracking_uri()
    database = open_source(uri)
    model = database.read(["mnist"]).models["mnist"]
    assert model.aliases == {"champion": 1, "challenger": 1}
    assert model.versions[1].content_key == bundle.content_key
    assert model.versions[1].metrics["test/accuracy"] == 0.99
    assert RegistryClient(uri).read(["mnist"]).models["mnist"] == model
    for source in (database, RegistryClient(uri)):
        came = repository / type(source).__name__
        came.mkdir()
        bundle_there = read_bundle(source.download("mnist", 1, came))
        assert bundle_there.content_key == bundle.content_key
        assert bundle_there.folder.is_relative_to(came)
        assert source.samples("mnist", 1) == {"00-label-7.png": SEVEN}


def test_aliases_and_versions_are_those_of_now(registry: SmallRegistry, source: RegistryClient) -> None:
    registry.point(registry.add())
    assert source.read(["mnist"]).models["mnist"].aliases == {"champion": 1}
    registry.point(registry.add(mark="b"))
    model = source.read(["mnist"]).models["mnist"]
    assert model.aliases == {"champion": 2}
    assert list(model.versions) == [1, 2]
    assert model.find("champion") == model.versions[2]
    assert model.find("best") is None


def test_a_version_that_was_deleted_is_there_no_more(registry: SmallRegistry, source: RegistryClient) -> None:
    registry.add()
    registry.add(mark="b")
    registry.client.delete_model_version("mnist", "1")
    assert list(source.read(["mnist"]).models["mnist"].versions) == [2]


def test_metrics_follow_a_version_that_changed(registry: SmallRegistry, source: RegistryClient) -> None:
    registry.add()
    assert read_metrics(source) == {}
    registry.log_metric(1, "test/accuracy", 0.5)
    assert read_metrics(source) == {"test/accuracy": 0.5}


def test_of_a_metric_logged_twice_the_latest_value_counts(
    registry: SmallRegistry, source: RegistryClient
) -> None:
    registry.add()
    registry.log_metric(1, "test/accuracy", 0.9)
    registry.log_metric(1, "test/accuracy", 0.5)
    assert read_metrics(source) == {"test/accuracy": 0.5}


def test_a_logged_model_that_was_deleted_leaves_its_version_without_metrics(
    registry: SmallRegistry, source: RegistryClient
) -> None:
    registry.add()
    registry.log_metric(1, "test/accuracy", 0.5)
    (version,) = registry.client.search_model_versions("name = 'mnist'")
    registry.client.delete_logged_model(version.tags["model_id"])
    assert read_metrics(source) == {}


def test_a_name_that_is_missing_brings_those_there_are(
    registry: SmallRegistry, source: RegistryClient
) -> None:
    registry.add()
    assert source.read(["mnist"]).others == ()
    state = source.read(["mnist", "inception-v3"])
    assert list(state.models) == ["mnist"]
    assert state.others == ("mnist",)


def test_without_names_all_that_modelyard_published_are_read(
    registry: SmallRegistry, source: RegistryClient
) -> None:
    assert source.read([]) == RegistryState({})
    registry.add()
    registry.add("colours")
    registry.client.create_registered_model("foreign")
    registry.client.create_model_version("foreign", "file:///nowhere")
    assert list(source.read([]).models) == ["colours", "mnist"]


def test_a_name_that_cannot_be_shown_everywhere_is_left_out(
    registry: SmallRegistry, source: RegistryClient
) -> None:
    registry.add()
    registry.client.create_registered_model("strange \u202e")
    registry.client.create_model_version("strange \u202e", "file:///nowhere", tags={"content_key": "0" * 64})
    assert list(source.read([]).models) == ["mnist"]
    assert source.read(["missing"]).others == ("mnist",)


def test_a_missing_artifact_is_named(registry: SmallRegistry, source: RegistryClient, tmp_path: Path) -> None:
    registry.add()
    (registry.artifacts(1) / "MLmodel").unlink()
    with pytest.raises(ArtifactError, match=r"its artifacts cannot be fetched: .*MLmodel"):
        source.download("mnist", 1, tmp_path / "came")


def test_a_logged_model_without_a_bundle_is_refused(
    registry: SmallRegistry, source: RegistryClient, tmp_path: Path
) -> None:
    registry.add()
    (registry.artifacts(1) / "MLmodel").write_text("flavors: {}\n")
    with pytest.raises(ArtifactError, match="its MLmodel file names no bundle"):
        source.download("mnist", 1, tmp_path / "came")


@pytest.mark.parametrize(
    "path", ["/outside", "../outside", "artifacts/link"], ids=["absolute", "above", "a link to a device"]
)
def test_a_bundle_outside_its_artifacts_is_not_fetched(
    registry: SmallRegistry, source: RegistryClient, tmp_path: Path, path: str
) -> None:
    registry.add()
    bundle = registry.artifacts(1) / "artifacts" / "bundle"
    shutil.copytree(bundle, bundle.parent / "link")
    (bundle.parent / "link" / "model.tflite").unlink()
    (bundle.parent / "link" / "model.tflite").symlink_to("/dev/zero")
    description = registry.artifacts(1) / "MLmodel"
    description.write_text(description.read_text().replace("artifacts/bundle", path))
    (tmp_path / "came").mkdir()
    with pytest.raises(
        ArtifactError, match=r"its MLmodel file names no bundle|its artifacts cannot be fetched"
    ) as caught:
        source.download("mnist", 1, tmp_path / "came")
    assert str(tmp_path) not in caught.value.reason
    assert not list((tmp_path / "came").rglob("model.tflite"))


def test_what_no_registry_of_mlflow_holds_is_left_out(registry: SmallRegistry) -> None:
    registry.point(registry.add())
    with closing(sqlite3.connect(database_file(registry.uri) or "")) as database, database:
        columns = [column[1] for column in database.execute("PRAGMA table_info(model_versions)")]
        for number in (2**40, "of text", -3):
            chosen = ", ".join("?" if column == "version" else column for column in columns)
            database.execute(
                f"INSERT INTO model_versions ({', '.join(columns)}) "  # noqa: S608
                f"SELECT {chosen} FROM model_versions WHERE version = 1",
                (number,),
            )
        database.execute("UPDATE model_version_tags SET value = ? WHERE key = 'precision'", (b"\xff\xfe",))
        database.execute("UPDATE registered_model_aliases SET version = 5000000000")
    model = open_source(registry.uri).read(["mnist"]).models["mnist"]
    assert list(model.versions) == [1]
    assert model.find("champion") is None


@pytest.mark.parametrize("way", [RegistryClient, open_source])
def test_a_missing_database_is_told_and_not_made(tmp_path: Path, way: type[RegistryClient]) -> None:
    with pytest.raises(SourceError, match=r"the registry does not answer \(FileNotFoundError\)"):
        way(f"sqlite:///{tmp_path}/mlflow.db?timeout=5").read([])
    assert not (tmp_path / "mlflow.db").exists()


def test_a_file_that_is_no_database_is_told(tmp_path: Path) -> None:
    (tmp_path / "mlflow.db").write_text("no database")
    with pytest.raises(SourceError, match=r"the registry does not answer \(DatabaseError\)"):
        open_source(f"sqlite:///{tmp_path}/mlflow.db").read([])


def test_the_tables_of_this_mlflow_are_known(registry: SmallRegistry) -> None:
    """Where this fails after an update of MLflow, look at the queries, then add the revision."""
    assert read_revision(registry) in REVISIONS


def test_tables_that_are_not_known_are_read_through_mlflow(
    registry: SmallRegistry, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    state = RegistryState({}, ("through MLflow",))
    monkeypatch.setattr(RegistryClient, "read", lambda *_: state)
    source = open_source(registry.uri)
    assert source.read(["mnist"]).others == ()
    write_revision(registry, "of another age")
    assert source.read(["mnist"]) == source.read(["mnist"]) == state
    assert caplog.text.count("its tables have revision of another age") == 1


def test_artifacts_on_another_machine_come_through_mlflow(
    registry: SmallRegistry, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def bring(*given: object) -> tuple[object, ...]:
        return given

    for name in ("bring_bundle", "read_samples"):
        monkeypatch.setattr(f"modelyard.service.models.registry_client.{name}", bring)
    registry.client.create_registered_model("far")
    registry.client.create_model_version("far", "s3://bucket/far")
    source = open_source(registry.uri)
    assert source.download("far", 1, tmp_path) == ("s3://bucket/far", tmp_path, registry.uri)
    assert source.samples("far", 1) == ("s3://bucket/far", registry.uri)


def test_a_database_is_read_and_its_bundle_fetched_without_mlflow(
    registry: SmallRegistry, tmp_path: Path
) -> None:
    registry.point(registry.add())
    script = (
        "import sys; from pathlib import Path\n"
        "from modelyard.service.models.registry_database import open_source\n"
        "source = open_source(sys.argv[1])\n"
        "version = source.read(['mnist']).models['mnist'].find('champion').version\n"
        "bundle = source.download('mnist', version, Path(sys.argv[2]))\n"
        "print((bundle / 'model.tflite').exists(), {'mlflow', 'sqlalchemy', 'pandas'} & set(sys.modules))"
    )
    command = [sys.executable, "-c", script, registry.uri, str(tmp_path)]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "True set()\n"


def test_a_server_that_is_away_is_told_before_mlflow_is_imported() -> None:
    script = (
        "import sys\n"
        "from modelyard.service.models.registry_database import open_source\n"
        "from modelyard.service.models.registry_state import SourceError\n"
        "try: open_source('http://127.0.0.1:9').read([])\n"
        "except SourceError as error: print('mlflow' in sys.modules, error)"
    )
    shown = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    assert shown.startswith("False the registry does not answer (ConnectionError)")


def read_metrics(source: RegistryClient) -> Mapping[str, float]:
    """Return the metrics of version 1."""
    return source.read(["mnist"]).models["mnist"].versions[1].metrics


def read_revision(registry: SmallRegistry) -> str:
    with closing(sqlite3.connect(database_file(registry.uri) or "")) as database:
        return str(database.execute("SELECT version_num FROM alembic_version").fetchone()[0])


def write_revision(registry: SmallRegistry, revision: str) -> None:
    with closing(sqlite3.connect(database_file(registry.uri) or "")) as database, database:
        database.execute("UPDATE alembic_version SET version_num = ?", (revision,))
