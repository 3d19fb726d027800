"""A run's page in MLflow: a name with its versions, a description, and what charts can show of it."""

import tempfile
from collections.abc import Mapping
from pathlib import Path

from modelyard.inference.bundle import Bundle
from modelyard.plots.previews import FOLDER as PREVIEWS
from modelyard.registry.publishing.headline import name_variant, write_headline
from modelyard.tracking.lineage import digest
from modelyard.tracking.mlflow_types import MlflowClient, ModelVersion
from modelyard.tracking.store import NOTE, Tracking

ERRORS, ERROR = "Errors", "Error pct"
LATENCY, SIZE = "Time in us", "Size in MB"
SAME = "Same answer pct"
# MLflow's charts print two decimals. Capitals stand before all other metrics of a run.
CHARTED = {
    ERRORS: ("test/errors", 1.0),
    LATENCY: ("latency/p50_ms", 1e3),
    SIZE: ("size_bytes", 1e-6),
    SAME: ("agreement/same_first", 100.0),
}
# The images that stand side by side in a view, and the files of an evaluation that they are.
# A chart shows previews, in their own size, and the whole image on a click.
IMAGES = {"mistakes": "mistakes.png", "confusion": "confusion_matrix.png", "answers": "top5.png"}
# Where MLflow 3.17 keeps logged images, and how it names its previews, of at most 256 pixels.
LOGGED, PREVIEW = "images", "+compressed.webp"


def show_run(
    tracking: Tracking,
    version: ModelVersion,
    bundle: Bundle,
    metrics: Mapping[str, float],
    plots: Path,
    again: str | None = None,
) -> None:
    """Bring the page of a version's run up to date; nothing is written if it says this already.

    `again` is the id of another run that came to the same bundle, whose page is meant then.
    """
    client, run_id = tracking.client, again or version.run_id
    headline = write_headline(bundle, metrics)
    shown, key = digest([headline, chart_metrics(metrics), str(version.version)]), f"shown.{bundle.precision}"
    run = client.get_run(run_id)
    if run.data.tags.get(key) == shown:
        return
    for name, value in chart_metrics(metrics).items():
        # Of the run alone: comparisons and limits use the metrics that they come from.
        client.log_metric(run_id, name, value)
    log_images(client, run_id, plots)
    page = f"#/models/{version.name}/versions/{version.version}"
    link = f"[version {version.version} of {version.name}]({page})"
    same = f"{headline}. This training came to the same network as {link}, bit for bit."
    client.set_tag(run_id, NOTE, same if again else f"{headline}: {link}, {bundle.precision}.")
    client.update_run(run_id, name=_name_run(client, version, bundle, again))
    client.set_tag(run_id, key, shown)


def chart_metrics(metrics: Mapping[str, float]) -> dict[str, float]:
    """Return metrics in units that two decimals tell apart: errors, per cent, microseconds, MB."""
    found = {name: metrics[key] * factor for name, (key, factor) in CHARTED.items() if key in metrics}
    if "test/accuracy" in metrics:
        found[ERROR] = 100 * (1 - metrics["test/accuracy"])
    # MLflow's table prints all decimals that there are.
    return {name: round(value, 3) for name, value in found.items()}


def log_images(client: MlflowClient, run_id: str, plots: Path) -> None:
    """Log the pictures of an evaluation's folder that a view shows, each with its preview if it has one."""
    from PIL import Image

    for key, name in IMAGES.items():
        if (plots / name).is_file():
            with Image.open(plots / name) as image:
                client.log_image(run_id, image, key=key, step=0)
        if (plots / PREVIEWS / name).is_file():
            _replace_preview(client, run_id, key, plots / PREVIEWS / name)


def _replace_preview(client: MlflowClient, run_id: str, key: str, picture: Path) -> None:
    """Put a picture in place of the preview that MLflow made of the last image logged under a key."""
    from PIL import Image

    # Their names begin with the key, and go on with step and time.
    found = [file.path for file in client.list_artifacts(run_id, LOGGED) if file.path.endswith(PREVIEW)]
    last = max(path for path in found if path.startswith(f"{LOGGED}/{key}+"))
    with tempfile.TemporaryDirectory() as folder, Image.open(picture) as image:
        new = Path(folder, Path(last).name)
        image.convert("RGB").save(new, lossless=True)
        client.log_artifact(run_id, str(new), LOGGED)


def _name_run(client: MlflowClient, version: ModelVersion, bundle: Bundle, again: str | None) -> str:
    """Return `mnist v3 cnn`, or `mnist v1, v2 cnn` of a training that was packaged twice."""
    found = client.search_model_versions(f"run_id = '{version.run_id}'")
    numbers = sorted({int(one.version) for one in found if one.name == version.name} | {int(version.version)})
    tags = bundle.provenance.get("training", {}).get("run", {}).get("tags", {})
    parts = (
        version.name,
        ", ".join(f"v{number}" for number in numbers),
        name_variant(bundle).removeprefix(f"{version.name} "),
        tags.get("dvc.experiment"),
        "again" if again else None,
    )
    return " ".join(filter(None, parts))
