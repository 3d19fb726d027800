"""The MLflow run of a study: the parent of its trials' runs, shared by all processes."""

import json

from modelyard.params import Params
from modelyard.sweeps.study import FINISHED, Study
from modelyard.tracking.store import NOTE, Tracking

PARENT = "mlflow.parentRunId"
BEST = "sweep/best_accuracy"


def open_parent(tracking: Tracking, study: Study, params: Params, tags: dict[str, str]) -> str:
    """Return the id of the study's run: reopened, or created with these tags and the space of `params`."""
    client = tracking.client
    with study.database.lock():
        query = f"tags.study_id = '{study.id}' and tags.kind = 'sweep'"
        found = client.search_runs([tracking.experiment_id], query)
        if found:
            run_id = str(found[0].info.run_id)
            client.update_run(run_id, status="RUNNING")
            return run_id
        note = f"A sweep: the trials below it look for the best {', '.join(params.sweep.space)}."
        own = {"kind": "sweep", "study": study.name, "study_id": study.id, NOTE: note}
        run = client.create_run(tracking.experiment_id, run_name=study.name, tags={**tags, **own})
    for name, dimension in params.sweep.space.items():
        values = dimension.model_dump(mode="json", exclude_defaults=True)
        client.log_param(run.info.run_id, f"space.{name}", json.dumps(values))
    return str(run.info.run_id)


def log_best(tracking: Tracking, run_id: str, study: Study) -> None:
    """Log the best accuracy so far; the step is the number of finished trials."""
    if study.best is not None:
        client = tracking.client
        client.log_metric(run_id, BEST, study.best.value, step=study.count(*FINISHED))
        client.set_tag(run_id, "best_trial", str(study.best.number))
        client.set_tag(run_id, "best_params", json.dumps(study.best.params))


def close_parent(tracking: Tracking, run_id: str, study: Study, status: str) -> None:
    """End the study's run, unless other processes still run trials."""
    with study.database.lock():
        if not study.count("RUNNING"):
            tracking.client.set_terminated(run_id, status)
