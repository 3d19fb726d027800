"""The view of the MLflow UI that compares the project's runs: its columns and charts, and the link to it.

MLflow keeps a view as an experiment's tag. Its form is the web page's own, not an API (as of 3.17.2).
"""

import base64
import json
import time
import zlib
from collections.abc import Iterator
from typing import Any

from modelyard.failures import warn
from modelyard.metrics import find_metric
from modelyard.tracking.mlflow_types import MlflowClient

KEY, NAME = "comparison", "Versions compared"
TAG = f"mlflow.sharedViewState.{KEY}"
# Runs of other kinds have nothing to compare.
FILTER = "tags.kind != 'history'"
# The table's columns, with their width in pixels.
COLUMNS = {
    "metrics.`test/accuracy`": 125,
    "metrics.`test/errors`": 105,
    "metrics.`latency/p50_ms`": 140,
    "metrics.`size_bytes`": 105,
    "params.`model.name`": 115,
    "params.`train.epochs`": 120,
    "tags.`git.commit`": 120,
    "tags.`git.dirty`": 90,
}
# Each with its name, how many charts stand side by side, and their height in pixels.
SECTIONS = {
    "measured": ("Measured of each version", 2, 260),
    "parameters": ("What differs in the parameters", 1, 300),
    "training": ("Training, epoch by epoch", 2, 300),
}
SHOWN = {"display": True, "isReordered": True, "deleted": False, "isGenerated": False}
# Charts show two decimals: accuracies look alike where errors do not.
BARS = ("test/errors", "test/accuracy", "latency/p50_ms", "size_bytes")
CURVES = (("train/loss", "validation/loss"), ("train/accuracy", "validation/accuracy"))


def comparison_link(server: str, experiment_id: str, *, stored: bool) -> str:
    """Return the address that shows all runs side by side, in the stored view or with every chart."""
    # MLflow opens in its GenAI view without the first of them.
    view = "workflowType=machine_learning&compareRunsMode=CHART"
    if stored:
        view += f"&viewStateShareKey={KEY}"
    return f"{server.rstrip('/')}/#/experiments/{experiment_id}/runs?{view}"


def store_view(client: MlflowClient, experiment_id: str) -> bool:
    """Store the view with the experiment, or warn that the store refuses it; return whether it is there."""
    from mlflow.exceptions import MlflowException

    state = "deflate;" + base64.b64encode(zlib.compress(json.dumps(make_state()).encode())).decode()
    kept = client.get_experiment(experiment_id).tags.get(TAG)
    if kept and json.loads(kept)["state"] == state:
        return True
    now = int(time.time() * 1000)
    view = {"name": NAME, "createdAt": now, "updatedAt": now, "state": state}
    try:
        client.set_experiment_tag(experiment_id, TAG, json.dumps(view))
    except MlflowException as error:
        reason = str(error).splitlines()[0]
        warn(f"the view {NAME!r} could not be stored, so all charts are shown: {reason}")
        return False
    return True


def make_state() -> dict[str, Any]:
    """Return the page's complete state: the page lacks what is left out here."""
    return {
        "searchFilter": FILTER,
        "orderByKey": "attributes.start_time",
        "orderByAsc": False,
        "startTime": "ALL",
        "lifecycleFilter": "Active",
        "datasetsFilter": [],
        "modelVersionFilter": "All Runs",
        "selectedColumns": list(COLUMNS),
        "columnOrder": list(COLUMNS),
        "columnWidths": dict(COLUMNS),
        "runsExpanded": {},
        "runsPinned": [],
        "runsHidden": [],
        "runsVisibilityMap": {},
        "runsHiddenMode": "FIRST_20_RUNS",
        "compareRunCharts": list(_charts()),
        "compareRunSections": [
            {"uuid": key, "name": name, "columns": columns, "cardHeight": height_px, **SHOWN}
            for key, (name, columns, height_px) in SECTIONS.items()
        ],
        "viewMaximized": False,
        "runListHidden": False,
        "isAccordionReordered": True,
        "useGroupedValuesInCharts": False,
        "hideEmptyCharts": True,
        "groupBy": None,
        "groupsExpanded": {},
        "autoRefreshEnabled": True,
        "globalLineChartConfig": {"xAxisKey": "step", "lineSmoothness": 0, "selectedXAxisMetricKey": ""},
    }


def _charts() -> Iterator[dict[str, Any]]:
    for metric in BARS:
        yield {**_chart("BAR", "measured", metric), "displayName": find_metric(metric).title}
    yield {
        **_chart("DIFFERENCE", "parameters", ""),
        "chartName": "Parameters that differ",
        "compareGroups": ["Parameters"],
        "showChangeFromBaseline": False,
        "showDifferencesOnly": True,
        "baselineColumnUuid": "",
    }
    for metrics in CURVES:
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
