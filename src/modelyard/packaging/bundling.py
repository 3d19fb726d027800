"""A network becomes bundles, one for each precision whose answers agree with its own."""

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from modelyard.arrays import write_arrays
from modelyard.errors import ModelyardError
from modelyard.files import replace_folder
from modelyard.inference.bundle import BundleError
from modelyard.inference.predictor import Predictor
from modelyard.networks.extraction import FEATURES_TENSOR
from modelyard.networks.joining import find_tensor
from modelyard.packaging.proof import prove
from modelyard.packaging.source import Source
from modelyard.packaging.writing import write_bundle
from modelyard.params import Package, Precision

# Shares of the features' length. int8 differs by 2 to 5 %, another tensor by more than half.
_FEATURES_TOLERANCE: Mapping[Precision, float] = {"float32": 1e-4, "int8": 0.2}


def package(
    source: Source, precisions: Sequence[Precision], limits: Package, bundles: Path, answers: Path
) -> None:
    """Write a bundle for each precision that passes its proof, and print a line about each.

    A bundle lies in `bundles` below the name of its precision; earlier ones are replaced. `answers` is an
    .npz with `names` (n,) and `probabilities` (n, outputs), the source's own, for the evaluation. Raises
    ModelyardError, and writes nothing, if no precision passes.
    """
    with replace_folder(bundles) as new:
        reasons = [reason for one in precisions if (reason := _try_precision(source, one, limits, new))]
        if len(reasons) == len(precisions):
            raise ModelyardError(f"{source.name}: no bundle has passed its proof:\n  " + "\n  ".join(reasons))
    given = {"names": np.array(source.names), "probabilities": source.answers}
    write_arrays(answers, given, compressed=False)


def _try_precision(source: Source, precision: Precision, limits: Package, folder: Path) -> str | None:
    """Convert, prove and keep a bundle; return the reason if it fails, in one line."""
    try:
        model = source.convert(precision)
        with tempfile.TemporaryDirectory(prefix="modelyard-") as scratch:
            proof = prove(_write(source, precision, model, Path(scratch, "bundle"), {}), source, limits)
        decoder = {"decoder_max_difference": source.decoder_max_difference}
        facts = {"proof": proof | decoder, **_find_features(source, precision, model)}
        _write(source, precision, model, folder / precision, facts)
    except (ModelyardError, BundleError) as error:
        reason = " ".join(str(error).split())
        print(f"{source.name} ({precision}) is left out: {reason}")
        return f"{precision}: {reason}"
    print(_describe(source, precision, len(model), proof))
    return None


def _find_features(source: Source, precision: Precision, model: bytes) -> dict[str, int]:
    """Return where the model has the source's features, for `extraction.make_trunk`, or {}.

    The converter may have merged the layer with the next one.
    """
    if source.features is None:
        return {}
    levels = np.asarray(next(source.fitted()), np.float32)[None]
    tensor = find_tensor(model, levels, source.features, _FEATURES_TOLERANCE[precision])
    return {} if tensor is None else {FEATURES_TENSOR: tensor}


def _describe(source: Source, precision: Precision, size_bytes: int, proof: Mapping[str, float]) -> str:
    decoder, answers = source.decoder_max_difference, proof["answers"]
    decoded = "" if decoder is None else f"; another JPEG decoder alone changes up to {decoder:.1e}"
    alike = "one and the same, which proves nothing" if answers == 1 else f"{answers} different ones"
    return (
        f"{source.name} ({precision}, {size_bytes / 1e6:.1f} MB): the source's first answer on "
        f"{proof['same_first']:.2%} of {proof['images']:,} pictures ({alike}), largest difference "
        f"{proof['max_difference']:.1e}{decoded}"
    )


def _write(
    source: Source, precision: Precision, model: bytes, folder: Path, more: Mapping[str, Any]
) -> Predictor:
    bundle = write_bundle(
        folder,
        model=model,
        name=source.name,
        precision=precision,
        labels=source.labels,
        preprocessing=source.preprocessing,
        provenance={**source.provenance, **more},
    )
    return Predictor(bundle)
