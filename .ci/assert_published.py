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
    test = json.loads(Path("reports/trained/metrics.json").read_text())["float32"]["test"]
    check(test["accuracy"] >= ACCURACY, f"accuracy: expected at least {ACCURACY}, got {test['accuracy']}")
    tracking = open_tracking(load_params().registry.experiment)
    registered = json.loads(Path("registered.json").read_text())
    imported = registered["imported/float32"]["name"]
    expected = {"mnist": ["float32"], imported: ["float32", "int8"]}
    for name, precisions in expected.items():
        versions = list_versions(tracking.client, name)
        got = [version.tags["precision"] for version in versions]
        check(got == precisions, f"{name}: expected versions {precisions}, got {got}")
        for version in versions:
            Predictor(fetch_bundle(tracking, version))
    champion = resolve_version(tracking.client, f"models:/{imported}@champion")
    # Which precision is faster is a matter of the processor.
    precision = champion.tags["precision"]
    served = json.loads(Path("served/predictions.json").read_text())["models:/mnist/1"]
    right = sum(f"label-{answers[0]['label']}" in name for name, answers in served.items())
    check(right >= 9, f"served pictures: expected at least 9 of {len(served)} right, got {right}")
    print(
        f"mnist: {test['accuracy']:.2%}; {imported}: {precision} is champion; served pictures: {right} right"
    )


def check(true: bool, message: str) -> None:
    """Stop with the message unless it is true."""
    if not true:
        raise SystemExit(message)


if __name__ == "__main__":
    main()
