"""Reports as MLflow runs, whose metrics by time the UI draws as curves."""

import json
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from modelyard.monitoring.findings import ACCURACY, ask
from modelyard.monitoring.reports.report import Report, Section
from modelyard.params import Monitor
from modelyard.tracking.runs import log_metrics
from modelyard.tracking.store import Store, ensure_experiment

EXPERIMENT = "modelyard monitoring"
ABOUT = "How versions do on live pictures: a run for each report of `modelyard monitor`."


def log_report(store: Store, report: Report, monitor: Monitor, page: str) -> str:
    """Log a report as a run of its own, finished at once, with its page and its JSON; return the run's id.

    Each version has `v3/images`, `v3/accuracy`, and the sizes of changes, such as `v3/change/labels`, by
    hours or days. Those of a shadow begin with `v4-shadow`.
    """
    client, question = store.client, report.question
    tags = {
        "kind": "monitoring",
        "model": question.model,
        "versions": ", ".join(section.name for section in report.sections),
        "alarms": str(len(report.alarms)),
        "since": question.since.isoformat(timespec="seconds"),
        "until": question.until.isoformat(timespec="seconds"),
    }
    name = f"{question.model} {question.until:%Y-%m-%d %H:%M}"
    experiment = ensure_experiment(client, store.uri, EXPERIMENT, ABOUT)
    run_id = str(client.create_run(experiment, run_name=name, tags=tags).info.run_id)
    metrics = [metric for section in report.sections for metric in _list_metrics(section, monitor)]
    metrics.append(_make_metric("alarms", len(report.alarms), question.until, 0))
    log_metrics(client, run_id, metrics)
    client.log_text(run_id, json.dumps(report.to_json(), indent=2), "report.json")
    client.log_text(run_id, page, "report.html")
    client.set_terminated(run_id, "FINISHED")
    return run_id


def _list_metrics(section: Section, monitor: Monitor) -> Iterator[Any]:
    """Yield a section's metrics at each hour or day; what has too few pictures is left out."""
    answerer = section.answerer
    start = f"v{answerer.version}" + ("-shadow" if answerer.role == "shadow" else "")
    for number, (begins, tally) in enumerate(sorted(section.steps.items())):
        yield _make_metric(f"{start}/images", tally.images, begins, number)
        if tally.labelled >= monitor.min_labels:
            yield _make_metric(f"{start}/accuracy", tally.right / tally.labelled, begins, number)
        if section.measured is None:
            continue
        for finding in ask(tally, section.measured, monitor):
            if finding.effect is not None and finding.subject != ACCURACY:
                yield _make_metric(f"{start}/change/{finding.subject}", finding.effect, begins, number)


def _make_metric(key: str, value: float, at: datetime, step: int) -> Any:
    from mlflow.entities import Metric

    return Metric(key, float(value), int(at.timestamp() * 1000), step)
