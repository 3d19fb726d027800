"""A converted network becomes a bundle, once it has proved that it answers as its source."""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelyard.files import replace_file
from modelyard.inference.bundle import Label, Preprocessing, write_bundle
from modelyard.inference.predictor import Predictor
from modelyard.networks.convert import Precision
from modelyard.packaging.proof import prove
from modelyard.params import Package


@dataclass(frozen=True)
class Candidate:
    """A converted network, and the images and answers that it is proved with.

    Attributes:
        model: LiteRT.
        name: the registered name.
        precision: of the weights.
        labels: one for each output.
        preprocessing: how an image becomes its input.
        provenance: plain JSON values: where the network comes from.
        image_names: n names.
        pixels: n decoded images.
        answers: float32 (n, outputs), the source's probabilities for them.
        decoder_max_difference: what another decoder of the same files changes in any of the source's
            probabilities, 0..1; None where no file was decoded.
    """

    model: bytes
    name: str
    precision: Precision
    labels: Sequence[Label]
    preprocessing: Preprocessing
    provenance: dict[str, Any]
    image_names: Sequence[str]
    pixels: Sequence[NDArray[np.uint8]]
    answers: NDArray[np.float32]
    decoder_max_difference: float | None = None


def keep_proved(candidate: Candidate, folder: Path, answers: Path, limits: Package) -> dict[str, Any]:
    """Write the bundle and the source's answers, after the proof.

    Args:
        candidate: what has to prove itself.
        folder: of the bundle.
        answers: an .npz with `names` (n,) and `probabilities` (n, outputs), for the evaluation.
        limits: of the proof, see `proof.prove`.

    Returns:
        The proof, as it stands in the bundle's provenance.

    Raises:
        ModelyardError: the proof failed; nothing is written.
    """
    with tempfile.TemporaryDirectory(prefix="modelyard-") as scratch:
        trial = _write(candidate, Path(scratch, "bundle"), {})
        agreement = prove(trial, candidate.pixels, candidate.answers, candidate.precision, limits)
    proof = {**agreement, "decoder_max_difference": candidate.decoder_max_difference}
    with replace_file(answers) as new, new.open("wb") as file:
        names = np.array(candidate.image_names)
        np.savez(file, allow_pickle=False, names=names, probabilities=candidate.answers)
    _write(candidate, folder, {"proof": proof})
    return proof


def describe_proof(candidate: Candidate, proof: dict[str, Any]) -> str:
    """Say in one line what was packaged and how close it is to its source."""
    decoder = proof["decoder_max_difference"]
    decoded = "" if decoder is None else f"; another JPEG decoder alone changes up to {decoder:.1e}"
    return (
        f"{candidate.name} ({candidate.precision}, {len(candidate.model) / 1e6:.1f} MB): the source's first "
        f"answer on {proof['same_first']:.2%} of {proof['images']} images, largest difference "
        f"{proof['max_difference']:.1e}{decoded}"
    )


def _write(candidate: Candidate, folder: Path, more: dict[str, Any]) -> Predictor:
    bundle = write_bundle(
        folder,
        model=candidate.model,
        name=candidate.name,
        precision=candidate.precision,
        labels=candidate.labels,
        preprocessing=candidate.preprocessing,
        provenance={**candidate.provenance, **more},
    )
    return Predictor(bundle)
