"""Repair the registry from the tree, without training.

Register the bundles that DVC has and the registry lacks, complete what was interrupted, and record changes
that were made by hand; then verify.
"""

import argparse
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from modelyard.cli.arguments import add_json
from modelyard.cli.commands.versions.verify import tell_findings
from modelyard.errors import ModelyardError
from modelyard.processes import own_environment

if TYPE_CHECKING:
    from modelyard.tracking.store import Store


def add_arguments(command: argparse.ArgumentParser) -> None:
    add_json(command)


def run(given: argparse.Namespace) -> int:
    """Repair the registry, then verify it."""
    from modelyard.repository import find_root
    from modelyard.tracking.store import open_store

    root = find_root()
    absent = "`dvc pull` fetches what the cache lacks; without a remote, `dvc repro` makes it again"
    _run_dvc(root, "checkout", *_list_registered_outs(root), remedy=absent)
    # Registering is idempotent: what is registered already is found again.
    again = "fix that, then reconcile again"
    _run_dvc(root, "repro", "--force", "--single-item", "register", remedy=again)
    store = open_store()
    _settle_histories(store)
    return tell_findings(store, given.json)


def _list_registered_outs(root: Path) -> list[str]:
    """Return the outputs of stages that `register` reads; the data of a training is not needed."""
    import yaml

    lock = root / "dvc.lock"
    stages = yaml.safe_load(lock.read_text())["stages"] if lock.is_file() else {}
    if "register" not in stages:
        raise ModelyardError(f"expected the stage register in {lock}, found none: `dvc repro` runs it")
    read = [dependency["path"] for dependency in stages["register"]["deps"]]
    made = [out["path"] for stage in stages.values() for out in stage.get("outs", [])]
    return sorted(out for out in made if any(Path(out).is_relative_to(path) for path in read))


def _settle_histories(store: "Store") -> None:
    """Settle the histories of models that modelyard published; others are left alone."""
    from modelyard.registry.champions.history import History
    from modelyard.registry.versions import CONTENT_KEY, list_names, list_versions

    for name in list_names(store.client):
        if any(CONTENT_KEY in version.tags for version in list_versions(store.client, name)):
            History(store, name).settle()


def _run_dvc(root: Path, *arguments: str, remedy: str) -> None:
    """Run DVC in the repository; its output goes to stderr, apart from ours."""
    done = subprocess.run(
        [sys.executable, "-m", "dvc", *arguments],
        cwd=root,
        env=own_environment(),
        stdout=sys.stderr.fileno(),
        check=False,
    )
    if done.returncode != 0:
        raise ModelyardError(f"`dvc {arguments[0]}` failed for the reason above: {remedy}")
