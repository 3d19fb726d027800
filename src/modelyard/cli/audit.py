"""`modelyard verify`, `reconcile`, `prune`, `relocate`: is the registry whole, and what makes it so."""

import argparse
import subprocess
import sys
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from modelyard.cli.output import say, say_json
from modelyard.processes import own_environment

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion

    from modelyard.registry.verification import Finding
    from modelyard.tracking.store import Store

PUBLISHING_TIMEOUT_S = 10.0


def add_commands(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `verify`, `reconcile`, `prune` and `relocate`."""
    verify = commands.add_parser(
        "verify",
        help="whether every version is whole, and every bundle registered",
        description="Look whether every version's artifact is there and matches its digest, its run is "
        "there, aliases point to living versions, histories agree with them, and the tree's bundles are "
        "registered. "
        "Exit code 1: something is not as it should be.",
    )
    verify.set_defaults(run=_verify)
    reconcile = commands.add_parser(
        "reconcile",
        help="repair the registry from the tree, without training",
        description="Register the bundles that DVC has and the registry lacks, complete what was cut off, "
        "put on record what was done by hand; then verify.",
    )
    reconcile.set_defaults(run=_reconcile)
    prune = commands.add_parser(
        "prune",
        help="remove versions that nobody needs",
        description="List the versions that no alias points to, that are older than conf/registry asks, and "
        "that were not among the last champions; or those that a failed registration has left. Nothing is "
        "removed without --delete.",
    )
    prune.add_argument("name", metavar="NAME", help="of a registered model")
    prune.add_argument(
        "--unfinished",
        action="store_true",
        help="those whose publication was cut off instead, however young; never the champion",
    )
    prune.add_argument("--delete", action="store_true", help="remove them")
    prune.set_defaults(run=_prune)
    relocate = commands.add_parser(
        "relocate",
        help="let the registry follow a folder that was moved",
        description="Write the artifacts' place into the database, which names them by absolute addresses. "
        "Needed once after the folder was moved or copied; `verify` says when.",
    )
    relocate.set_defaults(run=_relocate)
    for command in (verify, reconcile, prune, relocate):
        command.add_argument("--json", action="store_true", help="print JSON")


def _verify(given: argparse.Namespace) -> int:
    from modelyard.tracking.store import open_store

    return _tell(_look(open_store()), given.json)


def _look(store: "Store") -> "Iterator[Finding]":
    from modelyard.registry.verification import verify_registry, verify_tree
    from modelyard.repository import find_root

    yield from verify_registry(store)
    yield from verify_tree(store, find_root() / "bundles")


def _tell(findings: "Iterator[Finding]", as_json: bool) -> int:
    """Print findings as they come; return 1 where there are any."""
    if as_json:
        found = [finding.to_plain() for finding in findings]
        say_json(found)
        return int(bool(found))
    count = 0
    for count, finding in enumerate(findings, 1):  # noqa: B007  # the last one is the number of all
        say(f"{finding.subject}: {finding.problem}: {finding.remedy}")
    if not count:
        say("the registry is whole, and the tree's bundles are registered")
    return int(count > 0)


def _reconcile(given: argparse.Namespace) -> int:
    from modelyard.repository import find_root
    from modelyard.tracking.store import open_store

    root = find_root()
    absent = (
        "what the cache lacks comes with `dvc pull`; where there is no remote, `dvc repro` makes it again"
    )
    _run_dvc(root, "checkout", *_list_registered_outs(root), remedy=absent)
    # Registering is idempotent: what is registered already is found again.
    again = "when that is mended, reconcile again"
    _run_dvc(root, "repro", "--force", "--single-item", "register", remedy=again)
    store = open_store()
    _settle_histories(store)
    return _tell(_look(store), given.json)


def _list_registered_outs(root: Path) -> list[str]:
    """Return what stages made and `register` reads; the data of a training need not be at hand.

    Raises:
        ModelyardError: nothing was ever registered.
    """
    import yaml

    from modelyard.errors import ModelyardError

    lock = root / "dvc.lock"
    stages = yaml.safe_load(lock.read_text())["stages"] if lock.is_file() else {}
    if "register" not in stages:
        raise ModelyardError(f"expected the stage register in {lock}, found none: `dvc repro` runs it")
    read = [dependency["path"] for dependency in stages["register"]["deps"]]
    made = [out["path"] for stage in stages.values() for out in stage.get("outs", [])]
    return sorted(out for out in made if any(Path(out).is_relative_to(path) for path in read))


def _settle_histories(store: "Store") -> None:
    """Settle those of the models that modelyard published; others' models are left alone."""
    from modelyard.registry.history import History
    from modelyard.registry.versions import CONTENT_KEY, list_names, list_versions

    for name in list_names(store.client):
        if any(CONTENT_KEY in version.tags for version in list_versions(store.client, name)):
            History(store, name).settle()


def _run_dvc(root: Path, *arguments: str, remedy: str) -> None:
    """Run DVC in the repository; what it says goes to stderr, where it does not mix with answers.

    Raises:
        ModelyardError: it failed; its own words stand above.
    """
    from modelyard.errors import ModelyardError

    done = subprocess.run(
        [sys.executable, "-m", "dvc", *arguments],
        cwd=root,
        env=own_environment(),
        stdout=sys.stderr.fileno(),
        check=False,
    )
    if done.returncode != 0:
        raise ModelyardError(f"`dvc {arguments[0]}` failed, its reason stands above: {remedy}")


def _prune(given: argparse.Namespace) -> None:
    from modelyard.registry.pruning import prune_version
    from modelyard.registry.publishing import publishing
    from modelyard.tracking.store import open_store

    store = open_store()
    # What is published just now is unfinished too.
    with publishing(PUBLISHING_TIMEOUT_S) if given.delete else nullcontext():
        versions = _find_removable(store, given)
        for version in versions if given.delete else ():
            prune_version(store, version)
    numbers = [int(version.version) for version in versions]
    if given.json:
        say_json({"versions": numbers, "deleted": given.delete})
        return
    done = "removed" if given.delete else "to remove with --delete"
    listed = ", ".join(map(str, numbers)) or "none"
    say(f"{given.name}: versions {done}: {listed}")


def _find_removable(store: "Store", given: argparse.Namespace) -> "list[ModelVersion]":
    from modelyard.params import load_params
    from modelyard.registry.pruning import find_prunable, find_unfinished
    from modelyard.repository import find_root

    if given.unfinished:
        return find_unfinished(store, given.name)
    return find_prunable(store, given.name, load_params(find_root() / "params.yaml").registry.prune)


def _relocate(given: argparse.Namespace) -> None:
    from modelyard.tracking.relocation import relocate
    from modelyard.tracking.store import tracking_uri

    count = relocate(tracking_uri())
    if given.json:
        say_json({"locations": count})
    else:
        say(f"locations that were changed: {count}")
