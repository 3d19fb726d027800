"""Sample pictures among artifacts: from this machine, from a server, and from somebody who means ill."""

import os
from pathlib import Path

import mlflow
import pytest

from modelyard.registry.artifact_files import ArtifactError
from modelyard.registry.sample_artifacts import MOST, MOST_BYTES, read_samples
from tflite_models import draw_band, encode
from tracking_server import TrackingServer

SEVEN = encode(draw_band(7))


@pytest.fixture
def samples(tmp_path: Path) -> Path:
    folder = tmp_path / "model" / "samples"
    folder.mkdir(parents=True)
    (folder / "seven.png").write_bytes(SEVEN)
    return folder


def test_pictures_are_read_by_their_names(samples: Path) -> None:
    assert read_samples(str(samples.parent), "") == {"seven.png": SEVEN}
    assert read_samples(samples.parent.as_uri(), "") == {"seven.png": SEVEN}


def test_a_version_of_before_there_were_samples_has_none(tmp_path: Path) -> None:
    assert read_samples(str(tmp_path), "") == {}
    assert read_samples(str(tmp_path / "nowhere"), "") == {}


def test_what_is_no_small_picture_is_left_out(samples: Path, tmp_path: Path) -> None:
    secret = tmp_path / "secret.png"
    secret.write_bytes(SEVEN)
    (samples / "link.png").symlink_to(secret)
    os.mkfifo(samples / "pipe.png")
    (samples / "folder.png").mkdir()
    (samples / "large.png").write_bytes(SEVEN + bytes(MOST_BYTES))
    (samples / "page.png").write_bytes(b"<script>")
    (samples / "page.html").write_bytes(SEVEN)
    (samples / "<b>.png").write_bytes(SEVEN)
    assert read_samples(str(samples.parent), "") == {"seven.png": SEVEN}


def test_of_many_the_first_ten_are_read(samples: Path) -> None:
    for number in range(25):
        (samples / f"{number:02}.png").write_bytes(SEVEN)
    assert list(read_samples(str(samples.parent), "")) == [f"{number:02}.png" for number in range(MOST)]


def test_a_link_to_a_folder_is_not_followed(samples: Path, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "samples").symlink_to(samples)
    assert read_samples(str(tmp_path / "other"), "") == {}


def test_pictures_come_through_a_server(samples: Path, tmp_path: Path) -> None:
    (samples / "large.png").write_bytes(SEVEN + bytes(MOST_BYTES))
    (tmp_path / "server").mkdir()
    server = TrackingServer(tmp_path / "server")
    server.start()
    try:
        client = mlflow.MlflowClient(server.uri)
        locations = []
        for artifacts in (samples.parent, samples):
            logged = client.create_logged_model("0")
            client.log_model_artifacts(logged.model_id, str(artifacts))
            locations.append(client.get_logged_model(logged.model_id).artifact_location)
        assert read_samples(locations[0], server.uri) == {"seven.png": SEVEN}
        assert read_samples(locations[1], server.uri) == {}
    finally:
        server.kill()
    with pytest.raises(ArtifactError, match="its samples cannot be fetched"):
        read_samples("nonsense://bucket/model", server.uri)
