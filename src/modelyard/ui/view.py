"""Views of the MLflow UI that compare versions: their columns and charts, and the links to them.

MLflow keeps a view as an experiment's tag. Its form is the web page's own, not an API (as of 3.17.2).
"""

import base64
import json
import time
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from modelyard.errors import first_line
from modelyard.failures import warn
from modelyard.registry.publishing.run_page import ERROR, ERRORS, LATENCY, SAME, SIZE
from modelyard.tracking.mlflow_types import MlflowClient

SHOWN = {"display": True, "isReordered": True, "deleted": False, "isGenerated": False}
# Each section's name, how many charts stand side by side, and their height in pixels.
SECTIONS = {
    "measured": ("Measured of each version", 2, 300),
    "parameters": ("Parameters that differ", 1, 280),
    "mistakes": ("Their surest mistakes", 1, 480),
    "confusion": ("What they take for what", 1, 480),
    "answers": ("Their answers to the sample pictures", 1, 480),
    "training": ("Training, epoch by epoch", 2, 300),
}
CURVES = (("train/loss", "validation/loss"), ("train/accuracy", "validation/accuracy"))


@dataclass(frozen=True)
class View:
    """What is compared with what."""

    key: str  # of the tag, and in the link
    name: str
    filter: str  # of the runs
    bars: tuple[str, ...]  # metrics, which are columns of the table too
    order: str  # the metric that the runs are sorted by
    ascending: bool
    columns: Mapping[str, int]  # beside the bars, with their width in pixels
    images: tuple[str, ...]  # the keys of images that stand side by side
    curves: tuple[tuple[str, str], ...] = ()

    @property
    def tag(self) -> str:
        """The experiment's tag that holds it."""
        return f"mlflow.sharedViewState.{self.key}"


def trained_versions(dataset: str) -> View:
    """Return the view of the versions that were trained on a dataset, the best one first."""
    return View(
        f"trained-{dataset}",
        f"Trained on {dataset}",
        # Trainings that are no version yet have no errors.
        f"tags.kind = 'training' AND dataset.name = '{dataset}' AND metrics.{ERRORS} >= 0",
        (ERRORS, ERROR, LATENCY, SIZE),
        ERRORS,
        True,
        {"params.`model.name`": 100, "params.`train.epochs`": 100, "tags.`git.commit`": 100},
        ("mistakes", "confusion"),
        CURVES,
    )


def imported_versions() -> View:
    """Return the view of the versions of imported networks, the closest to its source first."""
    columns = {"params.`package.precision`": 120, "tags.`source`": 200, "tags.`git.commit`": 100}
    kind = f"tags.kind = 'import' AND metrics.`{SIZE}` >= 0"
    return View(
        "imported", "Imported", kind, (SAME, "latency/p50_ms", SIZE), SAME, False, columns, ("answers",)
    )


def view_link(server: str, experiment_id: str, view: View | None) -> str:
    """Return the address that shows runs side by side, in a stored view or, for None, with every chart."""
    # MLflow opens in its GenAI view without the first of them.
    query = "workflowType=machine_learning&compareRunsMode=CHART"
    if view is not None:
        query += f"&viewStateShareKey={view.key}"
    return f"{server.rstrip('/')}/#/experiments/{experiment_id}/runs?{query}"


def store_view(client: MlflowClient, experiment_id: str, view: View) -> bool:
    """Store the view with the experiment, or warn that the store refuses it; return whether it is there."""
    from mlflow.exceptions import MlflowException

    state = "deflate;" + base64.b64encode(zlib.compress(json.dumps(make_state(view)).encode(), 9)).decode()
    kept = client.get_experiment(experiment_id).tags.get(view.tag)
    if kept and json.loads(kept)["state"] == state:
        return True
    now = int(time.time() * 1000)
    stored = {"name": view.name, "createdAt": now, "updatedAt": now, "state": state}
    try:
        client.set_experiment_tag(experiment_id, view.tag, json.dumps(stored))
    except MlflowException as error:
        reason = first_line(error)
        warn(f"the view {view.name!r} could not be stored, so all charts are shown: {reason}")
        return False
    return True


def make_state(view: View) -> dict[str, Any]:
    """Return the page's complete state: the page lacks what is left out here."""
    bars = {f"metrics.`{metric}`": 110 for metric in view.bars}
    columns = {"attributes.`Models`": 110, **bars, **view.columns}
    charts = list(_charts(view))
    used = {chart["metricSectionId"] for chart in charts}
    return {
        "searchFilter": view.filter,
        "orderByKey": f"metrics.`{view.order}`",
        "orderByAsc": view.ascending,
        "startTime": "ALL",
        "lifecycleFilter": "Active",
        "datasetsFilter": [],
        "modelVersionFilter": "All Runs",
        "selectedColumns": list(columns),
        "columnOrder": list(columns),
        "columnWidths": columns,
        "runsExpanded": {},
        "runsPinned": [],
        "runsHidden": [],
        "runsVisibilityMap": {},
        "runsHiddenMode": "FIRST_20_RUNS",
        "compareRunCharts": charts,
        "compareRunSections": [
            {"uuid": key, "name": name, "columns": columns, "cardHeight": height_px, **SHOWN}
            for key, (name, columns, height_px) in SECTIONS.items()
            if key in used
        ],
        "viewMaximized": False,
        "runListHidden": True,
        "isAccordionReordered": True,
        "useGroupedValuesInCharts": False,
        "hideEmptyCharts": True,
        "groupBy": None,
        "groupsExpanded": {},
        "autoRefreshEnabled": True,
        "globalLineChartConfig": {"xAxisKey": "step", "lineSmoothness": 0, "selectedXAxisMetricKey": ""},
    }


def _charts(view: View) -> Iterator[dict[str, Any]]:
    for metric in view.bars:
        yield {**_chart("BAR", "measured", metric), "displayName": metric}
    yield {
        **_chart("DIFFERENCE", "parameters", ""),
        "chartName": "Parameters that differ",
        "compareGroups": ["Parameters"],
        "showChangeFromBaseline": False,
        "showDifferencesOnly": True,
        "baselineColumnUuid": "",
    }
    for key in view.images:
        yield {**_chart("IMAGE", key, ""), "imageKeys": [key], "step": 0, "showRunParams": False}
    for metrics in view.curves:
        yield {
            **_chart("LINE", "training", metrics[0]),
            "selectedMetricKeys": list(metrics),
            "xAxisKey": "step",
            "yAxisKey": "metric",
            "yAxisExpressions": [],
            "selectedXAxisMetricKey": "",
            "xAxisScaleType": "linear",
            "scaleType": "linear",
            "range": {},
            "lineSmoothness": 0,
            "ignoreOutliers": False,
            "useGlobalLineSmoothing": True,
            "useGlobalXaxisKey": False,
        }


def _chart(kind: str, section: str, metric: str) -> dict[str, Any]:
    return {
        "uuid": f"{section}-{metric}",
        "type": kind,
        "metricSectionId": section,
        "metricKey": metric,
        "runsCountToCompare": 20,
        "deleted": False,
        "isGenerated": False,
    }
