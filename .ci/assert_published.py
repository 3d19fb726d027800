"""After `make repro` on the real data: the accuracy is reached, and the registry has what it should have."""

import json
from pathlib import Path

from modelyard.inference.predictor import Predictor
from modelyard.params import load_params
from modelyard.registry.artifacts import fetch_bundle
from modelyard.registry.versions import list_versions, resolve_version
from modelyard.tracking.store import open_tracking

ACCURACY = 0.99


def main() -> None:
    """Fail with the first thing that is not as it should be."""
    test = json.loads(Path("reports/trained.json").read_text())["float32"]["test"]
    check(test["accuracy"] >= ACCURACY, f"accuracy: expected at least {ACCURACY}, got {test['accuracy']}")
    params = load_params()
    tracking = open_tracking(params.registry.experiment)
    registered = json.loads(Path("registered.json").read_text())
    trained, imported = (registered[f"{role}/float32"]["name"] for role in ("trained", "imported"))
    expected = {trained: params.package.trained, imported: params.package.imported}
    for name, precisions in expected.items():
        versions = list_versions(tracking.client, name)
        got = [version.tags["precision"] for version in versions]
        check(got == list(precisions), f"{name}: expected versions {precisions}, got {got}")
        for version in versions:
            Predictor(fetch_bundle(tracking, version))
    for name in expected:
        # Raises where there is none.
        resolve_version(tracking.client, f"models:/{name}@champion")
    served = json.loads(Path("served/predictions.json").read_text())[f"models:/{trained}/1"]
    right = sum(f"label-{answers[0]['label']}" in name for name, answers in served.items())
    check(right >= 9, f"served digits: expected at least 9 of {len(served)} right, got {right}")
    accuracy, count = f"{test['accuracy']:.2%}", len(versions)
    print(f"{trained}: {accuracy}; {imported}: {count} versions; served digits: {right} right")


def check(true: bool, message: str) -> None:
    """Stop with the message unless it is true."""
    if not true:
        raise SystemExit(message)


if __name__ == "__main__":
    main()
