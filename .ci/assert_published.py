"""After `make repro` on the real data: the accuracy is reached, and the registry has what it should have."""

import json
from pathlib import Path

from modelyard.inference.predictor import Predictor
from modelyard.params import load_params
from modelyard.registry.versions import fetch_bundle, list_versions, resolve_version
from modelyard.tracking.store import open_tracking

ACCURACY = 0.99


def main() -> None:
    """Fail with the first thing that is not as it should be."""
    test = json.loads(Path("reports/mnist/metrics.json").read_text())["test"]
    check(test["accuracy"] >= ACCURACY, f"accuracy: expected at least {ACCURACY}, got {test['accuracy']}")
    tracking = open_tracking(load_params().registry.experiment)
    registered = json.loads(Path("registered.json").read_text())
    inception = registered["inception-int8"]["name"]
    expected = {"mnist": ["float32"], inception: ["float32", "int8"]}
    for name, precisions in expected.items():
        versions = list_versions(tracking.client, name)
        got = [version.tags["precision"] for version in versions]
        check(got == precisions, f"{name}: expected versions {precisions}, got {got}")
        for version in versions:
            Predictor(fetch_bundle(tracking, version))
    champion = resolve_version(tracking.client, f"models:/{inception}@champion")
    check(
        champion.tags["precision"] == "int8", f"{inception}@champion: expected int8, got {champion.version}"
    )
    served = json.loads(Path("served/predictions.json").read_text())["models:/mnist/1"]
    right = sum(f"label-{answers[0]['label']}" in name for name, answers in served.items())
    check(right >= 9, f"served digits: expected at least 9 of {len(served)} right, got {right}")
    print(
        f"mnist: {test['accuracy']:.2%}; {inception}: {len(versions)} versions; served digits: {right} right"
    )


def check(true: bool, message: str) -> None:
    """Stop with the message unless it is true."""
    if not true:
        raise SystemExit(message)


if __name__ == "__main__":
    main()
