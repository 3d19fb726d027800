"""register: every bundle becomes a version in MLflow, or is found to be one already."""

from argparse import Namespace

from modelyard.files import write_json
from modelyard.params import Params
from modelyard.registry.publication import publish, publishing, read_publication
from modelyard.stage import run_stage
from modelyard.tracking.store import open_tracking


def register(paths: Namespace, params: Params) -> None:
    """Publish the bundles in the order of their names, and write which version each became."""
    tracking = open_tracking(params.registry.experiment)
    registered = {}
    with publishing(params.registry.lock_timeout_s):
        for folder in sorted(paths.bundles.iterdir()):
            name = folder.name
            publication = read_publication(folder, paths.reports / name, paths.models / name, params)
            version = publish(tracking, publication)
            registered[name] = {
                "name": version.name,
                "version": int(version.version),
                "content_key": version.tags["content_key"],
                "run_id": version.run_id,
                "stand_in_for": version.tags.get("stand_in_for"),
            }
            print(f"{name} is models:/{version.name}/{version.version}")
    write_json(paths.registered, registered)


if __name__ == "__main__":
    run_stage(register, "bundles", "reports", "models", "registered")
