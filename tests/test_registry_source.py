"""What the registry says, asked of a real one; and what happens where there is none."""

import subprocess
import sys
from pathlib import Path

import pytest

from modelyard.inference.bundle import read_bundle
from modelyard.registry.publication import Publication, publish
from modelyard.service.registry_source import RegistrySource, RegistryState, SourceError
from modelyard.tracking.runs import Dataset
from modelyard.tracking.store import open_tracking
from small_registry import SmallRegistry, make_bundle


@pytest.fixture
def registry(tmp_path: Path) -> SmallRegistry:
    return SmallRegistry(tmp_path / "registry")


@pytest.fixture
def source(registry: SmallRegistry) -> RegistrySource:
    return RegistrySource(registry.uri)


def test_a_published_version_is_described_and_downloaded(repository: Path) -> None:
    """Published as the register stage does it; the source finds the project's own database."""
    bundle = make_bundle(repository / "bundle")
    (repository / "report").mkdir()
    dataset = Dataset("digits", "d" * 64, "https://example.org", 67)
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
    publication = Publication(bundle, metrics, dataset, repository / "report", None, False, "p" * 64)
    publish(open_tracking("digits"), publication)
    source = RegistrySource()
    model = source.read(["mnist"]).models["mnist"]
    assert model.aliases == {"champion": 1, "challenger": 1}
    assert model.versions[1].content_key == bundle.content_key
    assert model.versions[1].metrics["test/accuracy"] == 0.99
    (repository / "came").mkdir()
    came = read_bundle(source.download("mnist", 1, repository / "came"))
    assert came.content_key == bundle.content_key
    assert came.folder.is_relative_to(repository / "came")


def test_aliases_and_versions_are_those_of_now(registry: SmallRegistry, source: RegistrySource) -> None:
    registry.point(registry.add())
    assert source.read(["mnist"]).models["mnist"].aliases == {"champion": 1}
    registry.point(registry.add(mark="b"))
    model = source.read(["mnist"]).models["mnist"]
    assert model.aliases == {"champion": 2}
    assert list(model.versions) == [1, 2]
    assert model.find("champion") == model.versions[2]
    assert model.find("best") is None


def test_metrics_follow_a_version_that_changed(registry: SmallRegistry, source: RegistrySource) -> None:
    registry.add()
    assert source.read(["mnist"]).models["mnist"].versions[1].metrics == {}
    registry.log_metric(1, "test/accuracy", 0.5)
    assert source.read(["mnist"]).models["mnist"].versions[1].metrics == {"test/accuracy": 0.5}


def test_a_name_that_is_missing_brings_those_there_are(
    registry: SmallRegistry, source: RegistrySource
) -> None:
    registry.add()
    assert source.read(["mnist"]).others == ()
    state = source.read(["mnist", "inception-v3"])
    assert list(state.models) == ["mnist"]
    assert state.others == ("mnist",)


def test_without_names_all_that_modelyard_published_are_read(
    registry: SmallRegistry, source: RegistrySource
) -> None:
    assert source.read([]) == RegistryState({})
    registry.add()
    registry.add("colours")
    registry.client.create_registered_model("foreign")
    registry.client.create_model_version("foreign", "file:///nowhere")
    assert list(source.read([]).models) == ["colours", "mnist"]


def test_a_missing_artifact_is_named(registry: SmallRegistry, source: RegistrySource, tmp_path: Path) -> None:
    registry.add()
    (registry.artifacts(1) / "MLmodel").unlink()
    with pytest.raises(SourceError, match=r"its artifacts cannot be fetched: .*MLmodel"):
        source.download("mnist", 1, tmp_path / "came")


def test_a_logged_model_without_a_bundle_is_refused(
    registry: SmallRegistry, source: RegistrySource, tmp_path: Path
) -> None:
    registry.add()
    (registry.artifacts(1) / "MLmodel").write_text("flavors: {}\n")
    with pytest.raises(SourceError, match="its MLmodel file names no bundle"):
        source.download("mnist", 1, tmp_path / "came")


def test_a_missing_database_is_told_and_not_made(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"the registry does not answer \(FileNotFoundError\)"):
        RegistrySource(f"sqlite:///{tmp_path}/mlflow.db?timeout=5").read([])
    assert not (tmp_path / "mlflow.db").exists()


def test_a_server_that_is_away_is_told_before_mlflow_is_imported() -> None:
    script = (
        "import sys\n"
        "from modelyard.service.registry_source import RegistrySource, SourceError\n"
        "try: RegistrySource('http://127.0.0.1:9').read([])\n"
        "except SourceError as error: print('mlflow' in sys.modules, error)"
    )
    shown = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    assert shown.startswith("False the registry does not answer (ConnectionError)")
