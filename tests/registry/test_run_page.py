"""What charts of a run can show: whole images, and previews that are large enough to be read."""

from pathlib import Path

import pytest
from PIL import Image

from modelyard.registry.publishing.run_page import IMAGES, log_images
from modelyard.tracking.store import open_tracking
from small_registry import leave_database


def paint(path: Path, side: int, colour: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (side, side), colour).save(path)


def test_the_last_image_of_a_key_has_our_preview_and_one_without_keeps_that_of_mlflow(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    leave_database(tmp_path / "mlflow.db")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'mlflow.db'}")
    tracking, plots = open_tracking("charts"), tmp_path / "plots"
    run_id = tracking.client.create_run(tracking.experiment_id).info.run_id
    for colour in ("red", "blue"):
        for name in IMAGES.values():
            paint(plots / name, 900, colour)
        paint(plots / "previews/mistakes.png", 350, colour)
        log_images(tracking.client, run_id, plots)
    place = Path(tracking.client.download_artifacts(run_id, "images", str(tmp_path)))
    kept = {key: sorted(place.glob(f"{key}+*.webp")) for key in IMAGES}
    assert {key: len(files) for key, files in kept.items()} == dict.fromkeys(IMAGES, 2)
    with Image.open(kept["mistakes"][-1]) as preview, Image.open(kept["confusion"][-1]) as other:
        assert (preview.size, preview.getpixel((9, 9))) == ((350, 350), (0, 0, 255))
        assert other.size == (256, 256)
    whole = kept["mistakes"][-1].name.removesuffix("+compressed.webp")
    with Image.open(place / f"{whole}.png") as image:
        assert image.size == (900, 900)
