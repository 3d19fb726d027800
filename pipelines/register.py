"""register: every bundle becomes a version in MLflow, unless it is one already."""

from argparse import Namespace
from typing import get_args

from modelyard.errors import ModelyardError
from modelyard.files import write_json
from modelyard.params import Params
from modelyard.registry.publishing.publication import Role, read_publications
from modelyard.registry.publishing.registration import publish, publishing
from modelyard.stages.stage import run_stage
from modelyard.tracking.store import open_tracking


def register(paths: Namespace, params: Params) -> None:
    """Publish the bundles of both roles, and write which version each became."""
    tracking = open_tracking(params.registry.experiment)
    registered = {}
    with publishing(params.registry.lock_timeout_s):
        for role in get_args(Role):
            network = paths.models / role / "model.keras"
            found = read_publications(role, paths.bundles / role, paths.reports / role, network, params)
            for precision, publication in found:
                version = publish(tracking, publication)
                registered[f"{role}/{precision}"] = {
                    "name": version.name,
                    "version": int(version.version),
                    "content_key": version.tags["content_key"],
                    "run_id": version.run_id,
                    "stand_in_for": publication.bundle.provenance.get("source", {}).get("stand_in_for"),
                }
                print(f"{role}/{precision} is models:/{version.name}/{version.version}")
    if not registered:
        raise ModelyardError(
            f"expected a bundle in {paths.bundles}, but there is none: `dvc repro` packages one"
        )
    write_json(paths.registered, registered)


if __name__ == "__main__":
    run_stage(register, "bundles", "reports", "models", "registered")
